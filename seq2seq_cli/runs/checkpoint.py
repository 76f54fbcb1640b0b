"""Checkpoints: everything a training needs to resume as if it had never stopped.

They are in the folder `checkpoint` of a run. Each is `NUMBER.npz` with the arrays, and
`NUMBER.json`, written after it, with the rest and the hashes. Its history is the beginning of a
file `NUMBER.jsonl`, to which all checkpoints of one process append lines. Checkpoints are numbered
in the order of writing; a training keeps the last two, in case the last one is damaged.

A run's checkpoints are those of its training if that has any, otherwise those of the complete run.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

import numpy as np
from pydantic import Field

from seq2seq_cli.architecture import Architecture, Shape
from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.vocabulary import Floats
from seq2seq_cli.errors import ModelError
from seq2seq_cli.runs.advice import anew_command
from seq2seq_cli.runs.history import Call, EpochRecord, HistoryFile, HistoryRecord, parse_history
from seq2seq_cli.runs.manifest import Document, Environment, FileRecord, Record, Results
from seq2seq_cli.runs.names import training_path
from seq2seq_cli.storage import (
    atomic_path,
    find_member,
    make_folder,
    read_file,
    reason,
    sha256_of,
    write_text,
)

CHECKPOINTS = "checkpoint"
"""The folder of the checkpoints in a run's folder."""

KEPT = 2
GROUPS = ("weights", "first", "second", "best")

MOST_HEADER = 10_000
"""Maximum bytes before an array's values."""

MOST_DESCRIPTION = 2**20
"""Maximum bytes of a description."""


class TrainState(NamedTuple):
    """Everything that a training's steps change: they are a pure function of it."""

    weights: list[Floats]  # in the order of the model's trainable variables
    first: list[Floats]  # Adam's moments of the weights
    second: list[Floats]
    steps_done: int
    loss_sum: float  # of the steps' losses, since the beginning


class TrainingStatus(Record):
    """The progress of a training, apart from the state of its steps."""

    epochs_done: int = 0
    loss_sum: float = 0.0  # of the steps' losses, at the last epoch's end
    seconds: float = 0.0  # of all processes
    epoch_seconds: float = 0.0  # of the training in the current epoch
    validations_done: int = 0  # scheduled ones
    best_epoch: int = 0  # the epoch of the best validation
    best_n_samples: int | None = None  # sequences of that epoch trained on before it; None: all
    best: Results | None = None
    calls: tuple[Call, ...] = ()  # since the last validation
    has_ended: bool = False  # only the run's files are left to write
    has_diverged: bool = False  # the steps after this checkpoint lead to a loss that is not finite


class Description(Document):
    """The content of a checkpoint's JSON file."""

    VERSION = 5

    written_at: str  # in ISO 8601, UTC
    sha256: str  # of the arrays' file
    n_bytes: int = Field(ge=0)  # of the arrays' file
    steps_done: int
    loss_sum: float
    config: RunConfig
    environment: Environment
    status: TrainingStatus
    history: HistoryRecord


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory."""

    state: TrainState
    best_weights: list[Floats]  # of the best validation so far; none before the first
    status: TrainingStatus
    config: RunConfig
    environment: Environment
    written_at: str  # in ISO 8601, UTC
    history: tuple[EpochRecord, ...] = ()


def save_checkpoint(folder: Path, checkpoint: Checkpoint, history: HistoryFile) -> None:
    """Write a checkpoint into a folder, as its newest one.

    Raises StorageError if writing fails; the earlier checkpoints are then unchanged.
    """
    make_folder(folder)
    name = f"{max(map(int, numbers(folder)), default=0) + 1:012d}"
    recorded, state = history.record(checkpoint.history, name), checkpoint.state
    arrays = {
        f"{group}/{number}": array
        for group, values in zip(GROUPS, (*state[:3], checkpoint.best_weights), strict=True)
        for number, array in enumerate(values)
    }
    with atomic_path(folder / f"{name}.npz") as path:
        np.savez(path, **arrays)  # type: ignore[arg-type]
        file = FileRecord.of(path)
    description = Description(
        format_version=Description.VERSION,
        written_at=checkpoint.written_at,
        sha256=file.sha256,
        n_bytes=file.bytes,
        steps_done=state.steps_done,
        loss_sum=state.loss_sum,
        config=checkpoint.config,
        environment=checkpoint.environment,
        status=checkpoint.status,
        history=recorded,
    )
    write_text(folder / f"{name}.json", description.to_json())


def remove_checkpoints(folder: Path, names: Iterable[str]) -> None:
    """Remove the checkpoints of these numbers, starting with the description of each."""
    for name in names:
        (folder / f"{name}.json").unlink(missing_ok=True)
        (folder / f"{name}.npz").unlink(missing_ok=True)
    remove_undescribed(folder)


def remove_undescribed(folder: Path) -> None:
    """Remove the files of checkpoints that have no description.

    The caller holds the run's lock.
    """
    descriptions = [_description(folder, name) for name in numbers(folder)]
    histories = {described.history.name for described in descriptions if described}
    for suffix, names in ((".npz", numbers(folder)), (".jsonl", histories)):
        for path in folder.glob(f"*{suffix}"):
            if re.fullmatch(r"\d{12}", path.stem) and path.stem not in names:
                path.unlink(missing_ok=True)


def numbers(folder: Path) -> list[str]:
    """Return the checkpoints' numbers as text, the newest first."""
    names = (path.stem for path in folder.glob("*.json"))
    return sorted((name for name in names if re.fullmatch(r"\d{12}", name)), reverse=True)


