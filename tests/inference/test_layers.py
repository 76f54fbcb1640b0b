"""The layers' arithmetic, against formulas that are spelled out."""

import numpy as np
import pytest

from seq2seq_cli.inference.layers import position_biases


@pytest.mark.parametrize(("source_last", "target_last", "first"), [(4, 0, 0), (2, 3, 0), (4, 3, 1)])
def test_biases_are_those_of_the_formula(source_last, target_last, first):
    n_in, n_out, radius = 5, 3, 2
    a, b, c, d = tables = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)

    def at(table, offset):
        return table[max(-radius, min(radius, offset)) + radius]

    expected = np.zeros((n_out, n_in + 2))
    for row, t in enumerate(range(first, first + n_out)):
        for slot, j in enumerate(range(-1, n_in + 1)):
            i, s = source_last - j, target_last - t
            total = at(a, j - t) + at(b, j - s) + at(c, i - t) + at(d, i - s)
            expected[row, slot] = 20 * total
    ends = (np.array([[value]]) for value in (source_last, target_last, first))
    biases = position_biases(tables, n_in, n_out, *ends)
    np.testing.assert_allclose(biases[0], expected, rtol=1e-5)
