"""Decoding: ids in, ids out, over an encoder and a decoder's step function.

The start is id 0, and the most likely token is fed back; id 0 is reserved and never chosen.
Batches are spread over threads: NumPy lets go of the interpreter's lock while it computes.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.data.tasks import longest_target
from seq2seq_cli.data.vocabulary import PADDING, START, Floats, Ids, Vocabulary, one_hot_encode
from seq2seq_cli.inference.layers import likeliest, log_softmax
from seq2seq_cli.inference.network import LoadedRun
from seq2seq_cli.metrics import matches

if TYPE_CHECKING:
    from concurrent.futures import Future

Batch = TypeVar("Batch")
Result = TypeVar("Result")


class Decoded(NamedTuple):
    """What greedy decoding finds for a batch."""

    tokens: Ids  # (n, longest limit): each with its end of sequence, if it has that, then PADDING
    log_probabilities: Floats  # (n, longest limit): of each token, given those before it
    finished: NDArray[np.bool_]  # (n,): false where it was cut at its limit
    likelihoods: Floats  # (n, target steps): of each token of the targets, if they were given
    attention: Floats | None  # (n, longest limit, n_in): the weights, if they were asked for


def decoding_limits(task: TaskConfig, n_in: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many tokens decoding may take for sources of these lengths, both (n,)."""
    lengths, places = np.unique(n_in, return_inverse=True)
    limits = np.array([longest_target(task, int(length)) for length in lengths], np.int64)
    return limits[places.ravel()]


def greedy(
    loaded: LoadedRun,
    sources: Ids,
    limits: ArrayLike,
    targets: Ids | None = None,
    attention: bool = False,
) -> Decoded:
    """Decode each of the sources (n, n_in) freely for at most its limit (n,) of tokens.

    Where targets have an end of sequence a row ends with it; without one it has as many tokens as
    its limit. PADDING follows. With targets (n, steps) the log-likelihoods of their tokens are
    returned besides, as they are under teacher forcing; they do not influence the tokens. With
    `attention` the weights are.
    """
    limits = np.broadcast_to(limits, len(sources)).astype(np.int64)
    decoded = _run(loaded, sources, limits, targets, attention)
    if targets is not None:
        # As long as the tokens are right, the decoder's inputs are those of teacher forcing.
        wrong = ~matches(decoded.tokens, targets)
        if wrong.any():
            steps = np.full(int(wrong.sum()), targets.shape[1])
            again = _run(loaded, sources[wrong], steps, targets[wrong], forced=True)
            decoded.likelihoods[wrong] = again.likelihoods
    return decoded


def _run(
    loaded: LoadedRun,
    sources: Ids,
    limits: NDArray[np.int64],
    targets: Ids | None,
    attention: bool = False,
    forced: bool = False,
) -> Decoded:
    n, n_targets = len(sources), 0 if targets is None else targets.shape[1]
    rows, steps = np.arange(n), int(limits.max(initial=0))
    states, outputs = loaded.encoder.encode(sources)
    memory = loaded.decoder.remember(outputs)
    tokens = np.full(n, START, np.int32)
    found = np.full((n, steps), PADDING, np.int32)
    log_probabilities = np.zeros((n, steps), np.float32)
    likelihoods = np.zeros((n, n_targets), np.float32)
    shape = (n, steps, sources.shape[1])
    weights = np.zeros(shape, np.float32) if attention and memory else None
    end = Vocabulary.of(loaded.config.task).end
    ended = np.full(n, end is None)
    for t in range(steps):
        going = (t < limits) & (~ended if end is not None else True)
        if not going.any():
            break
        logits, states, looks = loaded.decoder.step(tokens, states, memory)
        scores = log_softmax(logits)
        tokens = likeliest(scores)
        found[:, t] = np.where(going, tokens, PADDING)
        log_probabilities[:, t] = np.where(going, scores[rows, tokens], 0)
        if weights is not None and looks is not None:
            weights[:, t] = looks
        if targets is not None and t < n_targets:
            likelihoods[:, t] = scores[rows, targets[:, t]]
        if forced and targets is not None:
            tokens = targets[:, t]
        elif end is not None:
            ended |= going & (tokens == end)
    return Decoded(found, log_probabilities, ended, likelihoods, weights)


def map_batches(work: Callable[[Batch], Result], batches: Iterable[Batch]) -> Iterator[Result]:
    """Yield `work` of each batch in order, computed on as many threads as there are cores.

    Batches are taken from their iterator only a few ahead of what is yielded, so that a stream of
    any length needs no more memory than a short one.
    """
    from concurrent.futures import ThreadPoolExecutor  # which a single sequence does without

    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for batch in batches:
                pending.append(pool.submit(work, batch))
                if len(pending) > 2 * (workers or 1):
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def predict_sequence(
    infenc: Callable[[Any], Sequence[Any]],
    infdec: Callable[[Any], Sequence[Any]],
    source: Floats,
    n_steps: int,
    cardinality: int,
) -> Floats:
    """Predict one sequence step by step; returns probabilities (n_steps, cardinality).

    The tutorial's function, section "Encoder-Decoder Model in Keras", for one-hot `source`
    (1, n_in, cardinality). `infenc` and `infdec` are the Keras models of `define_models`, or the
    `encoder` and `decoder` of `load_run`. As in training, the start is one-hot(0), and what is fed
    back is the most likely token, which is never id 0.
    """
    state = [np.asarray(part) for part in infenc(source)]
    token = START
    steps = []
    for _ in range(n_steps):
        inputs = one_hot_encode([[token]], cardinality)
        probabilities, *after = (np.asarray(part) for part in infdec([inputs, *state]))
        state[: len(after)] = after  # with attention the encoder's outputs stay behind them
        steps.append(probabilities[0, 0])
        token = int(likeliest(steps[-1][None])[0])
    return np.stack(steps)
