"""Which folder a training takes: one that it creates, or one that it goes on in."""

import itertools
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.data.tasks import is_custom, takes_n_out
from seq2seq_cli.errors import (
    ConfigurationError,
    ExistsError,
    ModelError,
    S2sError,
    StorageError,
)
from seq2seq_cli.runs.advice import anew_command, list_command
from seq2seq_cli.runs.checkpoint_files import CHECKPOINTS
from seq2seq_cli.runs.folder import (
    RunFolder,
    has_checkpoint,
    has_unfinished,
    is_abandoned,
    is_replaceable,
)
from seq2seq_cli.runs.lock import hold_lock, is_in_training
from seq2seq_cli.runs.manifest import MANIFEST
from seq2seq_cli.storage import make_folder, unreadable, unwritable

MOST_NAME = 255
"""Bytes of a name that file systems have room for."""

MOST_OWN = 150
"""Bytes that a default name has of a data file's, which other parts follow."""


def check_name(name: str) -> str:
    """Return the run's name, or raise ConfigurationError for one that is no plain folder name."""
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise ConfigurationError(
            f"run name {name!r}: use letters, digits, '.', '-' and '_', beginning with no dot"
        )
    if (size := len(name.encode())) > MOST_NAME:
        raise ConfigurationError(
            f"run name {name[:20]}...: has {size} bytes, and a folder's name at most {MOST_NAME}"
        )
    return name


def run_path(runs_dir: Path, name: str) -> Path:
    """Return the folder of the run of this name; SWEEP/RUN is a sweep's.

    Raises ConfigurationError for what is no such name.
    """
    sweep, slash, run = name.partition("/")
    return runs_dir / check_name(sweep) / check_name(run) if slash else runs_dir / check_name(name)


def default_name(task: TaskConfig) -> str:
    """Return the name of a run on this task, such as reverse-prefix-6-3-51."""
    n_out = [task.n_out] if is_custom(task) or takes_n_out(task) else []
    own = Path(task.data.split(",")[0]).stem if task.data else task.name.rpartition(":")[2]
    own = own.encode(errors="replace")[:MOST_OWN].decode(errors="ignore")
    name = re.sub(r"[^\w.+-]", "_", own).lstrip(".-+") or "own"
    return "-".join(map(str, [name, task.n_in, *n_out, task.cardinality]))


@contextmanager
def create_folder(
    runs_dir: Path, name: str | None, task: TaskConfig, force: bool = False
) -> Iterator[RunFolder]:
    """Create a run folder and hold its lock; a block that fails without a checkpoint leaves none.

    Without a name the task's default one is taken, numbered if there is such a folder. With `force`
    it may be an earlier run's, which stays until there is something in its place. A folder that a
    killed process has left with nothing in it is taken as a new one. Raises ExistsError for a named
    folder that exists or is in use.
    """
    with _take_one(runs_dir, name, task, force) as path:
        folder = RunFolder(path)
        try:
            yield folder
        except BaseException:
            if not folder.is_complete and not has_checkpoint(path):
                folder.clear()
            raise


@contextmanager
def reopen_folder(runs_dir: Path, name: str | None) -> Iterator[RunFolder]:
    """Hold the lock of a run folder whose training is to go on; nothing in it is removed.

    It is the one that `find_resumable` returns. Raises ExistsError where it is in use.
    """
    path = find_resumable(runs_dir, name)
    with hold_lock(path):
        yield RunFolder(path)


def find_resumable(runs_dir: Path, name: str | None) -> Path:
    """Return the named folder or, without a name, that of the stopped training last saved.

    Raises ModelError where there is none.
    """
    if name:
        folder = run_path(runs_dir, name)
        if not folder.is_dir():
            raise ModelError(f"there is no run {folder}: `{list_command(runs_dir)}` lists them")
        if not has_checkpoint(folder):
            raise ModelError(
                f"the run {folder} has no checkpoint to resume from: train it anew with "
                f"`{anew_command(folder)}`"
            )
        return folder
    folders = [folder for folder in folders_in(runs_dir) if _is_stopped(folder)]
    if not folders:
        raise ModelError(
            f"there is no stopped training in {runs_dir}: name a completed run with --run NAME "
            "to train it further"
        )
    return max(folders, key=lambda folder: (folder / CHECKPOINTS).stat().st_mtime)


def folders_in(runs_dir: Path) -> list[Path]:
    """Return what lies in the runs' folder, by name; nothing where there is no such folder.

    Raises StorageError where it is something else, or cannot be read.
    """
    try:
        return sorted(runs_dir.iterdir())
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not runs_dir.is_symlink():
            return []
        raise unreadable(runs_dir, error) from error


def check_free(runs_dir: Path, name: str | None, force: bool) -> None:
    """Raise ExistsError where `create_folder` would, before anything expensive has begun.

    And StorageError, where nothing can be written in `runs_dir`.
    """
    folder = runs_dir / check_name(name) if name else runs_dir
    if name:
        _check_free(folder, force)
    _check_writable(folder)


def _check_writable(folder: Path) -> None:
    """Raise StorageError for a folder in which nothing can be made; it may not be there yet."""
    try:
        found = folder.absolute()
    except OSError as error:
        raise StorageError(f"cannot write in {folder}: the current folder is gone") from error
    while not os.path.lexists(found):
        found = found.parent
    if not found.is_dir():
        raise StorageError(f"cannot write in {folder}: {found} is no folder")
    if not os.access(found, os.W_OK | os.X_OK):
        raise StorageError(f"cannot write in {folder}: {found} is not writable by this user")


def _is_stopped(folder: Path) -> bool:
    if not has_checkpoint(folder):
        return False
    try:
        return not (folder / MANIFEST).is_file() or has_unfinished(folder)
    except (S2sError, OSError):
        return False  # a damaged run is resumed by its name alone


@contextmanager
def _take_one(runs_dir: Path, name: str | None, task: TaskConfig, force: bool) -> Iterator[Path]:
    """Hold the lock of the folder of this name; of the first one that is free, without a name."""
    base = check_name(name or default_name(task))
    make_folder(runs_dir)
    with ExitStack() as held:
        for number in itertools.count(1):
            folder = runs_dir / (base if number == 1 else f"{base}-{number}")
            try:
                held.enter_context(_take(folder, force))
                break
            except ExistsError:
                if name or force:
                    raise
        yield folder


@contextmanager
def _take(folder: Path, force: bool) -> Iterator[None]:
    """Make a folder, unless it is there, and hold its lock; it goes where nothing is left in it."""
    _check_free(folder, force)
    try:
        with suppress(FileExistsError):  # another process may be making it, too
            _make(folder)
        with hold_lock(folder):
            _check_free(folder, force, is_held=True)  # by now another may have trained in it
            yield
    finally:
        with suppress(OSError):
            folder.rmdir()


def _make(folder: Path) -> None:
    try:
        folder.mkdir()
    except FileExistsError:
        raise
    except OSError as error:
        raise unwritable(folder, error) from error


def _check_free(folder: Path, force: bool, is_held: bool = False) -> None:
    """Raise ExistsError unless a training may take this folder; `is_held` where it has its lock."""
    if not is_held and is_in_training(folder):
        raise ExistsError(f"{folder} is in use: another process trains this run")
    if not os.path.lexists(folder):
        return
    if is_abandoned(folder) or (force and is_replaceable(folder)):
        return
    if force:
        raise ExistsError(f"{folder} exists and is no run: give another --run NAME")
    raise ExistsError(f"{folder} exists: give another --run NAME, or --force to replace it")
