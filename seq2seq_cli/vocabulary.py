"""The reserved ids, and the one-hot encoding of integer sequences.

A vocabulary of cardinality `c` has the ids `0 .. c-1`. Values are `1 .. c-1`; id 0 is reserved.
Where lengths vary, the id `c` ends a target.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from seq2seq_cli.errors import DataError

Ids = NDArray[np.int32]
Floats = NDArray[np.float32]

START = 0
"""Start of sequence: the decoder's first input."""

PADDING = 0
"""Fills a source or target up to the longest of its batch; never a value."""


def end_sequences(targets: Ids, end: int) -> Ids:
    """Return padded targets (n, steps) with the id `end` after each one's last: (n, steps + 1)."""
    ended = np.pad(targets, ((0, 0), (0, 1)), constant_values=PADDING)
    lengths = (targets != PADDING).sum(axis=1)
    ended[np.arange(len(targets)), lengths] = end
    return ended


def shift_right(targets: Ids) -> Ids:
    """Return the decoder's input in training: the target moved one step right, after START.

    `targets` and the result have shape (n, n_out).
    """
    shifted = np.empty_like(targets)
    shifted[:, :1] = START
    shifted[:, 1:] = targets[:, :-1]
    return shifted


def one_hot_encode(ids: ArrayLike, cardinality: int) -> Floats:
    """Encode ids of shape (..., steps) as float32 one-hot vectors (..., steps, cardinality).

    Raises DataError for an id that is no integer in 0 .. cardinality-1.
    """
    array = check_ids(ids, cardinality, lowest=0)
    encoded = np.zeros((*array.shape, cardinality), np.float32)
    np.put_along_axis(encoded, array[..., None], 1, axis=-1)
    return encoded


def one_hot_decode(encoded: ArrayLike) -> Ids:
    """Decode one-hot vectors or probabilities (..., steps, cardinality) to ids (..., steps).

    Each vector becomes the index of its largest entry.
    """
    ids: Ids = np.asarray(encoded).argmax(axis=-1).astype(np.int32)
    return ids


def check_ids(ids: ArrayLike, cardinality: int, lowest: int = 1) -> Ids:
    """Return `ids` as int32, or raise DataError naming the first one that is out of place.

    `lowest` is 1 for sources and targets, whose values exclude the reserved id, and 0 for
    decoder inputs.
    """
    array: NDArray[Any] = np.asarray(ids)
    if array.dtype.kind not in "iu" and array.size:
        raise DataError(f"{array.ravel()[0]!s} is not an integer: sequences hold integers only")
    wrong = array[(array < lowest) | (array >= cardinality)]
    if wrong.size:
        raise DataError(
            f"{wrong[0]} is not a value of this vocabulary: use {lowest} to {cardinality - 1}"
        )
    return array.astype(np.int32)
