"""Tasks that find an integer by what stands beside it, in sources that have a form (`shapes`).

An example has cardinality 11.
"""

import numpy as np

from seq2seq_cli.data.tasks.task import Parameters
from seq2seq_cli.data.vocabulary import Ids


def associative_recall(sources: Ids, parameters: Parameters) -> Ids:
    """Return the value of a key: after pairs of a key and a value the key stands alone, last.

    If the key has several values, it is the last of them. A source with no such pair has the
    target 1; none is drawn.

        4 9 2 5 4 -> 9
        4 9 4 5 4 -> 5

    Associative Recall (Graves et al. 2014, "Neural Turing machines"), with single keys as in Ba et
    al. 2016, "Using fast weights to attend to the recent past". The value of each id is all that
    has to be remembered, so it is regular.
    """
    keys, values = sources[:, :-1:2], sources[:, 1::2]
    width = min(keys.shape[1], values.shape[1])
    # A pair that is always found stands before all others.
    found = np.pad(keys[:, :width] == sources[:, -1:], ((0, 0), (1, 0)), constant_values=True)
    values = np.pad(values[:, :width], ((0, 0), (1, 0)), constant_values=1)
    last = width - found[:, ::-1].argmax(axis=1, keepdims=True)
    return np.take_along_axis(values, last, axis=1)


def missing_duplicate(sources: Ids, parameters: Parameters) -> Ids:
    """Return the integer that is hidden: a row stands there twice, and the largest id hides one.

        4 9 2 4 10 2 -> 9
        10 4 4 4 -> 4

    Missing Duplicate String (Delétang et al. 2023).
    """
    n_in = sources.shape[1]
    hidden = (sources == parameters.n_values).argmax(axis=1, keepdims=True)
    return np.take_along_axis(sources, (hidden + n_in // 2) % n_in, axis=1)
