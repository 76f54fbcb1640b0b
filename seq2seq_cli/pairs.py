"""Pairs of sequences of any lengths, compact in memory: all values in one row, and the offsets."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.vocabulary import PADDING, Ids

Rows = NDArray[np.int64]

PART = 4096
"""Sequences that are padded together."""


@dataclass(frozen=True)
class Ragged:
    """Integer sequences of various lengths; 4 bytes an integer and 8 a sequence."""

    values: Ids  # (all integers,)
    offsets: Rows  # (n + 1,): where each sequence begins, and the last one ends

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Rows:
        """The sequences' lengths, (n,)."""
        return np.diff(self.offsets)

    @property
    def longest(self) -> int:
        """Length of the longest sequence."""
        return int(self.lengths.max())

    def padded(self, rows: Rows, width: int | None = None) -> Ids:
        """Return these sequences as int32 (len(rows), width), filled up with PADDING."""
        lengths = self.lengths[rows]
        places = np.arange(width or self.longest)
        index = np.minimum(self.offsets[rows][:, None] + places, max(0, len(self.values) - 1))
        return np.where(places < lengths[:, None], self.values[index], PADDING).astype(np.int32)

    def parts(self) -> Iterator[Ids]:
        """Yield all sequences in their order, some of them padded together at a time."""
        for start in range(0, len(self), PART):
            yield self.padded(np.arange(start, min(start + PART, len(self))))


class RaggedBuilder:
    """Collects sequences one by one."""

    def __init__(self) -> None:
        self._values, self._offsets = array("i"), array("q", [0])

    def append(self, sequence: Iterable[int]) -> None:
        """Add a sequence."""
        self._values.extend(sequence)
        self._offsets.append(len(self._values))

    def build(self) -> Ragged:
        """Return the sequences added."""
        return Ragged(np.array(self._values, np.int32), np.array(self._offsets, np.int64))


def ragged(sequences: Sequence[Sequence[int]]) -> Ragged:
    """Return the sequences as one Ragged."""
    builder = RaggedBuilder()
    for sequence in sequences:
        builder.append(sequence)
    return builder.build()


@dataclass(frozen=True)
class Pairs:
    """Sources and their targets, row by row."""

    sources: Ragged
    targets: Ragged

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def largest(self) -> int:
        """The largest value."""
        return int(max(self.sources.values.max(), self.targets.values.max()))
