"""Decoding: ids in, ids out, over an encoder and a decoder's step function.

The start is id 0, and the most likely token is fed back. Batches are spread over threads: NumPy
lets go of the interpreter's lock while it computes.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np

from seq2seq_cli.inference.layers import log_softmax
from seq2seq_cli.inference.network import Network
from seq2seq_cli.metrics import matches
from seq2seq_cli.vocabulary import START, Floats, Ids, one_hot_encode

Batch = TypeVar("Batch")
Result = TypeVar("Result")

BATCH = 512
"""Sequences decoded together: their gates fit a core's second-level cache."""


class Decoded(NamedTuple):
    """What greedy decoding finds for a batch."""

    tokens: Ids  # (n, steps)
    log_probabilities: Floats  # (n, steps): of each token, given those before it
    likelihoods: Floats  # (n, steps): of each token of the targets, if they were given


def greedy(network: Network, sources: Ids, steps: int, targets: Ids | None = None) -> Decoded:
    """Decode sources (n, n_in) freely for `steps` tokens each.

    With targets (n, steps) the log-likelihoods of their tokens are returned besides, as they are
    under teacher forcing; they do not influence the tokens.
    """
    decoded = _run(network, sources, steps, targets, forced=False)
    if targets is not None:
        # As long as the tokens are right, the decoder's inputs are those of teacher forcing.
        wrong = ~matches(decoded.tokens, targets)
        if wrong.any():
            again = _run(network, sources[wrong], steps, targets[wrong], forced=True)
            decoded.likelihoods[wrong] = again.likelihoods
    return decoded


def _run(network: Network, sources: Ids, steps: int, targets: Ids | None, forced: bool) -> Decoded:
    rows = np.arange(len(sources))
    state = network.encoder.encode(sources)
    tokens = np.full(len(sources), START, np.int32)
    found = np.empty((len(sources), steps), np.int32)
    log_probabilities = np.empty((len(sources), steps), np.float32)
    likelihoods = np.zeros((len(sources), steps), np.float32)
    for t in range(steps):
        logits, state = network.decoder.step(tokens, state)
        scores = log_softmax(logits)
        found[:, t] = tokens = scores.argmax(axis=-1).astype(np.int32)
        log_probabilities[:, t] = scores[rows, tokens]
        if targets is not None:
            likelihoods[:, t] = scores[rows, targets[:, t]]
            if forced:
                tokens = targets[:, t]
    return Decoded(found, log_probabilities, likelihoods)


def map_batches(work: Callable[[Batch], Result], batches: Iterable[Batch]) -> Iterator[Result]:
    """Yield `work` of each batch in order, computed on as many threads as there are cores.

    Batches are taken from their iterator only a few ahead of what is yielded, so that a stream of
    any length needs no more memory than a short one.
    """
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
    back is the most likely token.
    """
    state = [np.asarray(part) for part in infenc(source)]
    token = START
    steps = []
    for _ in range(n_steps):
        inputs = one_hot_encode([[token]], cardinality)
        probabilities, *state = (np.asarray(part) for part in infdec([inputs, *state]))
        steps.append(probabilities[0, 0])
        token = int(steps[-1].argmax())
    return np.stack(steps)
