"""Beam search: the likeliest targets of a source among those that the beam keeps."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seq2seq_cli.data.vocabulary import PADDING, START, Floats, Ids, Vocabulary
from seq2seq_cli.inference.layers import likeliest, log_softmax
from seq2seq_cli.inference.network import LoadedRun, is_worth_dropping, take_states


class Candidates(NamedTuple):
    """Targets of each source: finished ones first, then by descending probability."""

    tokens: Ids  # (n, top, steps): with the end of sequence, if targets have one, then PADDING
    log_probabilities: Floats  # (n, top): natural; -inf if there is no such candidate
    finished: NDArray[np.bool_]  # (n, top): false if the target was cut at its limit
    attention: Floats | None  # (n, top, steps, n_in): the weights, if requested


def beam_search(
    loaded: LoadedRun,
    sources: Ids,
    limits: ArrayLike,
    beam: int,
    top: int = 1,
    attention: bool = False,
) -> Candidates:
    """Return the `top` likeliest targets of each source (n, n_in) that a beam of this width finds.

    A target has as many tokens as its limit (n,) or, if targets have an end of sequence, at most as
    many including it; its log probability is the sum of its tokens'. Beam 1 is greedy decoding; a
    beam as wide as the number of possible targets is exact. `top` is at most `beam`.
    """
    vocabulary = Vocabulary.of(loaded.config.task)
    n, features, end = len(sources), vocabulary.n_features, vocabulary.end
    limits = np.broadcast_to(limits, n).astype(np.int64)
    steps = int(limits.max(initial=0))
    states, outputs = loaded.encoder.encode(sources)
    rows = np.repeat(np.arange(n, dtype=np.int32), beam)
    memory = loaded.decoder.remember(outputs, sources, limits)
    states = take_states(states, rows)
    memory = memory.take(rows) if memory else None
    tokens = np.full((n, beam, steps), PADDING, np.int32)
    shape = (n, beam, steps, sources.shape[1])
    weights = np.zeros(shape, np.float32) if attention and memory else None
    # All beams start equal, so only the first may grow.
    totals = np.full((n, beam), -np.inf, np.float32)
    totals[:, 0] = 0
    ended = np.zeros((n, beam), np.bool_)
    last = np.full(n * beam, START, np.int32)
    going = np.arange(n)  # sources with a target that may grow
    for t in range(steps):
        closed = ended[going] | (t >= limits[going])[:, None]
        is_open = np.asarray(~closed.all(axis=1))
        if not is_open.any():
            break
        if is_worth_dropping(is_open):
            rows = np.repeat(is_open, beam)
            going, closed, last = going[is_open], closed[is_open], last[rows]
            states = take_states(states, rows)
            memory = memory.take(rows) if memory else None
        logits, after, looks = loaded.decoder.step(last, states, memory, t)
        scores = log_softmax(logits).reshape(len(going), beam, features)
        scores[:, :, PADDING] = -np.inf
        # A closed target continues with padding alone.
        scores[closed] = -np.inf
        scores[closed, PADDING] = 0
        candidates = (totals[going, :, None] + scores).reshape(len(going), beam * features)
        if beam == 1:  # breaks ties like greedy decoding
            best = likeliest(scores[:, 0])
            chosen = np.where(closed[:, 0], PADDING, best)[:, None].astype(np.int64)
        else:
            chosen = largest(candidates, beam)
        parents, chosen_tokens = np.divmod(chosen, features)
        totals[going] = np.take_along_axis(candidates, chosen, axis=1)
        tokens[going] = np.take_along_axis(tokens[going], parents[:, :, None], axis=1)
        tokens[going, :, t] = chosen_tokens
        ended[going] = np.take_along_axis(ended[going], parents, axis=1)
        if end is not None:
            ended[going] |= chosen_tokens == end
        flat = (np.arange(len(going))[:, None] * beam + parents).ravel()
        states = take_states(after, flat)
        if weights is not None and looks is not None:
            kept = np.take_along_axis(weights[going], parents[:, :, None, None], axis=1)
            kept[:, :, t] = looks[flat].reshape(len(going), beam, -1)
            weights[going] = kept
        last = chosen_tokens.ravel().astype(np.int32)
    finished = np.isfinite(totals) & (ended if end is not None else True)
    order = np.lexsort((-totals, ~finished), axis=1)[:, :top]
    return Candidates(
        np.take_along_axis(tokens, order[:, :, None], axis=1),
        np.take_along_axis(totals, order, axis=1),
        np.take_along_axis(finished, order, axis=1),
        None if weights is None else np.take_along_axis(weights, order[:, :, None, None], axis=1),
    )


def largest(values: Floats, k: int) -> NDArray[np.int64]:
    """Return the indices of each row's `k` largest values (n, m), largest first: (n, k).

    Of equal values the earlier ones are taken, and come first.
    """
    n, m = values.shape
    least = np.partition(values, m - k, axis=1)[:, m - k, None]
    taken = values >= least
    if np.count_nonzero(taken) > n * k:
        above = values > least
        equal = taken & ~above
        room = k - above.sum(axis=1, keepdims=True)
        taken = above | (equal & (equal.cumsum(axis=1) <= room))
    indices = np.nonzero(taken)[1].reshape(n, k)
    chosen = np.take_along_axis(values, indices, axis=1)
    return np.take_along_axis(indices, np.argsort(-chosen, axis=1, kind="stable"), axis=1)
