"""NumPy's arrays in files that others may have made: the header is judged before values are read.

Nothing is unpickled, and no more is read than a header says and the memory has room for.
"""

import warnings
from collections.abc import Callable
from math import prod
from typing import BinaryIO, NamedTuple
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.archive import MOST_DEFLATED, find_member

MOST_HEADER = 10_000 + 12
"""Bytes before an array's values, at the most."""

_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class Header(NamedTuple):
    """What stands before an array's values."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[np.generic]

    @property
    def n_bytes(self) -> int:
        """Bytes of the values."""
        return prod(self.shape) * self.dtype.itemsize

    def array(self, values: bytes) -> NDArray[np.generic]:
        """Return the array of these values; ValueError where there are fewer, or more."""
        if len(values) != self.n_bytes:
            raise ValueError(f"it has {len(values):,} bytes of values, and says {self.n_bytes:,}")
        order = "F" if self.is_fortran else "C"
        return np.frombuffer(values, self.dtype).reshape(self.shape, order=order)  # type: ignore[call-overload,no-any-return]


Judge = Callable[[Header], None]
"""Raises an error for an array that is not wanted."""


def read_header(file: BinaryIO) -> Header:
    """Return the header of an `.npy` file, up to its values; ValueError where it has none."""
    version = np.lib.format.read_magic(file)
    if version not in _READERS:
        raise ValueError("it is in another version of the format")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers that Python 2 wrote
        header = Header(*_READERS[version](file))
    if header.dtype.hasobject or min(header.shape, default=0) < 0:
        raise ValueError(f"it has {header.dtype} of shape {header.shape}")
    return header


def read_member_array(archive: ZipFile, name: str, judge: Judge) -> NDArray[np.generic]:
    """Return an array of an `.npz` file, after `judge` has seen its header.

    What is damaged raises ValueError, or whatever zipfile, zlib and NumPy raise.
    """
    member = find_member(archive, f"{name}.npy", shrunk=MOST_DEFLATED)
    with archive.open(member) as file:
        header = read_header(file)  # type: ignore[arg-type]
        judge(header)
        return header.array(file.read(header.n_bytes + 1))
