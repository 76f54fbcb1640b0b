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
from seq2seq_cli.vocabulary import PADDING, START, Floats, Ids, one_hot_encode

Batch = TypeVar("Batch")
Result = TypeVar("Result")


class Decoded(NamedTuple):
    """What greedy decoding finds for a batch."""

    tokens: Ids  # (n, steps)
    log_probabilities: Floats  # (n, steps): of each token, given those before it
    likelihoods: Floats  # (n, target steps): of each token of the targets, if they were given
    attention: Floats | None  # (n, steps, n_in): the weights, if they were asked for


def greedy(
    network: Network,
    sources: Ids,
    steps: int,
    targets: Ids | None = None,
    attention: bool = False,
) -> Decoded:
    """Decode sources (n, n_in) freely for at most `steps` tokens each.

    Where the run's lengths vary a sequence ends with the end-of-sequence id, and PADDING follows.
    With targets (n, steps) the log-likelihoods of their tokens are returned besides, as they are
    under teacher forcing; they do not influence the tokens. With `attention` the weights are.
    """
    decoded = _run(network, sources, steps, targets, attention)
    if targets is not None:
        # As long as the tokens are right, the decoder's inputs are those of teacher forcing.
        wrong = ~matches(decoded.tokens[:, : targets.shape[1]], targets)
        if wrong.any():
            again = _run(network, sources[wrong], targets.shape[1], targets[wrong], forced=True)
            decoded.likelihoods[wrong] = again.likelihoods
    return decoded


def _run(
    network: Network,
    sources: Ids,
    steps: int,
    targets: Ids | None,
    attention: bool = False,
    forced: bool = False,
) -> Decoded:
    n, n_targets = len(sources), 0 if targets is None else targets.shape[1]
    rows = np.arange(n)
    states, outputs = network.encoder.encode(sources)
    memory = network.decoder.remember(outputs)
    tokens = np.full(n, START, np.int32)
    found = np.full((n, steps), PADDING, np.int32)
    log_probabilities = np.zeros((n, steps), np.float32)
    likelihoods = np.zeros((n, n_targets), np.float32)
    shape = (n, steps, sources.shape[1])
    weights = np.zeros(shape, np.float32) if attention and memory else None
    end = network.config.task.end if network.config.task.varies else None
    going = np.ones(n, np.bool_)
    for t in range(steps):
        logits, states, looks = network.decoder.step(tokens, states, memory)
        scores = log_softmax(logits)
        tokens = scores.argmax(axis=-1).astype(np.int32)
        found[:, t] = np.where(going, tokens, PADDING)
        log_probabilities[:, t] = np.where(going, scores[rows, tokens], 0)
        if weights is not None and looks is not None:
            weights[:, t] = looks
        if targets is not None and t < n_targets:
            likelihoods[:, t] = scores[rows, targets[:, t]]
            if forced:
                tokens = targets[:, t]
        if end is not None and not forced:
            going &= tokens != end
            if not going.any():
                break
    return Decoded(found, log_probabilities, likelihoods, weights)


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
        probabilities, *after = (np.asarray(part) for part in infdec([inputs, *state]))
        state[: len(after)] = after  # with attention the encoder's outputs stay behind them
        steps.append(probabilities[0, 0])
        token = int(steps[-1].argmax())
    return np.stack(steps)
