"""Runs: what is in a complete run's folder, and finding runs again.

A folder is complete once its manifest is there.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.tasks import problems
from seq2seq_cli.errors import ConfigurationError, ModelError, S2sError
from seq2seq_cli.runs.advice import anew_command, list_command, resume_command, train_command
from seq2seq_cli.runs.checkpoint_files import newest_description
from seq2seq_cli.runs.folder import has_checkpoint, has_unfinished, is_replaceable
from seq2seq_cli.runs.history import EpochRecord, parse_file
from seq2seq_cli.runs.location import folders_in, run_path
from seq2seq_cli.runs.lock import is_in_training
from seq2seq_cli.runs.manifest import (
    CONFIG_FILE,
    HISTORY,
    MANIFEST,
    Manifest,
    completed_at,
    read_manifest,
    read_recorded,
)
from seq2seq_cli.settings import parse_config
from seq2seq_cli.storage import read_text


@dataclass(frozen=True)
class Run:
    """A complete run: its folder, configuration and manifest."""

    path: Path
    config: RunConfig
    manifest: Manifest

    @property
    def name(self) -> str:
        """The run's name, which is its folder's."""
        return self.path.name

    def read(self, file: str) -> bytes:
        """Return a recorded file's content; ModelError unless it is what the manifest says."""
        return read_recorded(self.path, file, self.manifest)

    def history(self) -> tuple[EpochRecord, ...]:
        """Return what its validations came to; ModelError unless it is what the manifest says."""
        return parse_file(self.read(HISTORY), self.path / HISTORY)


def open_run(runs_dir: Path, name: str | None = None) -> Run:
    """Return the named run, SWEEP/RUN for a sweep's, or the newest completed one.

    Raises ModelError where there is none, or where it is incomplete or damaged.
    """
    if name:
        return _open_folder(run_path(runs_dir, name))
    ages = {folder: completed_at(folder) for folder in folders_in(runs_dir)}
    for folder in sorted(filter(ages.get, ages), key=ages.__getitem__, reverse=True):
        with suppress(S2sError, OSError):
            return _open_folder(folder)
    advice = f"train one with `{train_command(runs_dir)}`"
    raise ModelError(f"there is no completed run in {runs_dir}: {advice}")


@dataclass(frozen=True)
class ListedRun:
    """A folder in the runs' folder: a complete run, or the reason why it is none.

    `under_way` tells of a training in the folder of a complete run that is to take its place.
    """

    name: str
    run: Run | None
    problem: str = ""
    under_way: str = ""


def list_runs(runs_dir: Path) -> list[ListedRun]:
    """Return what is in the runs' folder, oldest completed run first, incomplete ones last."""
    listed = [_list_folder(folder) for folder in run_folders(runs_dir)]
    return sorted(listed, key=lambda item: item.run.manifest.completed_at if item.run else "~")


def chosen(
    listed: Sequence[ListedRun],
    runs_dir: Path,
    task: str | None = None,
    by: str = "date",
    limit: int | None = None,
) -> list[ListedRun]:
    """Return those listed runs that are of a task, in an order; of these `limit`, if that is given.

    By `date` they are as listed, and the limit leaves the newest; by `exact` match the best stands
    first. Those that are not complete come after the others.
    """
    found = [item for item in listed if task is None or _task_of(item, runs_dir) == task]
    complete = [item for item in found if item.run]
    others = [item for item in found if not item.run]
    if by == "name":
        return sorted(found, key=lambda item: item.name)[:limit]
    if by == "exact":
        complete.sort(key=lambda item: -item.run.manifest.results.exact_match if item.run else 0)
        return [*complete, *others][:limit]
    if limit is not None:
        complete = complete[-limit:]
    return [*complete, *others][:limit]


def _task_of(item: ListedRun, runs_dir: Path) -> str | None:
    """Return the name of a run's task, of one that is not complete too; None if it is unknown."""
    if item.run:
        return item.run.config.task.name
    file = runs_dir / item.name / CONFIG_FILE
    try:
        return parse_config(read_text(file), str(file)).task.name
    except S2sError:
        return None


def run_folders(runs_dir: Path) -> list[Path]:
    """Return the folders of runs, complete or not, by their names."""
    return [path for path in folders_in(runs_dir) if is_run(path)]


def is_run(path: Path) -> bool:
    """Tell whether a folder is a run's, be it damaged."""
    try:
        return path.is_dir() and any((path / name).exists() for name in (CONFIG_FILE, MANIFEST))
    except OSError:  # a folder of someone else
        return False


def _list_folder(folder: Path) -> ListedRun:
    """Return what a folder is; none is so damaged that the others cannot be listed."""
    try:
        run = _open_folder(folder)
        is_stopped = has_unfinished(folder, run.manifest)
        return ListedRun(folder.name, run, under_way=_under_way(folder, is_stopped))
    except (S2sError, OSError) as error:
        if (folder / MANIFEST).exists():
            return ListedRun(folder.name, None, f"damaged: {error}")
    try:
        problem = _under_way(folder, has_checkpoint(folder))
    except OSError as error:
        return ListedRun(folder.name, None, f"damaged: {error}")
    return ListedRun(folder.name, None, problem or "incomplete")


def _under_way(folder: Path, is_stopped: bool) -> str:
    if is_in_training(folder):
        return "in training"
    return "stopped, --resume goes on" if is_stopped else ""


def _open_folder(folder: Path) -> Run:
    if not folder.is_dir():
        raise ModelError(f"there is no run {folder}: `{list_command(folder.parent)}` lists them")
    if not (folder / MANIFEST).is_file():
        if is_in_training(folder):
            raise ModelError(f"the run {folder} is still in training")
        if not is_replaceable(folder):
            raise ModelError(f"{folder} is no run: `{list_command(folder.parent)}` lists them")
        begun = newest_description(folder)
        advice = resume_command(folder, begun.config.task) if begun else anew_command(folder)
        raise ModelError(f"the run {folder} is incomplete: go on with `{advice}`")
    manifest = read_manifest(folder)
    path = folder / CONFIG_FILE
    try:
        text = read_recorded(folder, CONFIG_FILE, manifest).decode()
        config = parse_config(text, str(path))
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is corrupt: it is not UTF-8 text") from error
    except ConfigurationError as error:
        raise ModelError(f"{path} does not fit this s2s: {error}") from error
    unknown = problems(config.task)
    if unknown:
        raise ModelError(f"{path} does not fit this s2s: {'; '.join(unknown)}")
    return Run(folder, config, manifest)
