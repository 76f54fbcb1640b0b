"""Tasks whose targets are some of the source's integers: they may end early, and may be empty.

The examples have cardinality 11.
"""

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.data.tasks.registry import register
from seq2seq_cli.data.tasks.task import Level, Number, Parameters
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
    return keep(sources, is_first)


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
    return keep(sources, sources > sources[:, :1])


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
    return keep(sources, sources > parameters.k)


def keep(sources: Ids, kept: NDArray[np.bool_]) -> Ids:
    """Return the kept integers (n, n_in) in order, padded at the end."""
    order = np.argsort(~kept, axis=1, kind="stable")
    positions = np.arange(sources.shape[1])
    n_kept = kept.sum(axis=1, keepdims=True)
    return np.where(positions < n_kept, np.take_along_axis(sources, order, axis=1), PADDING)
