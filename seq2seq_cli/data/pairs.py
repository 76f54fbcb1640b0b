"""Pairs of sequences of any lengths, stored compactly, and read from the arrays of an archive."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.data.vocabulary import PADDING, Ids, check_ids
from seq2seq_cli.data.vocabulary import lengths as lengths_of
from seq2seq_cli.errors import DataError
from seq2seq_cli.resources import format_bytes
from seq2seq_cli.storage import reason

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

    def head(self, n: int) -> "Ragged":
        """Return the first `n` sequences."""
        return Ragged(self.values[: self.offsets[n]], self.offsets[: n + 1])

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


def parse_arrays(path: Path, content: bytes, cardinality: int, limit: int) -> Pairs:
    """Return the pairs in an `.npz` file: the integer arrays `sources` and `targets`, padded.

    Raises DataError if it does not have these, or if unpacked it has more than `limit` bytes.
    """
    try:
        with ZipFile(BytesIO(content)) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if size > limit:
                raise ValueError(
                    f"unpacked they have {format_bytes(size)}, more than {format_bytes(limit)}"
                )
            arrays = {name: _load_array(archive, name) for name in ("sources", "targets")}
    except Exception as error:  # a damaged archive fails in many ways
        raise DataError(
            f"{path}: should hold the arrays sources and targets ({reason(error)})"
        ) from error
    sources, targets = (
        _from_array(path, name, array, cardinality) for name, array in arrays.items()
    )
    if len(sources) != len(targets):
        raise DataError(f"{path}: {len(sources)} sources but {len(targets)} targets")
    return Pairs(sources, targets)


def _load_array(archive: ZipFile, name: str) -> NDArray[Any]:
    with archive.open(f"{name}.npy") as member:
        array: NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
    return array


def _from_array(path: Path, name: str, array: NDArray[Any], cardinality: int) -> Ragged:
    may_be_empty = name == "targets"
    if array.ndim != 2 or array.dtype.kind not in "iu" or not (array.size or may_be_empty):
        raise DataError(f"{path}: {name} should be integers of shape (n, steps)")
    is_value = array != PADDING
    begins = may_be_empty or is_value[:, 0].all()
    if not begins or (is_value[:, 1:] > is_value[:, :-1]).any():
        raise DataError(
            f"{path}: {name} has {PADDING} before the end of a row: it is reserved; add 1 to every "
            "value"
        )
    try:
        return from_padded(check_ids(array, cardinality, lowest=0))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
