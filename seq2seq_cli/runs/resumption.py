"""Which run a training resumes, from what, and with which settings."""

from dataclasses import replace
from enum import Enum
from pathlib import Path

from seq2seq_cli.config import RunConfig, TrainingConfig
from seq2seq_cli.custom_code import names_function, same_function
from seq2seq_cli.data.tasks import find_task
from seq2seq_cli.errors import ConfigurationError, ModelError
from seq2seq_cli.runs.advice import anew_command
from seq2seq_cli.runs.checkpoint import (
    Checkpoint,
    TrainingStatus,
    has_checkpoint,
    has_diverged,
    is_stopped,
    newest_description,
)
from seq2seq_cli.runs.listing import find_run, run_folders
from seq2seq_cli.runs.lock import is_locked
from seq2seq_cli.runs.manifest import MANIFEST
from seq2seq_cli.runs.names import check_name, seed_run, split_seed, training_path
from seq2seq_cli.runs.progress import is_finished, stop_reason
from seq2seq_cli.settings import laid_over, validated

CHANGEABLE = (
    "training.epochs",
    "training.stop_at",
    "training.patience",
    "training.validate_every",
)
"""Settings that may differ when a training is resumed. Only `epochs` changes its steps: the cosine
schedule ends later, so the learning rates of the steps that are left change."""

FILES = ("task.name", "task.data", "task.validation_data")
"""Files that may have moved when a training is resumed; their hashes are settings too."""

FILLED_IN = (
    "task.name_sha256",
    "task.data_sha256",
    "task.validation_data_sha256",
    "model.pretrained_embedding_sha256",
)
"""Settings that follow from others; users do not set them."""


class State(Enum):
    """What exists of a run that is to be trained."""

    NEW = "new"
    STOPPED = "stopped"
    COMPLETE = "complete"


def find_resumable(runs_dir: Path, name: str | None) -> Path:
    """Return the named run or, without a name, the stopped training that was saved last.

    A training that runs or diverged is not a stopped one. Raises ModelError if there is none.
    """
    if name is not None:
        run = find_run(runs_dir, name)
        if not has_checkpoint(run):
            raise ModelError(
                f"the run {run} has no checkpoint to resume from: train it anew with "
                f"`{anew_command(run)}`"
            )
        return run
    begun = [run for run in run_folders(runs_dir) if is_stopped(run) and not has_diverged(run)]
    stopped = [run for run in begun if not is_locked(training_path(run))]
    if not stopped:
        running = f", only running ones, such as {begun[0].name}" if begun else ""
        raise ModelError(
            f"there is no stopped training in {runs_dir}{running}: name a completed run to train "
            "it further"
        )
    return max(stopped, key=written_at)


def find_seeds(runs_dir: Path, name: str | None) -> tuple[str, list[int]]:
    """Return the common name of several seeds' runs, and the seeds in ascending order.

    Without a name it is the one whose run was saved last, unless one of its runs is in training.
    Raises ModelError if there is none.
    """
    saved: dict[str, dict[int, str]] = {}
    runs = run_folders(runs_dir)
    for run in runs:
        shared, seed = split_seed(run.name)
        if seed is not None and has_checkpoint(run):
            saved.setdefault(shared, {})[seed] = written_at(run)
    if name is not None and check_name(name) not in saved:
        if runs_dir / name in runs:
            raise ModelError(f"{runs_dir / name} is a run of one seed: remove --seeds")
        raise ModelError(f"there is no run {runs_dir / name}-seed-... to resume")
    idle = [
        base
        for base, seeds in saved.items()
        if not any(is_locked(training_path(runs_dir / seed_run(base, seed))) for seed in seeds)
    ]
    if not name and not idle:
        raise ModelError(f"there are no runs of several seeds in {runs_dir} to resume")
    base = name or max(idle, key=lambda base: max(saved[base].values()))
    return base, sorted(saved[base])


def written_at(run: Path) -> str:
    """Return when a run's newest checkpoint was written; empty if none is whole."""
    newest = newest_description(run)
    return newest.written_at if newest else ""


def resumed_config(saved: RunConfig, changes: RunConfig, force: bool = False) -> RunConfig:
    """Return the saved settings, overridden by those that are set in `changes`.

    Raises ConfigurationError for a setting that may not change, unless `force`, and for a custom
    task that `changes` does not name: the code of a saved run is not imported.
    """
    merged = laid_over(saved, changes)
    if names_function(merged.task.name) and "name" not in changes.task.model_fields_set:
        find_task(merged.task)  # says how to name it
    if force:
        return validated(merged)
    check_resumable(saved, merged)
    return merged


def check_resumable(saved: RunConfig, config: RunConfig, run: str = "") -> None:
    """Raise ConfigurationError, with a line for each, for settings that may not change.

    A file may have moved if its hash is the same in both configurations. The lines begin with the
    name of the `run`, if there is one.
    """
    before, problems = saved.model_dump(), list[str]()
    for section, settings in config.model_dump().items():
        for key, value in settings.items():
            name, was = f"{section}.{key}", before[section][key]
            if name in CHANGEABLE or name in FILLED_IN:
                continue
            hashes = {before[section].get(f"{key}_sha256"), settings.get(f"{key}_sha256")}
            # A custom task's file may move, but the function has the same name.
            is_moved = value and (name != "task.name" or value.split(":")[-1] == was.split(":")[-1])
            if name in FILES and "" not in hashes and is_moved:
                if len(hashes) > 1:
                    problems.append(
                        f"{name} = {value!r}: the file is not the one that the run was begun with, "
                        f"which was {was!r} with SHA-256 {before[section][f'{key}_sha256'][:12]}..."
                    )
            elif name == "task.name" and same_function(value, was):
                continue
            elif value != was:
                problems.append(
                    f"{name} = {value!r}: the run was begun with {was!r}; only "
                    f"{', '.join(CHANGEABLE)} may change"
                )
    if problems:
        raise ConfigurationError("\n".join(f"{run}: {line}" if run else line for line in problems))


def resumed_checkpoint(checkpoint: Checkpoint, config: RunConfig, run: Path) -> Checkpoint:
    """Return a checkpoint with a resumed training's settings, without what is repeated.

    Raises ConfigurationError if the run is complete and there is nothing left to train.
    """
    is_complete = (run / MANIFEST).is_file() and not is_stopped(run)
    status, history = checkpoint.status, checkpoint.history
    finished = is_finished(status, config.training)
    if is_complete and finished:
        raise _complete(run, status, config.training)
    if is_complete or config.training != checkpoint.config.training:
        status = status.model_copy(update={"has_ended": False})
    if not status.has_ended and not finished:
        # Without an epoch that a callback cut short, except for its calls.
        cut, history = history[status.validations_done :], history[: status.validations_done]
        calls = tuple(call for record in cut for call in record.calls)
        status = status.model_copy(update={"calls": calls + status.calls})
    return replace(checkpoint, config=config, status=status, history=history)


def _complete(run: Path, status: TrainingStatus, training: TrainingConfig) -> ConfigurationError:
    reason = stop_reason(status, training)
    if reason and status.epochs_done < training.epochs:
        return ConfigurationError(
            f"training.stop_at = {training.stop_at}, training.patience = {training.patience}: the "
            f"run {run} is complete, {reason}; set others to train it further"
        )
    return ConfigurationError(
        f"training.epochs = {training.epochs}: the run {run} is complete after "
        f"{status.epochs_done}; set more epochs to train it further"
    )
