"""Files that are either whole or not there: atomic writes, and the hashes that prove it.

What is being written has the name `.STEM.s2s-TOKEN.SUFFIX` beside its place, and is locked by its
writer, by the operating system: what a killed process has left is known by its lock, which nobody
has, and goes when the next one writes there.
"""

import errno
import hashlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from seq2seq_cli.errors import ConfigurationError, ExistsError, StorageError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

TEMPORARY = re.compile(r"\.(.+)\.s2s-[0-9a-f]{16}(\.\w+)?")

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a write fails with where there is no room: on the disk, in a quota, up to a limit."""

RESULT_FILES = ("run.json", "sweep.jsonl")
"""Every complete run and every sweep with a result has one of these in its folder."""

PROTECTED = re.compile(r"(run|sweep.*|history)\.jsonl?|(config|sweep)\.toml|.*\.keras")
"""Names of the files in such a folder that nothing else may replace."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, it becomes `path`.

    The content is flushed to the disk before the rename. When the block fails, the temporary
    file is removed and `path` is as it was. The suffix of `path` is kept, since some writers
    choose their format by it. Raises StorageError, naming `path`, where writing fails.
    """
    with atomic_paths([path]) as temporary:
        yield temporary[0]


@contextmanager
def atomic_paths(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield a temporary path beside each of `paths`; when the block ends well, they become them.

    All are flushed before the first is renamed, and each rename before the next one. When the block
    fails, all temporary files are removed. Raises StorageError where writing fails.
    """
    # Not the process's number, which another machine's process on the same volume may have too.
    token = secrets.token_hex(8)
    temporary = [path.with_name(f".{path.stem}.s2s-{token}{path.suffix}") for path in paths]
    names = {path.name for path in paths}
    _under_way.append(token)
    try:
        for folder in {path.parent for path in paths}:
            remove_leftovers(folder, names.__contains__)
        with ExitStack() as locks:
            for path in temporary if fcntl else ():
                locks.callback(os.close, _create(path))
            yield temporary
            for path in temporary:
                flush_file(path)
            for path, place in zip(temporary, paths, strict=True):
                path.replace(place)
                flush_folder(place.parent)
    except BaseException as error:
        for path in temporary:
            with suppress(OSError):
                path.unlink()
        if isinstance(error, OSError):
            named = dict(zip(map(str, temporary), paths, strict=True))
            found = error.filename if isinstance(error.filename, str) else paths[0]
            raise unwritable(named.get(str(found), Path(found)), error) from error
        raise
    finally:
        _under_way.remove(token)


_under_way: list[str] = []
"""What stands in the names of the temporary files that this process is writing."""


def is_writing() -> bool:
    """Tell whether any thread of this process is writing files that are not in their place yet."""
    return bool(_under_way)


def _create(path: Path) -> int:
    """Create a file that is locked until the descriptor, which is returned, is closed."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass  # one who looks for leftovers was there first, and removes it
        except OSError:
            return descriptor  # there are no locks: nobody takes it for a leftover
        else:
            if path.exists():
                return descriptor
        os.close(descriptor)
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path, is_ours: Callable[[str], bool]) -> None:
    """Remove the temporary files in a folder that killed processes have left.

    They are those of the files whose names are ours. What a living process is writing stays, and
    where that cannot be known all does.
    """
    with suppress(OSError):
        for path in folder.glob(".*.s2s-*"):
            parts = TEMPORARY.fullmatch(path.name)
            if parts and is_ours(parts[1] + (parts[2] or "")):
                _remove_abandoned(path)


def _remove_abandoned(path: Path) -> None:
    """Remove a temporary file, if nobody has its lock."""
    if fcntl and path.is_file() and not path.is_symlink():
        with suppress(OSError), path.open("rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


@contextmanager
def temporary_folder(place: Path) -> Iterator[None]:
    """Let the files of `tempfile` lie in a folder in `place` that goes when the block ends.

    What writes a file there needs no other folder then, and leaves nothing elsewhere.
    """
    folder = place / f".files.s2s-{secrets.token_hex(8)}"
    folder.mkdir()
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)


def remove_temporary_folders(place: Path) -> None:
    """Remove those that killed processes have left; whoever calls it knows that none is alive."""
    for path in place.glob(".files.s2s-*"):
        if TEMPORARY.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def append_line(path: Path, line: str) -> None:
    """Append a line to `path` and flush it to the disk; StorageError where that fails."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise unwritable(path, error) from error


def make_folder(folder: Path) -> None:
    """Make a folder, and those that it lies in, unless it is there; StorageError where it fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error


def unwritable(path: Path, error: OSError) -> StorageError:
    """Return the error for what cannot be written; where the disk is full, with the room on it."""
    reason = error.strerror or str(error)
    if error.errno in FULL:
        with suppress(OSError):
            free = shutil.disk_usage(path.parent).free
            reason += f", with {free:,} bytes free on its disk: make room there"
    return StorageError(f"cannot write {path}: {reason}")


def read_text(path: Path, most: int | None = None) -> str:
    """Return the UTF-8 text of `path`, at most so many bytes.

    Raises StorageError, with the file's name, where it cannot be read, or is longer.
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


def unreadable(path: Path, error: OSError) -> StorageError:
    """Return the error for a file that the operating system does not let us read."""
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

    Where the system cannot open or flush a folder, as Windows, there is nothing to be done: what
    was written is in its place all the same.
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
    and StorageError if the folder does not exist. `other` says what to give instead.
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
            raise ExistsError(f"{path} exists: give {other}, or --force to replace it")
        if not folder.is_dir():
            raise StorageError(f"cannot write {path}: there is no folder {path.parent}")
        is_protected = PROTECTED.fullmatch(path.name) and path.exists()
        if is_protected and any((folder / name).is_file() for name in RESULT_FILES):
            raise ExistsError(f"{path} is a file of a run or a sweep: give {other}")
    except OSError as error:
        raise unwritable(path, error) from error
