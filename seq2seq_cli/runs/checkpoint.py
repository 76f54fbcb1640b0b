"""Checkpoints: everything a training needs to resume as if it had never stopped.

A checkpoint is an archive of arrays, lines of a history, and a description in JSON with the hashes
of the other two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from math import prod
from typing import NamedTuple
from zipfile import ZipFile

import numpy as np
from pydantic import Field

from seq2seq_cli.architecture import Architecture, Shape
from seq2seq_cli.archive import find_member
from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.vocabulary import Floats
from seq2seq_cli.runs.environment import Environment
from seq2seq_cli.runs.history import Call, EpochRecord, parse_history
from seq2seq_cli.runs.manifest import Results
from seq2seq_cli.runs.record import Document, Record
from seq2seq_cli.storage import sha256_of

GROUPS = ("weights", "first", "second")

MOST_HEADER = 10_000
"""Maximum bytes before an array's values."""


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
    validations_done: int = 0  # scheduled ones
    best_epoch: int = 0  # the epoch of the best validation
    best_n_samples: int | None = None  # sequences of that epoch trained on before it; None: all
    best: Results | None = None
    calls: tuple[Call, ...] = ()  # since the last validation
    has_ended: bool = False  # only the run's files are left to write


class HistoryRecord(Record):
    """The part of a history file that is a checkpoint's history."""

    name: str = Field(default="", pattern=r"^([0-9]{12})?$")  # of the file; empty without lines
    n_bytes: int = Field(ge=0)
    sha256: str


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


def serialize(checkpoint: Checkpoint, history: HistoryRecord) -> tuple[Description, bytes]:
    """Return a checkpoint's description and the archive of its arrays.

    `history` records where the lines of the checkpoint's history are.
    """
    state = checkpoint.state
    arrays = {
        f"{group}/{number}": array
        for group, values in zip(
            (*GROUPS, "best"), (*state[:3], checkpoint.best_weights), strict=True
        )
        for number, array in enumerate(values)
    }
    file = BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    content = file.getvalue()
    description = Description(
        format_version=Description.VERSION,
        written_at=checkpoint.written_at,
        sha256=sha256_of(content),
        n_bytes=len(content),
        steps_done=state.steps_done,
        loss_sum=state.loss_sum,
        config=checkpoint.config,
        environment=checkpoint.environment,
        status=checkpoint.status,
        history=history,
    )
    return description, content


def deserialize(described: Description, content: bytes, lines: bytes) -> Checkpoint:
    """Return the checkpoint of a description, an archive and the lines of the history.

    Raises ValueError if they are damaged or the model has other arrays, and whatever zipfile and
    zlib raise if it is not a valid archive.
    """
    if sha256_of(content) != described.sha256:
        raise ValueError("its SHA-256 is not the recorded one")
    if sha256_of(lines) != described.history.sha256:
        raise ValueError("the SHA-256 of its history is not the recorded one")
    architecture = Architecture.of(described.config)
    shapes = [shape for layer in architecture.all_layers for shape in layer.shapes]
    with ZipFile(BytesIO(content)) as archive:
        weights, first, second, best = (
            _read_group(archive, name, shapes) for name in (*GROUPS, "best")
        )
    orders = [[array.shape for array in group] for group in (weights, first, second, best)]
    if orders[:3] != [orders[0]] * 3 or orders[3] not in ([], orders[0]) or not weights:
        raise ValueError("its arrays do not belong together")
    return Checkpoint(
        state=TrainState(weights, first, second, described.steps_done, described.loss_sum),
        best_weights=best,
        status=described.status,
        config=described.config,
        environment=described.environment,
        written_at=described.written_at,
        history=parse_history(lines),
    )


def _read_group(archive: ZipFile, group: str, shapes: Sequence[Shape]) -> list[Floats]:
    """Return a group's arrays, which have these shapes in any order; an absent group has none.

    No array is read before its shape is known to be one of those left.
    """
    left, found = list(shapes), list[Floats]()
    names = set(archive.namelist())
    while (name := f"{group}/{len(found)}.npy") in names:
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
            found.append(np.lib.format.read_array(file, allow_pickle=False))
    if found and left:
        raise ValueError(f"its {group} have no array of shape {left[0]}")
    return found
