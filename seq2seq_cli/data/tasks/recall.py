"""Tasks that find an integer by its neighbours, in sources of a special form.

The examples have cardinality 11.
"""

import numpy as np

from seq2seq_cli.data.tasks.task import Level, Parameters, Positions, SourceForm, register
from seq2seq_cli.data.vocabulary import Ids


def _query_last(drawn: Ids, positions: Positions, cardinality: int) -> Ids:
    """Return pairs of a key and a value, followed by one of the keys."""
    keys = np.take_along_axis(drawn, 2 * positions[:, None], axis=1)
    return np.concatenate([drawn, keys], axis=1)


def _hide_one(drawn: Ids, positions: Positions, cardinality: int) -> Ids:
    """Return the row twice, with the largest id hiding one integer."""
    sources = np.tile(drawn, (1, 2))
    sources[np.arange(len(sources)), positions] = cardinality - 1
    return sources


QUERY_LAST = SourceForm(
    _query_last,
    shortest=3,
    n_drawn=lambda n_in: n_in - 1,
    n_positions=lambda n_in: n_in // 2,
    # Any values; for each id as the query, the rows that have it among their keys.
    count=lambda n_in, values: (
        values ** (n_in // 2 + 1) * (values ** (n_in // 2) - (values - 1) ** (n_in // 2))
    ),
)

HIDE_ONE = SourceForm(
    _hide_one,
    shortest=2,
    n_drawn=lambda n_in: n_in // 2,
    n_positions=lambda n_in: n_in,
    count=lambda n_in, values: values ** (n_in // 2) * n_in,
    reserved=1,
)


@register(
    "associative-recall",
    "the value of a key, after pairs of key and value",
    Level.REGULAR,
    example=(4, 9, 2, 5, 4),
    alike="the same pairs in another order",
    form=QUERY_LAST,
)
def associative_recall(sources: Ids, parameters: Parameters) -> Ids:
    """Return the value of a key: the source has pairs of a key and a value, and the key at its end.

    If the key has several values, the target is the last of them. A source without the key has the
    target 1; none is drawn.

        4 9 2 5 4 -> 9
        4 9 4 5 4 -> 5

    Associative Recall (Graves et al. 2014, "Neural Turing machines"), with single keys as in Ba et
    al. 2016, "Using fast weights to attend to the recent past". Only the value of each id has to be
    remembered, so it is regular.
    """
    keys, values = sources[:, :-1:2], sources[:, 1::2]
    width = min(keys.shape[1], values.shape[1])
    # An extra first pair matches every key.
    matches = np.pad(keys[:, :width] == sources[:, -1:], ((0, 0), (1, 0)), constant_values=True)
    values = np.pad(values[:, :width], ((0, 0), (1, 0)), constant_values=1)
    last = width - matches[:, ::-1].argmax(axis=1, keepdims=True)
    return np.take_along_axis(values, last, axis=1)


@register(
    "missing-duplicate",
    "the integer that the largest id hides in one of two equal halves",
    Level.CONTEXT_SENSITIVE,
    example=(4, 9, 2, 4, 10, 2),
    least_cardinality=4,
    alike="those with the other copy hidden",
    form=HIDE_ONE,
)
def missing_duplicate(sources: Ids, parameters: Parameters) -> Ids:
    """Return the integer that the largest id hides in one of two copies of a row.

        4 9 2 4 10 2 -> 9
        10 4 4 4 -> 4

    Missing Duplicate String (Delétang et al. 2023).
    """
    n_in = sources.shape[1]
    hidden = (sources == parameters.n_values).argmax(axis=1, keepdims=True)
    return np.take_along_axis(sources, (hidden + n_in // 2) % n_in, axis=1)
