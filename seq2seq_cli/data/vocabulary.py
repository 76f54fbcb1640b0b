"""The ids of a task's sequences, and how sequences are padded, ended and encoded.

A vocabulary of cardinality `c` has the ids `0 .. c-1`. Values are `1 .. c-1`; id 0 is reserved.
If targets have an end of sequence, its id is `c`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.errors import DataError

Ids = NDArray[np.int32]
Floats = NDArray[np.float32]

START = 0
"""Start of sequence: the decoder's first input."""

PADDING = 0
"""Pads a source or target to the longest of its batch; never a value, and never predicted."""


@dataclass(frozen=True)
class Vocabulary:
    """The ids of a task: `cardinality` ids and, if targets have one, the end of sequence."""

    cardinality: int
    has_end: bool = False

    @classmethod
    def of(cls, task: TaskConfig) -> "Vocabulary":
        """Return the vocabulary of a task's settings."""
        return cls(task.cardinality, task.has_end)

    @property
    def end(self) -> int | None:
        """The id that ends a target; None if the lengths of targets are known."""
        return self.cardinality if self.has_end else None

    @property
    def n_features(self) -> int:
        """The width of one-hot encoded targets, with the end of sequence if there is one."""
        return self.cardinality + int(self.has_end)

    def end_targets(self, targets: Ids) -> Ids:
        """Return padded targets (n, steps), each with its end of sequence: (n, steps + 1).

        Without an end of sequence they are returned as they are.
        """
        if self.end is None:
            return targets
        ended = np.pad(targets, ((0, 0), (0, 1)), constant_values=PADDING)
        ended[np.arange(len(targets)), lengths(targets)] = self.end
        return ended

    def without_end(self, targets: Ids) -> Ids:
        """Return targets (n, steps) with padding in place of the end of sequence."""
        return targets if self.end is None else np.where(targets == self.end, PADDING, targets)

    def strip(self, row: Ids) -> list[int]:
        """Return the values of a padded row (steps,): those before its end or padding."""
        stops = np.flatnonzero((row == PADDING) | (row >= self.cardinality))
        ids: list[int] = row[: stops[0] if len(stops) else None].tolist()
        return ids


def pad(sequences: Sequence[Sequence[int]]) -> Ids:
    """Return the sequences as int32 (n, longest), padded at their ends."""
    longest = max(len(sequence) for sequence in sequences)
    padded = np.full((len(sequences), longest), PADDING, np.int32)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded


def unpad(rows: Ids) -> Iterable[list[int]]:
    """Yield each of the padded rows (n, steps) as a list without its padding."""
    for row, length in zip(rows, lengths(rows), strict=True):
        yield row[:length].tolist()


def lengths(rows: Ids) -> NDArray[np.int64]:
    """Return the number of ids before the padding in each row (n, steps), (n,)."""
    counts: NDArray[np.int64] = (rows != PADDING).sum(axis=1)
    return counts


def widen(rows: Ids, width: int) -> Ids:
    """Return padded rows (n, steps) padded further to (n, width); `width` is at least `steps`."""
    return np.pad(rows, ((0, 0), (0, width - rows.shape[1])), constant_values=PADDING)


def shift_right(targets: Ids) -> Ids:
    """Return the decoder's input in training: START, then the target without its last token.

    `targets` and the result have shape (n, n_out).
    """
    shifted = np.empty_like(targets)
    shifted[:, :1] = START
    shifted[:, 1:] = targets[:, :-1]
    return shifted


def one_hot_encode(ids: ArrayLike, cardinality: int) -> Floats:
    """Encode ids of shape (..., steps) as float32 one-hot vectors (..., steps, cardinality).

    Raises DataError for an id that is not an integer in 0 .. cardinality-1.
    """
    array = check_ids(ids, cardinality, lowest=0)
    encoded = np.zeros((*array.shape, cardinality), np.float32)
    np.put_along_axis(encoded, array[..., None], 1, axis=-1)
    return encoded


def one_hot_decode(encoded: ArrayLike) -> Ids:
    """Decode one-hot vectors or probabilities (..., steps, cardinality) to ids (..., steps).

    Each vector becomes the index of its largest entry. Raises DataError for anything else.
    """
    array = _as_array(encoded)
    if array.ndim < 2 or not array.shape[-1] or array.dtype.kind not in "biuf":
        raise DataError(f"{array.dtype} of shape {array.shape}: give (..., steps, cardinality)")
    ids: Ids = array.argmax(axis=-1).astype(np.int32)
    return ids


def _as_array(values: ArrayLike) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise DataError("the sequences differ in length: an array has one length") from error


def check_ids(ids: ArrayLike, cardinality: int, lowest: int = 1) -> Ids:
    """Return `ids` as int32, or raise DataError naming the first one that is out of range.

    `lowest` is 1 for sources and targets, whose values exclude the reserved id, and 0 for
    decoder inputs.
    """
    array = _as_array(ids)
    if array.dtype.kind not in "iu" and array.size:
        raise DataError(f"{array.ravel()[0]!s} is not an integer: sequences hold integers only")
    wrong = array[(array < lowest) | (array >= cardinality)]
    if wrong.size:
        raise DataError(
            f"{wrong[0]} is not a value of this vocabulary: use {lowest} to {cardinality - 1}"
            + advice_on(int(wrong[0]), lowest)
        )
    return array.astype(np.int32)


def advice_on(value: int, lowest: int) -> str:
    """Return what to do about a value if it is the reserved id; otherwise an empty text."""
    is_reserved = value == PADDING < lowest
    return (
        f" ({PADDING} is reserved: where values begin with it, add 1 to all)" if is_reserved else ""
    )
