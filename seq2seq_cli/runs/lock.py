"""The lock on a folder in training; it ends with the process, however that ends.

It is the operating system's, on a file in the folder that is removed when the lock is given up. Who
holds it has a file of that name: filelock looks, after it has locked a file, that none has removed
it in the meantime.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from seq2seq_cli.errors import ExistsError, StorageError

if TYPE_CHECKING:
    from filelock import BaseFileLock

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"

TRAINING_SECONDS = 1.0
"""How long a training waits for the lock, which another process that asks may have in passing."""

ASKING_SECONDS = 0.2
"""How long one who asks waits, for others may be asking; a training keeps the lock."""

POLL_SECONDS = 0.01


@contextmanager
def hold_lock(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; ExistsError where a training does, StorageError where none can."""
    # Imported where it is needed: most commands find no lock.
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(TRAINING_SECONDS, POLL_SECONDS)
    except Timeout:
        raise ExistsError(f"{folder} is in use: another process trains this run") from None
    except OSError as error:
        raise StorageError(f"cannot lock {folder}: {error.strerror or error}") from error
    try:
        yield
    finally:
        _give_up(lock)


def is_in_training(folder: Path) -> bool:
    """Tell whether a training holds the folder, in this process or in another.

    Of a folder in which this process may not write it is not known, and taken as untrue.
    """
    if not (folder / LOCK).exists():
        return False
    if fcntl:
        return _is_locked(folder / LOCK)
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(ASKING_SECONDS, POLL_SECONDS)
    except Timeout:
        return True
    except OSError:
        return False
    _give_up(lock)
    return False


def _is_locked(path: Path) -> bool:
    """Tell whether another has a file's lock, by a shared one: who asks keeps no other from asking.

    It is given back at once, and a training waits longer than that.
    """
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _give_up(lock: "BaseFileLock") -> None:
    """Remove the file, as long as none else can have the lock, and release it."""
    with suppress(OSError):  # Windows removes no open file; filelock does it there
        Path(lock.lock_file).unlink()
    lock.release()
