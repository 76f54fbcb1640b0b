"""Files that are either complete or absent: atomic writes, bounded reads, hashes, zip archives.

A file that is being written has the name `.STEM.s2s-TOKEN.SUFFIX` in the same folder.
"""

import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from seq2seq_cli.errors import ConfigurationError, ExistsError, StorageError

TEMPORARY = re.compile(r"\..+\.s2s-[0-9a-f]{16}(\.\w+)?")

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a write without room: the disk is full, or a quota or a limit is reached."""

_under_way: list[Path] = []
"""The temporary files that this process is writing."""

RESULT_FILES = ("run.json", "sweep.jsonl")
"""Every complete run and every sweep with a result has one of these in its folder."""

PROTECTED = re.compile(r"(run|sweep.*|history)\.jsonl?|(config|sweep)\.toml|.*\.keras")
"""Names of the files in such a folder that nothing else may replace."""

MOST_COMPRESSED = 20
"""Maximum ratio of a member's size to its compressed size; weights hardly compress."""

READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`; if the block succeeds, it is renamed to `path`.

    The content is flushed to the disk before the rename. When the block fails, the temporary
    file is removed and `path` is as it was. The suffix of `path` is kept, since some writers
    choose their format by it. Raises StorageError, naming `path`, if writing fails.
    """
    temporary = path.with_name(f".{path.stem}.s2s-{secrets.token_hex(8)}{path.suffix}")
    _under_way.append(temporary)
    try:
        yield temporary
        flush_file(temporary)
        temporary.replace(path)
        flush_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            name = error.filename
            is_another = isinstance(name, str) and name != str(temporary)
            raise unwritable(Path(name) if is_another else path, error) from error
        raise
    finally:
        _under_way.remove(temporary)


def is_writing() -> bool:
    """Return whether any thread of this process is writing a file that is not complete yet."""
    return bool(_under_way)


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Yield a new folder in `parent`, removed when the block ends; `tempfile` uses it meanwhile."""
    folder = parent / f".files.s2s-{secrets.token_hex(8)}"
    folder.mkdir()
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield folder
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)


def remove_temporary(folder: Path) -> None:
    """Remove half-written files of killed processes; no live process may be writing there."""
    for path in folder.glob(".*.s2s-*"):
        if not TEMPORARY.fullmatch(path.name):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def append_line(path: Path, line: str) -> None:
    """Append a line to `path` and flush it to the disk; StorageError if that fails."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise unwritable(path, error) from error


def check_folder(folder: Path) -> None:
    """Raise StorageError if a folder cannot be created, or used, because a file has its place."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise StorageError(f"cannot write {folder}: {nearest} is not a folder")


def make_folder(folder: Path) -> None:
    """Create a folder and its parents if needed; StorageError if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error


def unwritable(path: Path, error: OSError) -> StorageError:
    """Return the error for a failed write, with the free space if the disk is full."""
    reason = error.strerror or str(error)
    if error.errno in FULL:
        with suppress(OSError):
            free = shutil.disk_usage(path.parent).free
            reason += f", with {free:,} bytes free on its disk: make room there"
    return StorageError(f"cannot write {path}: {reason}")


def read_text(path: Path, most: int | None = None) -> str:
    """Return the UTF-8 text of `path`.

    Raises StorageError, naming the file, if it cannot be read or is longer than `most` bytes.
    """
    try:
        with path.open("rb") as file:
            content = file.read() if most is None else file.read(most + 1)
        if most is not None and len(content) > most:
            raise StorageError(f"cannot read {path}: it is longer than {most:,} bytes")
        return content.decode("utf-8")
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise StorageError(f"cannot read {path}: it is not UTF-8 text") from error


def read_file(path: Path, most: int) -> bytes:
    """Return the first `most` bytes of a regular file; OSError if it is not one, or unreadable."""
    with open_regular(path) as file:
        return file.read(min(most, os.fstat(file.fileno()).st_size))


def open_regular(path: Path, flags: int = os.O_RDONLY) -> IO[bytes]:
    """Open a regular file; OSError if it is a pipe, a device or a folder, or cannot be opened."""
    descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)  # does not wait for a pipe's other end
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def unreadable(path: Path, error: OSError) -> StorageError:
    """Return the error for a file that cannot be read."""
    return StorageError(f"cannot read {path}: {error.strerror or error}")


def sha256(path: Path) -> str:
    """Return the SHA-256 of the file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of(content: bytes) -> str:
    """Return the SHA-256 of some content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def flush_file(path: Path) -> None:
    """Flush a file's content to the disk."""
    with path.open("rb+") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error


def flush_folder(folder: Path) -> None:
    """Flush the folder's entries to the disk, so that a rename in it survives a power cut.

    Not every file system supports it; the rename has happened in any case.
    """
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def check_replaceable(path: Path, is_replaced: bool, other: str = "another name") -> None:
    """Raise an error unless a user's file can be written here, replacing another if `is_replaced`.

    Folders, devices, pipes, and the files of runs and sweeps are never replaced. Raises
    ConfigurationError if the path has no file name, ExistsError if the file must not be replaced,
    and StorageError if the folder does not exist. `other` says what to use instead.
    """
    if not path.name:
        raise ConfigurationError(f"{str(path)!r}: is not a file name: give {other}")
    folder = path.absolute().parent
    try:
        if path.is_dir():
            raise ExistsError(f"{path} is a folder: give {other}")
        if path.exists() and not path.is_file():
            raise ExistsError(f"{path} is not a regular file: give {other}")
        if path.exists() and not is_replaced:
            raise ExistsError(f"{path} exists", "replace")
        if not folder.is_dir():
            raise StorageError(f"cannot write {path}: there is no folder {path.parent}")
        is_protected = PROTECTED.fullmatch(path.name) and path.exists()
        if is_protected and any((folder / name).is_file() for name in RESULT_FILES):
            raise ExistsError(f"{path} is a file of a run or a sweep: give {other}")
    except OSError as error:
        raise unwritable(path, error) from error


def find_member(archive: zipfile.ZipFile, name: str, most: int | None = None) -> zipfile.ZipInfo:
    """Return the one member of this name; ValueError if it unpacks to more than `most` bytes.

    Nor may it unpack to more than MOST_COMPRESSED times its size in the archive.
    """
    members = [member for member in archive.infolist() if member.filename == name]
    if len(members) != 1:
        raise ValueError(f"it holds {len(members) or 'no'} members {name}")
    (member,) = members
    if member.compress_type not in READABLE or member.flag_bits & 1:
        raise ValueError(f"{name} is packed in a way that s2s does not read")
    limit = MOST_COMPRESSED * member.compress_size + 1024
    if member.file_size > (limit if most is None else min(most, limit)):
        raise ValueError(f"{name} would have {member.file_size:,} bytes, more than it may")
    return member


def read_member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """Return a member's content; ValueError if it has more than `most` bytes.

    Raises whatever zipfile and zlib raise if it is damaged.
    """
    return archive.read(find_member(archive, name, most))


def reason(error: Exception) -> str:
    """Return one short line that says why an archive cannot be read."""
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return first if len(first) <= 200 else f"{first[:200]}..."
