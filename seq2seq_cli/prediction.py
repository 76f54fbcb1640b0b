"""Predicting the targets of sequences, or encoding sequences, with a trained run."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.config import Lengths, TaskConfig, check_integer
from seq2seq_cli.data.tasks import find_task, is_custom, length_problem
from seq2seq_cli.data.text import parse_sequence
from seq2seq_cli.data.vocabulary import Floats, Vocabulary, check_ids, one_hot_decode, pad, unpad
from seq2seq_cli.errors import ConfigurationError, DataError
from seq2seq_cli.inference.beam import beam_search
from seq2seq_cli.inference.greedy import decoding_limits, greedy
from seq2seq_cli.inference.loading import AnyRun, as_loaded
from seq2seq_cli.inference.network import LoadedRun
from seq2seq_cli.resources import check, decoding_needs, encoding_needs
from seq2seq_cli.storage import atomic_path, check_replaceable

Sequences = str | Sequence[int] | Sequence[str] | Sequence[Sequence[int]] | NDArray[Any]
"""One sequence or several, see `predict`."""


class Prediction(NamedTuple):
    """A source, the target predicted for it, and the target's natural-log probability."""

    source: list[int]
    target: list[int]
    log_probability: float
    finished: bool = True  # false if the target was cut at its limit
    attention: list[list[float]] | None = None  # (target, source), if requested


def predict(
    run: AnyRun,
    sequences: Sequences,
    beam: int = 1,
    top: int = 1,
    attention: bool = False,
) -> list[Prediction]:
    """Predict the targets of sequences of any lengths.

    They are one or several: a text such as "22 17 23" or a list of integers is one; a list of
    these, or an array of ids (n, steps) or of one-hot vectors (n, steps, cardinality), is several.
    The number of tokens of a target follows from the run's task and the source's length or, if
    targets have an end of sequence, from the model. A `beam` wider than 1 is a beam search, and
    each sequence has its `top` best targets: finished ones first, then by descending probability.
    With `attention` each has the decoder's attention weights, if the model has attention. Raises
    DataError for an empty sequence and for values outside the run's vocabulary, and
    ConfigurationError for a wrong `beam` or `top`.
    """
    loaded = as_loaded(run)
    check_integer("beam", beam, 1)
    check_integer("top", top, 1, beam)
    each = predict_each(loaded, _as_lists(sequences), beam, top, attention)
    return [prediction for candidates in each for prediction in candidates]


