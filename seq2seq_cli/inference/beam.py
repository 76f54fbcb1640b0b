"""Beam search: the likeliest targets of a source, of those that a beam of partial ones leads to."""

from typing import NamedTuple

import numpy as np

from seq2seq_cli.inference.layers import State, log_softmax
from seq2seq_cli.inference.network import Network
from seq2seq_cli.vocabulary import PADDING, START, Floats, Ids


class Candidates(NamedTuple):
    """Targets of each source, best first."""

    tokens: Ids  # (n, top, steps): the end of sequence where lengths vary, then PADDING
    log_probabilities: Floats  # (n, top): natural; -inf where there is no such candidate
    attention: Floats | None  # (n, top, steps, n_in): the weights, if they were asked for


def beam_search(
    network: Network,
    sources: Ids,
    steps: int,
    beam: int,
    top: int = 1,
    attention: bool = False,
) -> Candidates:
    """Return the `top` likeliest targets of each source (n, n_in) that a beam of this width finds.

    A target has `steps` tokens or, where lengths vary, up to so many and its end of sequence; its
    log probability is the sum of its tokens'. With beam 1 it is greedy decoding; with a beam as
    wide as there are targets it is exact. `top` is at most `beam`.
    """
    n, features = len(sources), network.config.task.n_features
    end = network.config.task.end if network.config.task.varies else None
    states, outputs = network.encoder.encode(sources)
    rows = np.repeat(np.arange(n, dtype=np.int32), beam)
    memory = network.decoder.remember(outputs)
    states = _take(states, rows)
    memory = memory.take(rows) if memory else None
    tokens = np.full((n, beam, steps), PADDING, np.int32)
    shape = (n, beam, steps, sources.shape[1])
    weights = np.zeros(shape, np.float32) if attention and memory else None
    # Only the first of the equal beginnings may grow.
    totals = np.full((n, beam), -np.inf, np.float32)
    totals[:, 0] = 0
    ended = np.zeros((n, beam), np.bool_)
    last = np.full(n * beam, START, np.int32)
    for t in range(steps):
        logits, after, looks = network.decoder.step(last, states, memory)
        scores = log_softmax(logits).reshape(n, beam, features)
        # One that has ended goes on as it is, with padding.
        scores[ended] = -np.inf
        scores[ended, PADDING] = 0
        candidates = (totals[:, :, None] + scores).reshape(n, beam * features)
        if beam == 1:  # as greedy decoding chooses among equals
            chosen = scores.reshape(n, features).argmax(axis=1)[:, None]
        else:
            chosen = np.argsort(-candidates, axis=1, kind="stable")[:, :beam]
        parents, found = np.divmod(chosen, features)
        totals = np.take_along_axis(candidates, chosen, axis=1)
        tokens = np.take_along_axis(tokens, parents[:, :, None], axis=1)
        ended = np.take_along_axis(ended, parents, axis=1)
        tokens[:, :, t] = np.where(ended, PADDING, found)
        flat = (np.arange(n)[:, None] * beam + parents).ravel()
        states = _take(after, flat)
        if weights is not None and looks is not None:
            weights = np.take_along_axis(weights, parents[:, :, None, None], axis=1)
            weights[:, :, t] = looks[flat].reshape(n, beam, -1)
        last = found.ravel().astype(np.int32)
        if end is not None:
            ended |= found == end
            if ended.all():
                break
    return Candidates(
        tokens[:, :top], totals[:, :top], None if weights is None else weights[:, :top]
    )


def _take(states: list[State], rows: Ids) -> list[State]:
    return [State(state.hidden[rows], state.cell[rows]) for state in states]
