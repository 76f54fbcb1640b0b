"""Tasks that count how often integers occur, or repeat. The examples have cardinality 11."""

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.data.tasks.excerpts import keep
from seq2seq_cli.data.tasks.registry import register
from seq2seq_cli.data.tasks.task import OTHER_ORDER, Integers, Level, Parameters
from seq2seq_cli.data.vocabulary import Ids


@register("histogram", "how often each integer occurs", Level.CONTEXT_SENSITIVE, counts=True)
def histogram(sources: Ids, parameters: Parameters) -> Integers:
    """Return at each position how often its integer occurs in the source.

        4 9 2 4 7 -> 2 1 1 2 1
        3 3 3 -> 3 3 3

    Histogram (Weiss et al. 2021, "Thinking like transformers").
    """
    return _occurrences(sources)


@register(
    "mode",
    "the integer that occurs most often, or the smallest of them",
    Level.CONTEXT_SENSITIVE,
    alike=OTHER_ORDER,
)
def mode(sources: Ids, parameters: Parameters) -> Ids:
    """Return the integer that occurs most often, the smallest if there are several.

        4 9 2 4 7 -> 4
        9 5 5 9 1 -> 5

    Mode (Zhou et al. 2023, "What algorithms can transformers learn?").
    """
    counts = _occurrences(sources)
    is_most = counts == counts.max(axis=1, keepdims=True)
    smallest: Ids = np.where(is_most, sources, parameters.cardinality).min(axis=1, keepdims=True)
    return smallest


@register(
    "run-length",
    "each run of equal integers: the integer and its length",
    Level.CONTEXT_SENSITIVE,
    example=(4, 4, 4, 9, 4),
    ends_early=True,
)
def run_length(sources: Ids, parameters: Parameters) -> Ids:
    """Return each run of equal integers as the integer and its number of repetitions.

    A run longer than the largest value is split into several.

        4 4 4 9 4 -> 4 3 9 1 4 1
        1 1 1 2 -> 1 2 1 1 2 1  (cardinality = 3)

    Run-length encoding (Golomb 1966, "Run-length encodings").
    """
    n, n_in = sources.shape
    positions = np.arange(n_in)
    differs = np.ones((n, n_in), np.bool_)
    differs[:, 1:] = sources[:, 1:] != sources[:, :-1]
    first = np.maximum.accumulate(np.where(differs, positions, 0), axis=1)
    begins = (positions - first) % parameters.n_values == 0
    targets = np.zeros((n, 2 * n_in), np.int32)
    targets[:, ::2] = keep(sources, begins)
    targets[:, 1::2] = _counts(np.cumsum(begins, axis=1) - 1)
    return targets


def _occurrences(sources: Ids) -> NDArray[np.int64]:
    """Return how often each integer occurs in its row, (n, n_in)."""
    order = np.argsort(sources, axis=1, kind="stable")
    ordered = np.take_along_axis(sources, order, axis=1)
    differs = np.zeros(sources.shape, np.int64)
    differs[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    number = np.cumsum(differs, axis=1)
    counts = np.empty(sources.shape, np.int64)
    np.put_along_axis(counts, order, np.take_along_axis(_counts(number), number, axis=1), axis=1)
    return counts


def _counts(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how often each of 0 .. width-1 occurs in its row, (n, width) both."""
    n, width = numbers.shape
    flat = (numbers + width * np.arange(n)[:, None]).ravel()
    return np.bincount(flat, minlength=n * width).reshape(n, width)
