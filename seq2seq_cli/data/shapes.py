"""Sources that are not uniform: how those of some tasks are made of drawn integers.

They are made before their hash decides on which side of the split they are, so that no source is
on both sides.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.config import Lengths
from seq2seq_cli.data.vocabulary import PADDING, Ids

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Shape:
    """How a source of one length is made of `n_drawn` integers and a place below `n_places`.

    `function` takes these, (n, n_drawn) and (n,), and the cardinality, and returns the sources,
    (n, n_in). The integers are drawn from all values but the `reserved` largest. Lengths are
    `shortest` and others by 2 longer. `count` returns how many sources there are of a length and so
    many values.
    """

    function: Callable[[Ids, Places, int], Ids]
    shortest: int
    n_drawn: Callable[[int], int]
    n_places: Callable[[int], int]
    count: Callable[[int, int], int]
    reserved: int = 0

    def lengths(self, wanted: Lengths) -> range:
        """Return those of the lengths that sources can have."""
        longer = max(0, wanted.shortest - self.shortest)
        return range(self.shortest + (longer + 1) // 2 * 2, wanted.longest + 1, 2)

    def fit(self, length: int) -> int:
        """Return the longest length that sources can have up to this one, or the shortest."""
        return self.shortest + max(0, length - self.shortest) // 2 * 2

    def problem(self, wanted: Lengths) -> str:
        """Return why there are no sources of any of these lengths; nothing if there are."""
        if self.lengths(wanted):
            return ""
        several = ", ".join(str(self.shortest + 2 * i) for i in range(3))
        return f"sources of this task have {several}... integers"

    def draw(
        self, generator: np.random.Generator, drawn: Ids, possible: range, cardinality: int
    ) -> Ids:
        """Return padded sources of possible lengths, made of integers drawn; (n, longest) both."""
        n_in = possible.start + possible.step * generator.integers(0, len(possible), len(drawn))
        sources = np.full(drawn.shape, PADDING, np.int32)
        for length in np.unique(n_in).tolist():
            mine = drawn[n_in == length, : self.n_drawn(length)]
            places = generator.integers(0, self.n_places(length), len(mine))
            sources[n_in == length, :length] = self.function(mine, places, cardinality)
        return sources


def query_last(drawn: Ids, places: Places, cardinality: int) -> Ids:
    """Return pairs of a key and a value, and after them one of the keys."""
    return np.concatenate([drawn, np.take_along_axis(drawn, 2 * places[:, None], axis=1)], axis=1)


def hide_one(drawn: Ids, places: Places, cardinality: int) -> Ids:
    """Return the row twice, with the largest id in one place."""
    sources = np.tile(drawn, (1, 2))
    sources[np.arange(len(sources)), places] = cardinality - 1
    return sources


SHAPES = {
    "associative-recall": Shape(
        query_last,
        shortest=3,
        n_drawn=lambda n_in: n_in - 1,
        n_places=lambda n_in: n_in // 2,
        # Any values; for each id that is asked for, the keys that it is one of.
        count=lambda n_in, values: (
            values ** (n_in // 2 + 1) * (values ** (n_in // 2) - (values - 1) ** (n_in // 2))
        ),
    ),
    "missing-duplicate": Shape(
        hide_one,
        shortest=2,
        n_drawn=lambda n_in: n_in // 2,
        n_places=lambda n_in: n_in,
        count=lambda n_in, values: values ** (n_in // 2) * n_in,
        reserved=1,
    ),
}
"""The shapes of tasks' sources, by the tasks' names; all others' are uniform."""
