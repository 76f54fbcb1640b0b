"""Files whose content is hashed as it is read, once."""

import hashlib
import io
from pathlib import Path
from typing import Any

from seq2seq_cli.data.files.formats import ARCHIVE_MARK
from seq2seq_cli.errors import DataError
from seq2seq_cli.resources import Need, check

PART = 2**22
"""Bytes that are read of an archive before it is asked again whether the memory has room."""


class HashingFile(io.BufferedReader):
    """A file whose content is hashed as it is read."""

    def __init__(self, path: Path) -> None:
        self._digest = hashlib.sha256()
        super().__init__(_HashedBytes(path, self._digest), 2**16)

    def hexdigest(self) -> str:
        """Return the SHA-256 of the whole file, which is read to its end."""
        while self.read(2**20):
            pass
        return self._digest.hexdigest()


class _HashedBytes(io.FileIO):
    def __init__(self, path: Path, digest: Any) -> None:
        super().__init__(path)
        self._digest = digest

    def readinto(self, buffer: Any) -> int | None:
        n = super().readinto(buffer)
        self._digest.update(memoryview(buffer)[:n])
        return n

    def readall(self) -> bytes:
        content = super().readall()
        self._digest.update(content)
        return content


def combined(hashes: list[str]) -> str:
    """Return the one SHA-256 of files with these."""
    digest = hashlib.sha256()
    for found in hashes:
        digest.update(bytes.fromhex(found))
    return digest.hexdigest()


def read_archive(path: Path, file: HashingFile) -> io.BytesIO:
    """Return the content of an `.npz` file; DataError where it is none, or fills the memory."""
    content, begins = io.BytesIO(), file.peek(4)[: len(ARCHIVE_MARK)]
    if begins != ARCHIVE_MARK:
        raise DataError(f"{path}: should hold the arrays sources and targets (it is no archive)")
    size = path.stat().st_size if path.is_file() else 0
    while True:
        check([Need("reading it", size, {f"{path}: bytes": size})], error=DataError)
        part = file.read(PART)
        if not part:
            return content
        content.write(part)
        size = max(size, content.tell())
