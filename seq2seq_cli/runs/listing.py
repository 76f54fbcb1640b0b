"""Opening, listing and finding runs."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from seq2seq_cli.architecture import Architecture
from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.tasks import problems
from seq2seq_cli.errors import ConfigurationError, ModelError, S2sError
from seq2seq_cli.metrics import exact_match_text, html_table
from seq2seq_cli.runs.advice import anew_command, list_command, resume_command, train_command
from seq2seq_cli.runs.checkpoint import (
    has_diverged,
    is_stopped,
    load_checkpoint,
    newest_description,
)
from seq2seq_cli.runs.folder import settle
from seq2seq_cli.runs.history import Call, EpochRecord, parse_history
from seq2seq_cli.runs.lock import LOCK, is_locked
from seq2seq_cli.runs.manifest import (
    CONFIG_FILE,
    HISTORY,
    MANIFEST,
    Manifest,
    read_manifest,
    read_recorded,
)
from seq2seq_cli.runs.names import run_of, run_path, split_seed, training_path
from seq2seq_cli.settings import differing_settings, parse_config
from seq2seq_cli.storage import read_file, unreadable

if TYPE_CHECKING:
    from seq2seq_cli.data.streams import TrainingStream

MOST_HISTORY = 2**30
"""Maximum bytes that are read of an unfinished history."""


@dataclass(frozen=True)
class Run:
    """A complete run: its name, as it was opened, its folder, configuration and manifest."""

    name: str  # SWEEP/RUN for a sweep's
    path: Path
    config: RunConfig
    manifest: Manifest

    @property
    def _facts(self) -> dict[str, str]:
        task, results = self.config.task, self.manifest.results
        exact_match = exact_match_text(results)
        return {
            "run": self.name,
            "task": f"{task.data or task.name}, n_in {task.n_in}, n_out {task.n_out}, "
            f"cardinality {task.cardinality}",
            "accuracy": f"exact match {exact_match} of {results.n_samples:,} validation sequences",
        }

    def __repr__(self) -> str:
        return "\n".join(f"{heading}: {fact}" for heading, fact in self._facts.items())

    def _repr_html_(self) -> str:
        """Return the run as HTML for a notebook."""
        return html_table(self.name, list(self._facts.items())[1:])

    def read(self, file: str) -> bytes:
        """Return a recorded file's content; ModelError unless it matches the manifest."""
        return read_recorded(self.path, file, self.manifest)

    def history(self) -> tuple[EpochRecord, ...]:
        """Return the results of its validations; ModelError unless they match the manifest."""
        return self._history

    @cached_property
    def _history(self) -> tuple[EpochRecord, ...]:
        return parse_history(self.read(HISTORY), self.path / HISTORY)

    def costs(self) -> dict[str, float]:
        """Return its parameters, the seconds of its training and the sequences trained on."""
        return {
            "parameters": Architecture.of(self.config).parameters,
            "seconds": self.manifest.seconds,
            "sequences_trained_on": self.history()[-1].steps_done * self.config.training.batch_size,
        }


@dataclass(frozen=True)
class SeedRun:
    """The result of a seed: its run, or the problem that ended its training."""

    seed: int
    path: Path
    stream: "TrainingStream"  # that it was trained on
    run: Run | None
    problem: str = ""


def open_run(runs_dir: Path, name: str | None = None) -> Run:
    """Return the named run, SWEEP/RUN for a sweep's, or the newest completed one.

    Raises ModelError if there is none, or if it is incomplete or damaged.
    """
    if name is not None:
        return _open_run(run_path(runs_dir, name), name)
    ages = dict[Path, str]()
    for run in run_folders(runs_dir):
        _settle(run)
        with suppress(S2sError):
            ages[run] = read_manifest(run).completed_at
    for run in sorted(ages, key=ages.__getitem__, reverse=True):
        with suppress(S2sError, OSError):
            return _open_run(run, run.name)
    advice = f"train one with `{train_command(runs_dir)}`"
    raise ModelError(f"there is no completed run in {runs_dir}: {advice}")


