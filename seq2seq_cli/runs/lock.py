"""The lock on a folder, which ends with the process in any case.

It is the operating system's lock on a file in the folder; the file is removed when the lock ends.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from seq2seq_cli.errors import ExistsError, StorageError
from seq2seq_cli.storage import open_regular, unwritable

LOCK = ".lock"

WAIT_SECONDS = 1.0
"""How long to wait for a lock that another process may hold only while it checks the folder."""

POLL_SECONDS = 0.01


@contextmanager
def hold_lock(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, creating the folder if needed; an empty folder is removed at the end.

    Raises ExistsError if another process holds the lock, StorageError if locking fails.
    """
    until = time.monotonic() + WAIT_SECONDS
    while (file := _lock(folder)) is None:
        if time.monotonic() > until:
            raise ExistsError(f"{folder} is in use: another process trains this run")
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        if _is_at(file, folder / LOCK):  # the folder may have been renamed meanwhile
            (folder / LOCK).unlink()
        file.close()
        with suppress(OSError):
            folder.rmdir()


def is_locked(folder: Path) -> bool:
    """Return whether a process, this one or another, holds the folder's lock.

    If this process may not read the lock's file, the answer is no.
    """
    try:
        with open_regular(folder / LOCK) as file:
            # A shared lock, so that processes can check at the same time.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def lock_file(path: Path) -> IO[bytes] | None:
    """Return the file at a path, locked until it is closed; None if another process has the lock.

    The file is created if needed; OSError if that fails.
    """
    file = open_regular(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(file, path):  # its last holder may have removed it meanwhile
            return file
    except BlockingIOError:
        pass
    except OSError:
        file.close()
        raise
    file.close()
    return None


def _lock(folder: Path) -> IO[bytes] | None:
    try:
        folder.mkdir(exist_ok=True)
        return lock_file(folder / LOCK)
    except OSError as error:
        is_gone = isinstance(error, FileNotFoundError | FileExistsError) and not folder.is_file()
        if is_gone and folder.parent.is_dir():  # another process just removed the empty folder
            return None
        if error.errno == errno.ENOLCK:
            (folder / LOCK).unlink()
            with suppress(OSError):
                folder.rmdir()
            raise StorageError(
                f"cannot lock {folder}: its file system has no locks: use another folder for runs"
            ) from error
        raise unwritable(folder, error) from error


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
