"""A trained run and sequences -> their targets, or what the encoder makes of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seq2seq_cli.datasets import pad, visible
from seq2seq_cli.errors import DataError, ExistsError
from seq2seq_cli.inference.beam import beam_search
from seq2seq_cli.inference.decoding import greedy
from seq2seq_cli.inference.network import Network
from seq2seq_cli.storage import atomic_path
from seq2seq_cli.tasks import longest_target
from seq2seq_cli.vocabulary import Floats, check_ids


class Prediction(NamedTuple):
    """A source, the target predicted for it, and the target's natural-log probability."""

    source: list[int]
    target: list[int]
    log_probability: float
    attention: list[list[float]] | None = None  # (target, source), if it was asked for


def predict(
    network: Network,
    sequences: Sequence[Sequence[int]],
    beam: int = 1,
    top: int = 1,
    attention: bool = False,
) -> list[Prediction]:
    """Predict the targets of sequences, any lengths together.

    How many tokens a target has follows from the run's task and the source's length or, where
    lengths vary, from the model. With a beam wider than 1 it is a beam search, and each sequence
    has its `top` likeliest targets, best first. With `attention` each has the weights of its
    decoder's attention, where the model has it. Raises DataError for an empty sequence and for
    values outside the run's vocabulary.
    """
    task = network.config.task
    for sequence in sequences:
        check_ids(sequence, task.cardinality)
    predictions: list[list[Prediction]] = [[] for _ in sequences]
    steps = [longest_target(task, len(sequence)) for sequence in sequences]
    for n in set(steps):
        rows = [row for row, wanted in enumerate(steps) if wanted == n]
        size = max(1, network.batch_size(max(len(sequences[row]) for row in rows)) // beam)
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            found = _decode(network, [sequences[row] for row in part], n, beam, top, attention)
            for row, candidates in zip(part, found, strict=True):
                predictions[row] = candidates
    return [prediction for candidates in predictions for prediction in candidates]


def _decode(
    network: Network,
    sequences: list[Sequence[int]],
    steps: int,
    beam: int,
    top: int,
    attention: bool,
) -> list[list[Prediction]]:
    """Return the predictions for each of the sequences, whose targets are of one length."""
    sources = pad(sequences)
    if beam == 1:
        decoded = greedy(network, sources, steps, attention=attention)
        scores = decoded.log_probabilities.sum(axis=1, dtype=np.float64)[:, None]
        tokens, weights = decoded.tokens[:, None], decoded.attention
        weights = weights if weights is None else weights[:, None]
    else:
        tokens, found, weights = beam_search(network, sources, steps, beam, top, attention)
        scores = found.astype(np.float64)
    predictions = []
    for row, sequence in enumerate(sequences):
        candidates = []
        for rank in np.flatnonzero(np.isfinite(scores[row])):
            target = visible(tokens[row, rank], network.config.task)
            looks = None
            if weights is not None:
                looks = weights[row, rank, : len(target), : len(sequence)].tolist()
            candidates.append(Prediction(list(sequence), target, float(scores[row, rank]), looks))
        predictions.append(candidates)
    return predictions


class Encoded(NamedTuple):
    """A source and the states after it: a hidden and a cell state for each layer."""

    source: list[int]
    hidden: list[list[float]]  # (layers, width)
    cell: list[list[float]]


def encode(network: Network, sequences: Sequence[Sequence[int]]) -> list[Encoded]:
    """Return the encoder's states after sequences, what the decoder starts from.

    Raises DataError for values outside the run's vocabulary.
    """
    hidden, cell = encode_arrays(network, sequences)
    return [
        Encoded(list(sequence), h.tolist(), c.tolist())
        for sequence, h, c in zip(sequences, hidden, cell, strict=True)
    ]


def encode_arrays(network: Network, sequences: Sequence[Sequence[int]]) -> tuple[Floats, Floats]:
    """Return hidden and cell states after n sequences, (n, layers, width) each."""
    for sequence in sequences:
        check_ids(sequence, network.config.task.cardinality)
    parts = []
    size = network.batch_size(max(map(len, sequences), default=1))
    for start in range(0, len(sequences), size):
        states, _ = network.encoder.encode(pad(sequences[start : start + size]))
        parts.append(
            (np.stack([s.hidden for s in states], 1), np.stack([s.cell for s in states], 1))
        )
    hidden, cell = zip(*parts, strict=True)
    return np.concatenate(hidden), np.concatenate(cell)


def write_states(
    path: Path, network: Network, sequences: Sequence[Sequence[int]], force: bool = False
) -> None:
    """Write `sources` (n, longest), `hidden` and `cell` (n, layers, width) to an `.npz` file.

    Raises DataError for another suffix, ExistsError for a file that is there, unless `force`, and
    StorageError where writing fails.
    """
    if path.suffix != ".npz":
        raise DataError(f"{path}: the name should end in .npz")
    if path.exists() and not force:
        raise ExistsError(f"{path} exists: give another name, or --force to replace it")
    hidden, cell = encode_arrays(network, sequences)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, sources=pad(sequences), hidden=hidden, cell=cell)
