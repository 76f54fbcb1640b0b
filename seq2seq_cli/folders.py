"""A training's folder: its name, its lock, and what is written into it or removed.

A lock held by the operating system guards a folder in training; it ends with the process, however
that ends.
"""

import fcntl
import itertools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from seq2seq_cli.config import RunConfig, TaskConfig
from seq2seq_cli.errors import ConfigurationError, ExistsError, ModelError
from seq2seq_cli.manifest import CHECKPOINTS, CONFIG, MANIFEST, RECORDED
from seq2seq_cli.settings import parse_config
from seq2seq_cli.storage import read_text
from seq2seq_cli.tasks import get_task


def default_name(task: TaskConfig) -> str:
    """Return the name of a run on this task, such as reverse-prefix-6-3-51."""
    n_out = [task.n_out] if get_task(task).takes_n_out else []
    own = Path(task.data.split(",")[0]).stem if task.data else task.name.rpartition(":")[2]
    name = re.sub(r"[^\w.+-]", "_", own).lstrip(".-+") or "own"
    return "-".join(map(str, [name, task.n_in, *n_out, task.cardinality]))


@contextmanager
def create_folder(
    runs_dir: Path, name: str | None, task: TaskConfig, force: bool = False
) -> Iterator[Path]:
    """Create a run folder and hold its lock; a block that fails without a checkpoint leaves none.

    Without a name the task's default one is taken, numbered if there is such a folder. With
    `force` the files of an earlier run in the folder are removed first. Raises ExistsError for a
    named folder that exists or is in use.
    """
    folder = _make_folder(runs_dir, name, task, force)
    with _lock(folder):
        _remove_files(folder)
        try:
            yield folder
        except BaseException:
            if not has_checkpoint(folder):
                _remove_files(folder)
                with suppress(OSError):
                    folder.rmdir()
            raise


@contextmanager
def reopen_folder(runs_dir: Path, name: str | None) -> Iterator[Path]:
    """Hold the lock of a run folder whose training is to go on; nothing in it is removed.

    Without a name it is the one with the newest checkpoint among those that are not complete.
    Raises ModelError where there is none, and ExistsError where it is in use.
    """
    folder = find_resumable(runs_dir, name)
    with _lock(folder):
        yield folder


def find_resumable(runs_dir: Path, name: str | None) -> Path:
    """Return the folder that `reopen_folder` takes."""
    if name:
        folder = runs_dir / check_name(name)
        if not folder.is_dir():
            raise ModelError(f"there is no run {folder}: `s2s runs` lists them")
        if not has_checkpoint(folder):
            raise ModelError(f"the run {folder} has no checkpoint to resume from: train it anew")
        return folder
    listed = sorted(runs_dir.iterdir()) if runs_dir.is_dir() else []
    folders = [f for f in listed if has_checkpoint(f) and not (f / MANIFEST).is_file()]
    if not folders:
        raise ModelError(
            f"there is no stopped training in {runs_dir}: name a completed run with --run NAME "
            "to train it further"
        )
    return max(folders, key=lambda folder: (folder / CHECKPOINTS).stat().st_mtime)


def saved_config(folder: Path) -> RunConfig:
    """Return the configuration that a folder's training was begun with."""
    return parse_config(read_text(folder / CONFIG), str(folder / CONFIG))


def has_checkpoint(folder: Path) -> bool:
    """Tell whether a training in this folder has left a checkpoint."""
    return (folder / CONFIG).is_file() and any((folder / CHECKPOINTS).glob("*.json"))


def check_free(runs_dir: Path, name: str | None, force: bool) -> None:
    """Raise ExistsError where `create_folder` would, before anything expensive has begun."""
    if name:
        folder = runs_dir / check_name(name)
        if folder.exists() and not (force and (folder / CONFIG).is_file()):
            raise _taken(folder, force)


def _taken(folder: Path, force: bool) -> ExistsError:
    if force:
        return ExistsError(f"{folder} exists and is no run: give another --run NAME")
    return ExistsError(f"{folder} exists: give another --run NAME, or --force to replace it")


def _make_folder(runs_dir: Path, name: str | None, task: TaskConfig, force: bool) -> Path:
    base = check_name(name or default_name(task))
    runs_dir.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        folder = runs_dir / (base if number == 1 else f"{base}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            if force and (folder / CONFIG).is_file():
                break
            if name or force:
                raise _taken(folder, force) from None
        else:
            break
    return folder


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the operating system's lock on the folder; ExistsError where another process does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ExistsError(f"{folder} is in use: another process trains this run") from None
        yield
    finally:
        os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Tell whether a training holds the folder, in this process or in another."""
    try:
        with _lock(folder):
            return False
    except ExistsError:
        return True


def _remove_files(folder: Path) -> None:
    """Remove what a training writes, the manifest first, and nothing that others put there."""
    for name in (MANIFEST, *RECORDED):
        (folder / name).unlink(missing_ok=True)
    for path in (folder / CHECKPOINTS).glob("[0-9]*.*"):
        path.unlink()
    with suppress(OSError):
        (folder / CHECKPOINTS).rmdir()


def check_name(name: str) -> str:
    """Return the run's name, or raise ConfigurationError for one that is no plain folder name."""
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise ConfigurationError(
            f"run name {name!r}: use letters, digits, '.', '-' and '_', beginning with no dot"
        )
    return name