def is_stopped(run: Path) -> bool:
    """Return whether a training of this run has a checkpoint; it may also be running."""
    return bool(numbers(training_path(run) / CHECKPOINTS))


def has_diverged(run: Path) -> bool:
    """Return whether a training of this run ended with a loss that is not finite."""
    newest = newest_description(run) if is_stopped(run) else None
    return newest is not None and newest.status.has_diverged


def mark_diverged(run: Path) -> None:
    """Record that the training of this run diverges after its newest checkpoint."""
    folder = _folder(run)
    for name in numbers(folder)[:1]:
        newest = _describe(folder, name)
        status = newest.status.model_copy(update={"has_diverged": True})
        newest = newest.model_copy(update={"status": status})
        write_text(folder / f"{name}.json", newest.to_json())


def has_checkpoint(run: Path) -> bool:
    """Return whether there is a checkpoint of this run, or of its training."""
    return bool(numbers(_folder(run)))


def load_checkpoint(run: Path) -> tuple[Checkpoint, list[str]]:
    """Return a run's newest whole checkpoint, and a note on each newer one that is damaged.

    Raises ModelError if there is none.
    """
    folder, notes = _folder(run), list[str]()
    for name in numbers(folder):
        try:
            return _read(folder, name), notes
        except MemoryError:
            raise
        except Exception as error:  # a damaged file fails in many ways
            notes.append(f"passed over the damaged checkpoint {folder / name}: {reason(error)}")
    problem = "; ".join(notes) or "it holds no checkpoint"
    raise ModelError(f"cannot resume {run}: {problem}; train it anew with `{anew_command(run)}`")


def newest_description(run: Path) -> Description | None:
    """Return the description of a run's newest checkpoint, without checking its arrays."""
    folder = _folder(run)
    return next(filter(None, (_description(folder, name) for name in numbers(folder))), None)


def _folder(run: Path) -> Path:
    return (training_path(run) if is_stopped(run) else run) / CHECKPOINTS


def _description(folder: Path, name: str) -> Description | None:
    try:
        return _describe(folder, name)
    except (OSError, ValueError):
        return None


def _describe(folder: Path, name: str) -> Description:
    return Description.from_json(read_file(folder / f"{name}.json", MOST_DESCRIPTION))


def _read(folder: Path, name: str) -> Checkpoint:
    """Return a checkpoint; ValueError if it is damaged or the model has other arrays.

    Raises whatever zipfile and zlib raise if its archive is not valid.
    """
    description = _describe(folder, name)
    content = read_file(folder / f"{name}.npz", description.n_bytes)
    if sha256_of(content) != description.sha256:
        raise ValueError("its SHA-256 is not the recorded one")
    history, lines = description.history, b""
    path = folder / f"{history.name}.jsonl"
    if history.n_bytes:
        lines = read_file(path, history.n_bytes)
    if sha256_of(lines) != history.sha256:
        raise ValueError("the SHA-256 of its history is not the recorded one")
    layers = Architecture.of(description.config).all_layers
    shapes = [shape for layer in layers for shape in layer.shapes]
    with ZipFile(BytesIO(content)) as archive:
        weights, first, second, best = (_read_group(archive, group, shapes) for group in GROUPS)
    orders = [[array.shape for array in group] for group in (weights, first, second, best)]
    if orders[:3] != [orders[0]] * 3 or orders[3] not in ([], orders[0]) or not weights:
        raise ValueError("its arrays do not belong together")
    return Checkpoint(
        state=TrainState(weights, first, second, description.steps_done, description.loss_sum),
        best_weights=best,
        status=description.status,
        config=description.config,
        environment=description.environment,
        written_at=description.written_at,
        history=parse_history(lines, path),
    )


def _read_group(archive: ZipFile, group: str, shapes: Sequence[Shape]) -> list[Floats]:
    """Return a group's arrays, which have these shapes in any order; an absent group has none.

    No array is read before its shape is known to be one of those left.
    """
    left, arrays = list(shapes), list[Floats]()
    names = set(archive.namelist())
    while (name := f"{group}/{len(arrays)}.npy") in names:
        most = 4 * max(map(prod, left), default=0) + MOST_HEADER
        member = find_member(archive, name, most)
        with archive.open(member) as file:
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError(f"{name} is in another version of the format")
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            n_bytes = member.file_size - file.tell()
        if shape not in left or dtype != np.float32 or n_bytes != 4 * prod(shape):
            raise ValueError(f"{name} has {dtype} of shape {shape}, which the model has not")
        left.remove(shape)
        with archive.open(member) as file:
            arrays.append(np.lib.format.read_array(file, allow_pickle=False))
    if arrays and left:
        raise ValueError(f"its {group} have no array of shape {left[0]}")
    return arrays