class Training(NamedTuple):
    """A training that is not complete, with the figures of its newest checkpoint."""

    name: str
    config: RunConfig
    state: str
    records: tuple[EpochRecord, ...]
    calls: tuple[Call, ...]  # since the last validation

    def history(self) -> tuple[EpochRecord, ...]:
        """Return the results of its validations so far."""
        return self.records


def open_curve(runs_dir: Path, name: str | None = None) -> Run | Training:
    """Return a run like `open_run`, or the training of one that is not complete."""
    try:
        return open_run(runs_dir, name)
    except ModelError:
        if name is None or not (state := _under_way(run := run_path(runs_dir, name))):
            raise
    checkpoint = load_checkpoint(run)[0] if is_stopped(run) else None
    if not checkpoint or not (checkpoint.history or checkpoint.status.calls):
        raise ModelError(f"the training of {run} has no figures until its first checkpoint")
    return Training(name, checkpoint.config, state, checkpoint.history, checkpoint.status.calls)


def find_training(runs_dir: Path, name: str | None = None) -> Path:
    """Return the named run that is in training, or the one whose training began last.

    Raises ModelError if there is none.
    """
    runs = run_folders(runs_dir) if name is None else [find_run(runs_dir, name)]
    if running := [run for run in runs if is_in_training(run)]:
        return max(running, key=lambda run: (training_path(run) / LOCK).stat().st_mtime)
    what = f"no run in {runs_dir} is" if name is None else f"the run {runs[0]} is not"
    raise ModelError(f"{what} in training: `{list_command(runs_dir)}` lists them")


def is_in_training(run: Path) -> bool:
    """Return whether a process trains this run."""
    return is_locked(training_path(run))


def validations_so_far(run: Path) -> tuple[EpochRecord, ...]:
    """Return the validations of a training, or of the run if it has ended.

    A line that is being written is not among them.
    """
    for folder in (training_path(run), run):
        with suppress(FileNotFoundError):
            content = read_file(folder / HISTORY, MOST_HISTORY)
            return parse_history(content[: content.rfind(b"\n") + 1], folder / HISTORY)
    return ()


@dataclass(frozen=True)
class ListedRun:
    """A name in the runs' folder: a complete run, or the reason why there is none.

    `under_way` is the state of a training that will replace the complete run.
    """

    name: str
    run: Run | None
    problem: str = ""
    under_way: str = ""


def list_runs(runs_dir: Path) -> list[ListedRun]:
    """Return what is in the runs' folder, oldest completed run first, incomplete ones last."""
    listed = [_list_run(run) for run in run_folders(runs_dir)]
    return sorted(listed, key=lambda item: item.run.manifest.completed_at if item.run else "~")


def chosen(
    listed: Sequence[ListedRun],
    runs_dir: Path,
    task: str | None = None,
    by: str = "date",
    limit: int | None = None,
) -> list[ListedRun]:
    """Return the listed runs of a task in an order, at most `limit` of them.

    By `date` they are as listed, and the limit keeps the newest; by `exact` match the best comes
    first. Incomplete runs come last.
    """
    listed = [item for item in listed if task is None or _task_of(item, runs_dir) == task]
    complete = [item for item in listed if item.run]
    others = [item for item in listed if not item.run]
    if by == "name":
        return sorted(listed, key=lambda item: item.name)[:limit]
    if by == "exact":
        complete.sort(key=lambda item: -item.run.manifest.results.exact_match if item.run else 0)
        return [*complete, *others][:limit]
    if limit is not None:
        complete = complete[-limit:]
    return [*complete, *others][:limit]


def several_seeds(listed: Sequence[ListedRun]) -> dict[str, list[Run]]:
    """Return the complete runs that differ only in their seed, by the name that they share."""
    groups: dict[str, list[Run]] = {}
    for item in listed:
        shared, seed = split_seed(item.name)
        if item.run and seed is not None:
            groups.setdefault(shared, []).append(item.run)

    def is_repeated(runs: list[Run]) -> bool:
        differing = differing_settings([run.config for run in runs])
        return len(runs) > 1 and differing.keys() <= {"training.seed"}

    return {name: runs for name, runs in groups.items() if is_repeated(runs)}


