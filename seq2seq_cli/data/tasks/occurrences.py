"""Tasks about which integers occur: some of the source's integers, or how often each occurs.

The examples have cardinality 11.
"""

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.data.tasks.task import OTHER_ORDER, Integers, Level, Number, Parameters, register
from seq2seq_cli.data.vocabulary import PADDING, Ids


@register("unique", "each integer once, as they first occur", Level.REGULAR, ends_early=True)
def unique(sources: Ids, parameters: Parameters) -> Ids:
    """Return each integer once, in order of first occurrence.

        4 9 2 4 7 -> 4 9 2 7
        3 3 3 -> 3

    The elements that a distinct count counts (Flajolet & Martin 1985, "Probabilistic counting
    algorithms"). Only the ids seen so far have to be remembered, so it is regular.
    """
    order = np.argsort(sources, axis=1, kind="stable")
    ordered = np.take_along_axis(sources, order, axis=1)
    is_first = np.ones(sources.shape, np.bool_)
    np.put_along_axis(is_first, order[:, 1:], ordered[:, 1:] != ordered[:, :-1], axis=1)
    return _keep(sources, is_first)


@register(
    "filter",
    "the integers larger than the first",
    Level.CONTEXT_SENSITIVE,
    ends_early=True,
    alike="others with smaller integers elsewhere",
)
def larger_than_first(sources: Ids, parameters: Parameters) -> Ids:
    """Return the integers that are larger than the first one.

        4 9 2 4 7 -> 9 7
        4 2 ->

    One side of Quicksort's partition (Hoare 1962, "Quicksort"). The task is called `filter`.
    """
    return _keep(sources, sources > sources[:, :1])


@register(
    "selective-copy",
    "the integers larger than k; the others are noise",
    Level.CONTEXT_SENSITIVE,
    ends_early=True,
    number=Number(lambda cardinality: cardinality // 2, lambda n_values: n_values - 1),
    least_cardinality=3,
    alike="others with the noise elsewhere",
)
def selective_copy(sources: Ids, parameters: Parameters) -> Ids:
    """Return the integers that are larger than `k`; the others, 1 .. k, are noise.

        4 9 2 4 7 -> 9 7
        4 9 2 4 7 -> 9  (k = 8)

    Selective Copying (Gu & Dao 2023, "Mamba"), the denoise task of Jing et al. 2019, "Gated
    orthogonal recurrent units".
    """
    return _keep(sources, sources > parameters.k)


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
    targets[:, ::2] = _keep(sources, begins)
    targets[:, 1::2] = _counts(np.cumsum(begins, axis=1) - 1)
    return targets


def _keep(sources: Ids, kept: NDArray[np.bool_]) -> Ids:
    """Return the kept integers (n, n_in) in order, padded at the end."""
    order = np.argsort(~kept, axis=1, kind="stable")
    positions = np.arange(sources.shape[1])
    n_kept = kept.sum(axis=1, keepdims=True)
    return np.where(positions < n_kept, np.take_along_axis(sources, order, axis=1), PADDING)


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
