"""Tasks whose targets hold the source's integers in another order, or more than once.

The examples are `source -> target`, with cardinality 11 and the default k unless another is shown.
"""

import numpy as np

from seq2seq_cli.data.tasks.task import OTHER_ORDER, Level, Number, Parameters, register
from seq2seq_cli.data.vocabulary import Ids


@register(
    "reverse-prefix",
    "the first n_out integers, reversed",
    Level.CONTEXT_FREE,
    takes_n_out=True,
    alike="others with the same beginning",
)
def reverse_prefix(sources: Ids, parameters: Parameters) -> Ids:
    """Return the first `n_out` integers, reversed: the tutorial's task.

        4 9 2 4 7 -> 2 9 4  (n_out = 3)
        4 9 2 4 7 -> 4  (n_out = 1)

    A part of Reverse String (Delétang et al. 2023, "Neural networks and the Chomsky hierarchy"). It
    is context-free where n_out grows with the source; a fixed number of integers is regular.
    """
    return sources[:, : parameters.n_out][:, ::-1]


@register("reverse", "all integers, reversed", Level.CONTEXT_FREE)
def reverse(sources: Ids, parameters: Parameters) -> Ids:
    """Return the whole source, reversed.

        4 9 2 4 7 -> 7 4 2 9 4
        3 -> 3

    Reverse String (Delétang et al. 2023); reversal (Grefenstette et al. 2015, "Learning to
    transduce with unbounded memory").
    """
    return sources[:, ::-1]


@register("copy", "all integers, as they are", Level.CONTEXT_SENSITIVE)
def copy(sources: Ids, parameters: Parameters) -> Ids:
    """Return the source as it is.

        4 9 2 4 7 -> 4 9 2 4 7
        3 -> 3

    Copy (Graves et al. 2014, "Neural Turing machines").
    """
    return sources


@register("sort", "all integers, in ascending order", Level.CONTEXT_SENSITIVE, alike=OTHER_ORDER)
def sort(sources: Ids, parameters: Parameters) -> Ids:
    """Return the source's integers in ascending order.

        4 9 2 4 7 -> 2 4 4 7 9
        3 1 -> 1 3

    Bucket Sort (Delétang et al. 2023).
    """
    return np.sort(sources, axis=1)


@register("duplicate", "the source twice", Level.CONTEXT_SENSITIVE, example=(4, 9, 2))
def duplicate(sources: Ids, parameters: Parameters) -> Ids:
    """Return the source twice.

        4 9 2 -> 4 9 2 4 9 2
        3 -> 3 3

    Duplicate String (Delétang et al. 2023).
    """
    return np.tile(sources, (1, 2))


@register(
    "repeat-copy",
    "the source k times",
    Level.CONTEXT_SENSITIVE,
    example=(4, 9, 2),
    number=Number(lambda cardinality: 2, lambda n_values: 1000),
)
def repeat_copy(sources: Ids, parameters: Parameters) -> Ids:
    """Return the source `k` times.

        4 9 2 -> 4 9 2 4 9 2 4 9 2  (k = 3)
        4 9 -> 4 9 4 9

    Repeat Copy (Graves et al. 2014), where the number is in the source; here it is a setting.
    """
    return np.tile(sources, (1, parameters.k))


@register(
    "odds-first", "the 1st, 3rd, 5th... integer, then the 2nd, 4th...", Level.CONTEXT_SENSITIVE
)
def odds_first(sources: Ids, parameters: Parameters) -> Ids:
    """Return the first, third, fifth... integer, and then the second, fourth, sixth...

        4 9 2 4 7 -> 4 2 7 9 4
        4 9 2 5 -> 4 2 9 5

    Odds First (Delétang et al. 2023).
    """
    return np.concatenate([sources[:, ::2], sources[:, 1::2]], axis=1)


@register(
    "rotate",
    "the first k integers moved to the end",
    Level.CONTEXT_SENSITIVE,
    number=Number(lambda cardinality: 1, lambda n_values: 1_000_000),
)
def rotate(sources: Ids, parameters: Parameters) -> Ids:
    """Return the source rotated to the left by `k` positions: the first `k` integers come last.

        4 9 2 4 7 -> 9 2 4 7 4
        4 9 2 -> 9 2 4  (k = 4)

    Rotating a vector (Bentley 1986, "Programming pearls", column 2).
    """
    return np.roll(sources, -parameters.k, axis=1)


@register("swap-pairs", "the integers of each pair swapped", Level.CONTEXT_SENSITIVE)
def swap_pairs(sources: Ids, parameters: Parameters) -> Ids:
    """Return the source with the integers of each pair swapped; an unpaired last one stays.

        4 9 2 5 -> 9 4 5 2
        4 9 2 5 7 -> 9 4 5 2 7

    Bigram flipping (Grefenstette et al. 2015).
    """
    paired = sources.shape[1] // 2 * 2
    targets = sources.copy()
    targets[:, 0:paired:2], targets[:, 1:paired:2] = sources[:, 1:paired:2], sources[:, 0:paired:2]
    return targets
