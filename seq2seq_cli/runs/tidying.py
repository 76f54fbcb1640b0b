"""Runs that are removed or get another name; no training that is under way loses its folder."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from seq2seq_cli.errors import ExistsError, ModelError, StorageError
from seq2seq_cli.runs.advice import list_command
from seq2seq_cli.runs.folder import RunFolder
from seq2seq_cli.runs.listing import is_run
from seq2seq_cli.runs.location import check_name, run_path
from seq2seq_cli.runs.lock import LOCK, hold_lock


def find_run(runs_dir: Path, name: str) -> Path:
    """Return a run's folder, be it complete, stopped or damaged; SWEEP/RUN is a sweep's.

    Raises ModelError for a folder that is none, or is not there.
    """
    folder = run_path(runs_dir, name)
    if not folder.is_dir():
        raise ModelError(f"there is no run {folder}: `{list_command(runs_dir)}` lists them")
    if not is_run(folder):
        raise ModelError(f"{folder} is no run: it is left as it is")
    return folder


def remove_run(folder: Path) -> bool:
    """Remove all that a training has written in a run's folder; tell whether the folder is gone.

    What else lies in it stays, and the folder with it. Raises ExistsError where it is in training,
    StorageError where something cannot be removed.
    """
    return remove_folder(folder, RunFolder(folder).clear)


def remove_folder(folder: Path, clear: Callable[[], None]) -> bool:
    """Remove a folder that `clear` empties under its lock; tell whether it is gone.

    What `clear` leaves stays, and the folder with it. Raises ExistsError where it is in training,
    StorageError where something cannot be removed.
    """
    try:
        with hold_lock(folder):
            clear()
        with suppress(OSError):  # there may be something else in it
            folder.rmdir()
    except OSError as error:
        raise StorageError(f"cannot remove {folder}: {error.strerror or error}") from error
    return not folder.exists()


def rename_run(folder: Path, name: str) -> Path:
    """Give a run's folder another name and return it.

    Raises ExistsError where that is taken or the run is in training, StorageError where the folder
    cannot be renamed.
    """
    renamed = folder.with_name(check_name(name))
    try:
        with hold_lock(folder):
            if renamed.exists() or renamed.is_symlink():
                raise ExistsError(f"{renamed} exists: give another name")
            folder.rename(renamed)
            (renamed / LOCK).unlink(missing_ok=True)  # the lock's own file, where it no longer is
    except OSError as error:
        raise StorageError(f"cannot rename {folder}: {error.strerror or error}") from error
    return renamed
