"""Tasks that calculate with the integers; the examples have cardinality 11.

In modular tasks id `i` stands for the digit `i - 1`: with cardinality 11 the ids 1 .. 10 are the
digits 0 .. 9.
"""

import numpy as np

from seq2seq_cli.data.tasks.task import OTHER_ORDER, Integers, Level, Number, Parameters, register
from seq2seq_cli.data.vocabulary import Ids


@register(
    "shift-values",
    "each integer plus k; after the largest follows 1",
    Level.CONTEXT_SENSITIVE,
    number=Number(lambda cardinality: 1, lambda n_values: n_values - 1),
    least_cardinality=3,
)
def shift_values(sources: Ids, parameters: Parameters) -> Ids:
    """Return each integer plus `k`, where 1 follows the largest value.

        4 9 2 -> 5 10 3
        4 9 10 -> 7 2 3  (k = 3)

    Caesar's cipher, learned by Gomez et al. 2018, "Unsupervised cipher cracking using discrete
    GANs".
    """
    return (sources - 1 + parameters.k) % parameters.n_values + 1


@register(
    "prefix-sum", "the digits' sums so far, modulo; id i is digit i - 1", Level.CONTEXT_SENSITIVE
)
def prefix_sum(sources: Ids, parameters: Parameters) -> Integers:
    """Return at each position the sum of the digits so far, modulo their number.

        2 3 5 -> 2 4 8
        9 9 1 -> 9 7 7

    Prefix sums (Blelloch 1990, "Prefix sums and their applications"), learned modulo 2 by
    Schwarzschild et al. 2021, "Can you learn an algorithm?".
    """
    return np.cumsum(sources - 1, axis=1, dtype=np.int64) % parameters.n_values + 1


@register("running-max", "the largest integer so far", Level.CONTEXT_SENSITIVE)
def running_max(sources: Ids, parameters: Parameters) -> Ids:
    """Return at each position the largest integer so far.

        4 2 9 4 -> 4 4 9 9
        3 1 -> 3 3

    A scan with the maximum (Blelloch 1990).
    """
    return np.maximum.accumulate(sources, axis=1)


@register(
    "parity",
    "1 for an even number of even integers, else 2",
    Level.REGULAR,
    least_cardinality=3,
    alike="all with the same number of even integers",
)
def parity(sources: Ids, parameters: Parameters) -> Integers:
    """Return 1 if the number of even integers is even, and 2 if it is odd.

        4 9 2 -> 1
        4 9 1 -> 2

    Parity Check (Delétang et al. 2023), which has two values; with more each is even or odd.
    """
    n_even: Integers = (sources % 2 == 0).sum(axis=1, keepdims=True)
    return n_even % 2 + 1


@register(
    "modular-addition",
    "the digits' sum, modulo; id i is digit i - 1",
    Level.REGULAR,
    alike=OTHER_ORDER,
)
def modular_addition(sources: Ids, parameters: Parameters) -> Integers:
    """Return the sum of all digits, modulo their number.

        2 3 5 -> 8
        9 9 1 -> 7

    For two integers as in Power et al. 2022, "Grokking"; for many, Modular Arithmetic with addition
    only (Delétang et al. 2023).
    """
    total: Integers = (sources - 1).sum(axis=1, keepdims=True, dtype=np.int64)
    return total % parameters.n_values + 1


@register(
    "addition",
    "the sum of two numbers, the halves; id i is digit i - 1",
    Level.CONTEXT_SENSITIVE,
    example=(2, 3, 9, 9),
    digit_order="big-endian",
    least_cardinality=3,
    alike="those with the numbers, or their digits at one position, swapped",
)
def addition(sources: Ids, parameters: Parameters) -> Integers:
    """Return the sum of the two numbers whose digits are the source's first and second half.

    The base is the number of values. If the source's length is odd, the first number has one more
    digit than the second; the sum has one more digit than the first. All three numbers have the
    same `digit_order`: big-endian, most significant digit first, or little-endian, least first.

        2 3 9 9 -> 2 1 1
        2 3 9 9 -> 10 1 2  (digit_order = little-endian)
        2 3 9 -> 1 3 1

    Binary Addition (Delétang et al. 2023); for the order of the digits see Lee et al. 2023,
    "Teaching arithmetic to small transformers".
    """
    n, n_in = sources.shape
    length = n_in - n_in // 2
    is_big = parameters.digit_order == "big-endian"
    total = np.zeros((n, length + 1), np.int64)  # digits, the least significant first
    for number in (sources[:, :length], sources[:, length:]):
        total[:, : number.shape[1]] += (number[:, ::-1] if is_big else number) - 1
    for position in range(length):
        carried, total[:, position] = np.divmod(total[:, position], parameters.n_values)
        total[:, position + 1] += carried
    return (total[:, ::-1] if is_big else total) + 1
