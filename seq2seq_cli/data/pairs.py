"""Pairs of sequences of any lengths, stored compactly: one array of values, one of offsets."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.data.vocabulary import PADDING, Ids
from seq2seq_cli.data.vocabulary import lengths as lengths_of
from seq2seq_cli.errors import DataError

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Ragged:
    """Integer sequences of various lengths; 4 bytes per integer and 8 per sequence."""

    values: Ids  # (all integers,)
    offsets: Rows  # (n + 1,): where each sequence begins, and the last one ends

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> Rows:
        """The sequences' lengths, (n,)."""
        return np.diff(self.offsets)

    @property
    def longest(self) -> int:
        """Length of the longest sequence."""
        return int(self.lengths.max())

    def padded(self, rows: Rows, width: int) -> Ids:
        """Return these sequences as int32 (len(rows), width), padded at the end.

        Raises DataError if one of them is longer.
        """
        lengths = self.lengths[rows]
        if len(rows) and lengths.max() > width:
            raise DataError(f"a sequence of {lengths.max()} integers is longer than {width}")
        positions = np.arange(width)
        if not len(self.values):
            return np.full((len(rows), width), PADDING, np.int32)
        index = np.minimum(self.offsets[rows][:, None] + positions, len(self.values) - 1)
        return np.where(positions < lengths[:, None], self.values[index], PADDING).astype(np.int32)


class RaggedBuilder:
    """Collects sequences one by one."""

    def __init__(self) -> None:
        self._values, self._offsets = array("i"), array("q", [0])

    def append(self, sequence: Iterable[int]) -> None:
        """Add a sequence."""
        self._values.extend(sequence)
        self._offsets.append(len(self._values))

    def build(self) -> Ragged:
        """Return the sequences that were added."""
        return Ragged(np.array(self._values, np.int32), np.array(self._offsets, np.int64))


def from_padded(rows: Ids) -> Ragged:
    """Return padded rows (n, steps) as a Ragged, without their padding."""
    offsets = np.concatenate([[0], np.cumsum(lengths_of(rows))]).astype(np.int64)
    return Ragged(rows[rows != PADDING], offsets)


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
        return int(max(self.sources.values.max(), self.targets.values.max(initial=0)))
