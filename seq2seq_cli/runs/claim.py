"""Claiming a run in order to write, remove or rename it: one process at a time holds its lock."""

import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.errors import ExistsError, StorageError
from seq2seq_cli.runs.checkpoint import has_diverged, is_stopped
from seq2seq_cli.runs.folder import RunFolder, clear, hold_run, remove
from seq2seq_cli.runs.listing import is_run
from seq2seq_cli.runs.lock import LOCK, is_locked
from seq2seq_cli.runs.names import check_name, default_name, seed_run, training_path
from seq2seq_cli.runs.resumption import find_resumable
from seq2seq_cli.storage import make_folder


@contextmanager
def create_folder(
    runs_dir: Path, name: str | None, task: TaskConfig, force: bool = False
) -> Iterator[RunFolder]:
    """Hold the folder of a new training; it is removed if the block fails without a checkpoint.

    Without a name the task's default name is used, numbered if it is taken. With `force` an earlier
    run of this name stays until this one is complete. Raises ExistsError if a named run exists or
    is in use.
    """
    base = check_name(default_name(task) if name is None else name)
    make_folder(runs_dir)
    with ExitStack() as held:
        for run in _numbered(runs_dir / base):
            try:
                check_free(run, force)
                held.enter_context(hold_run(run))
                _check_replaceable(run, force)  # by now another process may have trained it
                break
            except ExistsError:
                held.close()
                if name or force:
                    raise
        yield held.enter_context(_opened(run))


@contextmanager
def reopen_folder(runs_dir: Path, name: str | None) -> Iterator[RunFolder]:
    """Hold the folder of the training to resume, see `find_resumable`.

    Raises ExistsError if it is in use.
    """
    run = find_resumable(runs_dir, name)
    with hold_run(run), _opened(run) as folder:
        yield folder


@contextmanager
def _opened(run: Path) -> Iterator[RunFolder]:
    folder = RunFolder(run)
    try:
        yield folder
    except BaseException:
        if not is_stopped(run):
            clear(folder.path)
        raise


def check_free(run: Path, force: bool) -> None:
    """Raise ExistsError if a new training may not take this name."""
    if is_locked(training_path(run)):
        raise ExistsError(f"{run} is in use: another process trains this run")
    _check_replaceable(run, force)


def free_name(
    runs_dir: Path, name: str | None, task: TaskConfig, seeds: Iterable[int], force: bool
) -> str:
    """Return a name that is free for the runs of all these seeds.

    Without a name it is the task's default name, numbered if a seed's run has it already. Raises
    ExistsError if a named run exists or is in use.
    """
    seeds = list(seeds)
    for base in _numbered(runs_dir / check_name(default_name(task) if name is None else name)):
        try:
            for seed in seeds:
                check_free(runs_dir / seed_run(base.name, seed), force)
            break
        except ExistsError:
            if name or force:
                raise
    return base.name


def remove_run(run: Path) -> bool:
    """Remove everything that trainings have written of a run; return whether nothing is left.

    Raises ExistsError if it is in training, StorageError if something cannot be removed.
    """
    try:
        with hold_run(run) as training:
            remove(run)
            clear(training)
    except OSError as error:
        raise StorageError(f"cannot remove {run}: {error.strerror or error}") from error
    return not os.path.lexists(run) and not training.exists()


def rename_run(run: Path, name: str) -> Path:
    """Rename a run and its training; return the renamed run.

    Raises ExistsError if the name is taken or the run is in training, StorageError if it cannot be
    renamed.
    """
    renamed = run.with_name(check_name(name))
    try:
        with hold_run(run) as training, hold_run(renamed) as new:
            if os.path.lexists(renamed) or is_stopped(renamed):
                raise ExistsError(f"{renamed} exists: choose another name")
            if is_run(training):
                (new / LOCK).unlink()
                training.rename(new)
                (new / LOCK).unlink()
            if run.exists():
                run.rename(renamed)
    except OSError as error:
        raise StorageError(f"cannot rename {run}: {error.strerror or error}") from error
    return renamed


def _numbered(run: Path) -> Iterator[Path]:
    yield run
    yield from (run.with_name(f"{run.name}-{number}") for number in itertools.count(2))


def _check_replaceable(run: Path, force: bool) -> None:
    """Raise ExistsError unless a training may replace this run, which is not in use."""
    if os.path.lexists(run) and not force:
        raise ExistsError(f"{run} exists", "replace")
    if os.path.lexists(run) and not is_run(run):
        raise ExistsError(f"{run} exists and is not a run: choose another name")
    if has_diverged(run) and not force:
        raise ExistsError(f"{run} has a training that diverged", "replace")
    if is_stopped(run) and not force:
        raise ExistsError(f"{run} has a stopped training", "resume")