def _task_of(item: ListedRun, runs_dir: Path) -> str | None:
    """Return the name of a complete or stopped run's task; None if it is unknown."""
    if item.run:
        return item.run.config.task.name
    newest = newest_description(runs_dir / item.name)
    return newest.config.task.name if newest else None


def run_folders(runs_dir: Path) -> list[Path]:
    """Return the runs, complete or in training, sorted by name.

    Raises StorageError if it is not a folder, or cannot be read.
    """
    try:
        folders = list(runs_dir.iterdir())
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not runs_dir.is_symlink():
            return []
        raise unreadable(runs_dir, error) from error
    return sorted({run_of(folder) for folder in folders if is_run(folder)})


def is_run(folder: Path) -> bool:
    """Return whether a folder is that of a run or its training, which may be damaged."""
    try:
        return folder.is_dir() and any((folder / name).exists() for name in (CONFIG_FILE, MANIFEST))
    except OSError:  # another user's folder
        return False


def find_run(runs_dir: Path, name: str) -> Path:
    """Return the path of a run: complete, in training or damaged; SWEEP/RUN is a sweep's.

    Raises ModelError if there is none.
    """
    run = run_path(runs_dir, name)
    _settle(run)
    if not is_run(run) and not is_run(training_path(run)):
        raise _no_run(run)
    return run


def _no_run(run: Path) -> ModelError:
    command = list_command(run.parent)
    if run.is_dir():
        return ModelError(f"{run} is not a run: `{command}` lists them")
    return ModelError(f"there is no run {run}: `{command}` lists them")


def _settle(run: Path) -> None:
    """Finish an interrupted replacement; if that is not possible, read what is there."""
    with suppress(S2sError, OSError):
        settle(run)


def _list_run(run: Path) -> ListedRun:
    """Describe a run; a damaged one does not keep the others from being listed."""
    try:
        return ListedRun(run.name, _open_run(run, run.name), under_way=_under_way(run))
    except (S2sError, OSError) as error:
        if (run / MANIFEST).exists():
            return ListedRun(run.name, None, f"damaged: {error}")
    return ListedRun(run.name, None, _under_way(run) or "incomplete")


def _under_way(run: Path) -> str:
    """Return the state of a run's training; empty if there is none."""
    if is_in_training(run):
        return "in training"
    if has_diverged(run):
        return "diverged"
    return "stopped" if is_stopped(run) else ""


def _open_run(run: Path, name: str) -> Run:
    if not (run / MANIFEST).exists():
        _settle(run)
    if not (run / MANIFEST).exists():
        raise _not_complete(run)
    manifest = read_manifest(run)
    path = run / CONFIG_FILE
    try:
        text = read_recorded(run, CONFIG_FILE, manifest).decode()
        config = parse_config(text, str(path))
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is corrupt: it is not UTF-8 text") from error
    except ConfigurationError as error:
        raise ModelError(f"{path} does not fit this s2s: {error}") from error
    unknown = problems(config.task)
    if unknown:
        raise ModelError(f"{path} does not fit this s2s: {'; '.join(unknown)}")
    return Run(name, run, config, manifest)


def _not_complete(run: Path) -> ModelError:
    if is_locked(training_path(run)):
        return ModelError(f"the run {run} is still in training")
    if has_diverged(run):
        return ModelError(f"the training of {run} diverged: train it anew at a lower learning rate")
    if is_stopped(run):
        newest = newest_description(run)
        command = resume_command(run, newest.config.task) if newest else anew_command(run)
        return ModelError(f"the run {run} is incomplete: continue with `{command}`")
    if is_run(run) or is_run(training_path(run)):
        return ModelError(f"the run {run} is incomplete: train it anew with `{anew_command(run)}`")
    return _no_run(run)