def predict_each(
    loaded: LoadedRun,
    sequences: Sequence[Sequence[int]],
    beam: int = 1,
    top: int = 1,
    attention: bool = False,
) -> list[list[Prediction]]:
    """Return a list of predictions for each sequence; like `predict`, which joins the lists."""
    task = loaded.config.task
    _check_sources(sequences, task.cardinality)
    longest = max(map(len, sequences), default=1)
    check(decoding_needs(loaded.config, 1, 1, beam=beam))
    limits = decoding_limits(task, np.array([len(sequence) for sequence in sequences], np.int64))
    n_out = int(limits.max(initial=1))
    needs = decoding_needs(loaded.config, longest, n_out, beam=beam, attention=attention)
    check(needs, error=DataError)
    predictions: list[list[Prediction]] = [[] for _ in sequences]
    order = np.argsort(limits, kind="stable").tolist()  # groups similar lengths
    size = max(1, loaded.batch_size(longest) // beam)
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        part = [sequences[row] for row in rows]
        decoded = _decode(loaded, part, limits[rows], beam, top, attention)
        for row, candidates in zip(rows, decoded, strict=True):
            predictions[row] = candidates
    return predictions


def _decode(
    loaded: LoadedRun,
    sequences: list[Sequence[int]],
    limits: NDArray[np.int64],
    beam: int,
    top: int,
    attention: bool,
) -> list[list[Prediction]]:
    sources, vocabulary = pad(sequences), Vocabulary.of(loaded.config.task)
    if beam == 1:
        decoded = greedy(loaded, sources, limits, attention=attention)
        scores = decoded.log_probabilities.sum(axis=1, dtype=np.float64)[:, None]
        tokens, weights, finished = decoded.tokens[:, None], None, decoded.finished[:, None]
        if decoded.attention is not None:
            weights = decoded.attention[:, None]
    else:
        tokens, log_probabilities, finished, weights = beam_search(
            loaded, sources, limits, beam, top, attention
        )
        scores = log_probabilities.astype(np.float64)
    predictions = []
    for row, sequence in enumerate(sequences):
        candidates = []
        for rank in np.flatnonzero(np.isfinite(scores[row])):
            target = vocabulary.strip(tokens[row, rank])
            looks = None
            if weights is not None:
                looks = weights[row, rank, : len(target), : len(sequence)].tolist()
            score, ended = float(scores[row, rank]), bool(finished[row, rank])
            candidates.append(Prediction(list(sequence), target, score, ended, looks))
        predictions.append(candidates)
    return predictions


def expected_targets(
    config: TaskConfig, sources: Sequence[Sequence[int]]
) -> list[list[int] | None]:
    """Return the right target of each source; None if it is not known.

    Only built-in tasks know it, and only for the lengths that their sources can have.
    """
    if is_custom(config):
        return [None] * len(sources)
    task, expected = find_task(config), list[list[int] | None]()
    for length, group in groupby(sources, len):
        rows = np.array(list(group), np.int32)
        if length_problem(config, Lengths(length, length)):
            expected += [None] * len(rows)
        else:
            expected += unpad(task.unpadded_targets(rows, task.parameters(config)))
    return expected


class Encoded(NamedTuple):
    """A source and the states after it: a hidden and a cell state for each layer."""

    source: list[int]
    hidden: list[list[float]]  # (layers, width)
    cell: list[list[float]]


def encode(run: AnyRun, sequences: Sequences) -> list[Encoded]:
    """Return the encoder's states after sequences, from which the decoder starts.

    The sequences are those that `predict` takes. Raises DataError for an empty sequence and for
    values outside the run's vocabulary.
    """
    lists = _as_lists(sequences)
    hidden, cell = encode_arrays(as_loaded(run), lists)
    return [
        Encoded(sequence, h.tolist(), c.tolist())
        for sequence, h, c in zip(lists, hidden, cell, strict=True)
    ]


def encode_arrays(loaded: LoadedRun, sequences: Sequence[Sequence[int]]) -> tuple[Floats, Floats]:
    """Return hidden and cell states after n sequences, (n, layers, width) each."""
    _check_sources(sequences, loaded.config.task.cardinality)
    if not sequences:
        raise DataError("there is no sequence to encode")
    parts = []
    longest = max(map(len, sequences), default=1)
    check(encoding_needs(loaded.config, longest, len(sequences)), error=DataError)
    size = loaded.batch_size(longest)
    for start in range(0, len(sequences), size):
        states, _ = loaded.encoder.encode(pad(sequences[start : start + size]))
        parts.append(
            (np.stack([s.hidden for s in states], 1), np.stack([s.cell for s in states], 1))
        )
    hidden, cell = zip(*parts, strict=True)
    return np.concatenate(hidden), np.concatenate(cell)


def _as_lists(sequences: Sequences) -> list[list[int]]:
    """Return one or several sequences as lists; DataError for what is not a sequence."""
    if isinstance(sequences, np.ndarray) and sequences.ndim == 3:
        sequences = one_hot_decode(sequences)
    rows = [sequences] if isinstance(sequences, str) else _as_list(sequences)
    if rows and not hasattr(rows[0], "__len__"):
        rows = [rows]
    return [_as_list(row) for row in rows]


def _as_list(sequence: Any) -> list[Any]:
    if isinstance(sequence, str):
        return list(parse_sequence(sequence))
    try:
        return list(sequence.tolist() if isinstance(sequence, np.ndarray) else sequence)
    except TypeError:
        raise DataError(f"{sequence!r} is not a sequence of integers") from None


def _check_sources(sequences: Sequence[Sequence[int]], cardinality: int) -> None:
    for sequence in sequences:
        if not len(sequence):
            raise DataError("the sequence is empty: give at least one integer")
        if check_ids(sequence, cardinality).ndim > 1:
            raise DataError(f"{sequence} is not a sequence of integers")


def write_states(
    path: Path, loaded: LoadedRun, sequences: Sequence[Sequence[int]], force: bool = False
) -> None:
    """Write `sources` (n, longest), `hidden` and `cell` (n, layers, width) to an `.npz` file.

    Raises ConfigurationError for another suffix, ExistsError if the file exists, unless `force` is
    set, and StorageError if writing fails.
    """
    if path.suffix.lower() != ".npz":
        raise ConfigurationError(f"{path}: the name should end in .npz")
    check_replaceable(path, force)
    hidden, cell = encode_arrays(loaded, sequences)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, sources=pad(sequences), hidden=hidden, cell=cell)
