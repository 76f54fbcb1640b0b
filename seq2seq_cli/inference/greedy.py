"""Greedy decoding: source ids in, target ids out.

The first input is id 0, then the most likely token is fed back; id 0 is reserved and never chosen.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.data.tasks import longest_target
from seq2seq_cli.data.vocabulary import (
    PADDING,
    START,
    Floats,
    Ids,
    Vocabulary,
    one_hot_encode,
    shift_right,
)
from seq2seq_cli.inference.layers import likeliest, log_softmax
from seq2seq_cli.inference.network import (
    LoadedRun,
    Memory,
    States,
    is_worth_dropping,
    take_states,
)


class Decoded(NamedTuple):
    """The result of greedy decoding for a batch."""

    tokens: Ids  # (n, longest limit): each with its end of sequence, if there is one, then PADDING
    log_probabilities: Floats  # (n, longest limit): of each token, given those before it
    finished: NDArray[np.bool_]  # (n,): false if the target was cut at its limit
    likelihoods: Floats  # (n, target steps): of each token of the targets, if there are any
    attention: Floats | None  # (n, longest limit, n_in): the weights, if requested


def decoding_limits(task: TaskConfig, n_in: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the maximum number of tokens to decode for sources of these lengths, both (n,)."""
    lengths, indices = np.unique(n_in, return_inverse=True)
    limits = np.array([longest_target(task, int(length)) for length in lengths], np.int64)
    return limits[indices.ravel()]


def greedy(
    loaded: LoadedRun,
    sources: Ids,
    limits: ArrayLike,
    targets: Ids | None = None,
    attention: bool = False,
) -> Decoded:
    """Decode each of the sources (n, n_in) freely, up to its limit (n,) of tokens.

    If targets have an end of sequence, a row ends with it; otherwise it has as many tokens as its
    limit. PADDING follows. With targets (n, steps) the log-likelihoods of their tokens under
    teacher forcing are returned as well; targets do not influence the decoded tokens. With
    `attention` the weights are returned too.
    """
    limits = np.broadcast_to(limits, len(sources)).astype(np.int64)
    states, outputs = loaded.encoder.encode(sources)
    memory = loaded.decoder.remember(outputs, sources, limits)
    if targets is None:
        return _decode(loaded, states, memory, limits, attention)
    # While the tokens are right, the decoder's inputs are those of teacher forcing, so all steps
    # can be computed together. Rows that are not entirely right are decoded step by step.
    right, likelihoods = _follow(loaded, states, memory, limits, targets)
    rows = np.arange(len(sources)) if attention else np.flatnonzero(~right)
    decoded = _whole(limits, targets, likelihoods)
    if len(rows):
        some, seen = take_states(states, rows), memory.take(rows) if memory else None
        mine = _decode(loaded, some, seen, limits[rows], attention)
        if len(rows) == len(sources):
            return mine._replace(likelihoods=likelihoods)
        width = mine.tokens.shape[1]
        decoded.tokens[rows], decoded.log_probabilities[rows] = PADDING, 0
        decoded.tokens[rows, :width] = mine.tokens
        decoded.log_probabilities[rows, :width] = mine.log_probabilities
        decoded.finished[rows] = mine.finished
    return decoded


def _follow(
    loaded: LoadedRun,
    states: States,
    memory: Memory | None,
    limits: NDArray[np.int64],
    targets: Ids,
) -> tuple[NDArray[np.bool_], Floats]:
    """Return which targets (n, steps) free decoding yields, (n,), and all tokens' likelihoods."""
    real, end = targets != PADDING, Vocabulary.of(loaded.config.task).end
    n_real = real.sum(axis=1)
    right = (real[:, 1:] <= real[:, :-1]).all(axis=1) & (n_real <= limits)
    if end is None:
        right &= n_real == limits
    else:  # once, as the last token
        is_end = targets == end
        right &= (is_end.sum(axis=1) == 1) & (is_end.argmax(axis=1) == n_real - 1)
    likelihoods = np.zeros(targets.shape, np.float32)
    values = loaded.decoder.read(shift_right(targets), states, memory)
    rows = np.arange(len(targets))
    for t in range(targets.shape[1]):
        scores = log_softmax(loaded.decoder.score(values[:, t]))
        likelihoods[:, t] = scores[rows, targets[:, t]]
        right &= (likeliest(scores) == targets[:, t]) | ~real[:, t]
    return right, likelihoods


def _whole(limits: NDArray[np.int64], targets: Ids, likelihoods: Floats) -> Decoded:
    """Return the result of decoding if it yields exactly the targets."""
    n, steps = len(targets), int(limits.max(initial=0))
    tokens = np.full((n, steps), PADDING, np.int32)
    log_probabilities = np.zeros((n, steps), np.float32)
    width = min(steps, targets.shape[1])
    tokens[:, :width] = targets[:, :width]
    log_probabilities[:, :width] = np.where(targets != PADDING, likelihoods, 0)[:, :width]
    return Decoded(tokens, log_probabilities, np.ones(n, np.bool_), likelihoods, None)


def _decode(
    loaded: LoadedRun,
    states: States,
    memory: Memory | None,
    limits: NDArray[np.int64],
    attention: bool,
) -> Decoded:
    """Decode step by step, each token from the ones before; rows that have ended are dropped."""
    n, steps = len(limits), int(limits.max(initial=0))
    rows = np.arange(n)  # still decoded
    tokens = np.full(n, START, np.int32)
    decoded = np.full((n, steps), PADDING, np.int32)
    log_probabilities = np.zeros((n, steps), np.float32)
    weights = None
    if attention and memory:
        weights = np.zeros((n, steps, memory.outputs.shape[1]), np.float32)
    end = Vocabulary.of(loaded.config.task).end
    ended = np.full(n, end is None)
    for t in range(steps):
        going = t < limits[rows]
        if end is not None:
            going &= ~ended[rows]
        if not going.any():
            break
        if is_worth_dropping(going):
            rows, tokens, states = rows[going], tokens[going], take_states(states, going)
            memory = memory.take(going) if memory else None
            going = going[going]
        logits, states, looks = loaded.decoder.step(tokens, states, memory, t)
        scores = log_softmax(logits)
        tokens = likeliest(scores)
        decoded[rows, t] = np.where(going, tokens, PADDING)
        log_probabilities[rows, t] = np.where(going, scores[np.arange(len(rows)), tokens], 0)
        if weights is not None and looks is not None:
            weights[rows, t] = looks
        if end is not None:
            ended[rows] |= going & (tokens == end)
    return Decoded(decoded, log_probabilities, ended, np.zeros((n, 0), np.float32), weights)


def predict_sequence(
    infenc: Callable[[Any], Sequence[Any]],
    infdec: Callable[[Any], Sequence[Any]],
    source: Floats,
    n_steps: int,
    cardinality: int,
) -> Floats:
    """Predict one sequence step by step; returns probabilities (n_steps, cardinality).

    The tutorial's function, section "Encoder-Decoder Model in Keras", for a one-hot `source`
    (1, n_in, cardinality). `infenc` and `infdec` are the Keras models of `define_models`, or the
    `encoder` and `decoder` of `load_run`. As in training, the first input is one-hot(0). The most
    likely token, never id 0, is fed back.
    """
    state = [np.asarray(part) for part in infenc(source)]
    token = START
    steps = []
    for _ in range(n_steps):
        inputs = one_hot_encode([[token]], cardinality)
        probabilities, *after = (np.asarray(part) for part in infdec([inputs, *state]))
        state[: len(after)] = after  # with attention, the encoder's outputs follow and stay
        steps.append(probabilities[0, 0])
        token = int(likeliest(steps[-1][None])[0])
    return np.stack(steps)
