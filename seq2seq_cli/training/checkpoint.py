"""Checkpoints: all that a training needs to go on as if it had never stopped.

A checkpoint is two files in the run's folder `checkpoint`: `STEP.npz` with the arrays, and
`STEP.json`, written after it, with the rest and the hash of the arrays. One is whole when both are
and the hash agrees; the last two are kept, so that a damaged one has one before it.
"""

import hashlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from pydantic import ValidationError

from seq2seq_cli.config import RunConfig
from seq2seq_cli.errors import ConfigurationError, ModelError
from seq2seq_cli.manifest import CHECKPOINTS, Circumstances, Record, Results
from seq2seq_cli.storage import atomic_path, write_text
from seq2seq_cli.training.loop import State
from seq2seq_cli.vocabulary import Floats

FORMAT_VERSION = 1
KEPT = 2
CHANGEABLE = ("training.epochs", "training.stop_at", "training.patience")
"""Settings that may differ when a training is resumed."""

GROUPS = ("weights", "first", "second")


class Progressed(Record):
    """What a training has behind it, apart from the state of its steps."""

    epochs_done: int = 0
    loss_sum: float = 0.0  # of the steps' losses, at the last epoch's end
    seconds: float = 0.0  # of all processes
    rate_scale: float = 1.0  # what callbacks have made of the learning rate
    best_epoch: int = 0
    best: Results | None = None


class Description(Record):
    """The content of a checkpoint's JSON file."""

    format_version: int
    sha256: str
    steps_done: int
    loss_sum: float
    config: RunConfig
    circumstances: Circumstances
    progressed: Progressed


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory."""

    state: State
    best_weights: list[Floats]  # of the best epoch so far; none before the first
    progressed: Progressed
    config: RunConfig
    circumstances: Circumstances


def encode(checkpoint: Checkpoint) -> tuple[str, bytes]:
    """Return what a checkpoint's two files hold."""
    state = checkpoint.state
    arrays = {
        f"{group}/{number}": array
        for group, values in zip(
            (*GROUPS, "best"), (*state[:3], checkpoint.best_weights), strict=True
        )
        for number, array in enumerate(values)
    }
    content = BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    description = Description(
        format_version=FORMAT_VERSION,
        sha256=hashlib.sha256(content.getbuffer()).hexdigest(),
        steps_done=state.steps_done,
        loss_sum=state.loss_sum,
        config=checkpoint.config,
        circumstances=checkpoint.circumstances,
        progressed=checkpoint.progressed,
    )
    return description.model_dump_json(indent=2) + "\n", content.getvalue()


def decode(description: str | bytes, content: bytes) -> Checkpoint:
    """Return the checkpoint that its two files hold; raises ValueError where they are damaged."""
    described = Description.model_validate_json(description)
    if described.format_version != FORMAT_VERSION:
        raise ValueError(f"format version {described.format_version} is not {FORMAT_VERSION}")
    if hashlib.sha256(content).hexdigest() != described.sha256:
        raise ValueError("its SHA-256 is not the recorded one")
    with np.load(BytesIO(content), allow_pickle=False) as arrays:

        def group(name: str) -> list[Floats]:
            n = sum(key.startswith(f"{name}/") for key in arrays.files)
            return [arrays[f"{name}/{number}"] for number in range(n)]

        weights, first, second = (group(name) for name in GROUPS)
        return Checkpoint(
            state=State(weights, first, second, described.steps_done, described.loss_sum),
            best_weights=group("best"),
            progressed=described.progressed,
            config=described.config,
            circumstances=described.circumstances,
        )


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint of the run in `folder` and remove those before the last two.

    Raises StorageError where writing fails; the checkpoints before it are then as they were.
    """
    place = folder / CHECKPOINTS
    place.mkdir(exist_ok=True)
    description, content = encode(checkpoint)
    name = f"{checkpoint.state.steps_done:012d}"
    with atomic_path(place / f"{name}.npz") as path:
        path.write_bytes(content)
    write_text(place / f"{name}.json", description)
    for old in _steps(place)[KEPT:]:
        (place / f"{old}.json").unlink()
        (place / f"{old}.npz").unlink(missing_ok=True)


def load_checkpoint(folder: Path) -> tuple[Checkpoint, list[str]]:
    """Return the newest checkpoint that is whole, and a note on each newer one that is not.

    Raises ModelError where there is none.
    """
    place = folder / CHECKPOINTS
    notes: list[str] = []
    for name in _steps(place):
        try:
            description = (place / f"{name}.json").read_bytes()
            return decode(description, (place / f"{name}.npz").read_bytes()), notes
        except (OSError, ValueError, KeyError, BadZipFile, ValidationError) as error:
            reason = str(error).splitlines()[0]
            notes.append(f"passed over the damaged checkpoint {place / name}: {reason}")
    found = "; ".join(notes) or "it holds no checkpoint"
    raise ModelError(f"cannot resume {folder}: {found}; train it anew with --force")


def check_resumable(saved: RunConfig, wanted: RunConfig) -> None:
    """Raise ConfigurationError, with a line for each, for settings that may not change."""
    before = saved.model_dump()
    problems = [
        f"{section}.{key} = {value!r}: the run was begun with "
        f"{before[section][key]!r}; only {', '.join(CHANGEABLE)} may change"
        for section, settings in wanted.model_dump().items()
        for key, value in settings.items()
        if f"{section}.{key}" not in CHANGEABLE and value != before[section][key]
    ]
    if problems:
        raise ConfigurationError("\n".join(problems))


def _steps(place: Path) -> list[str]:
    """Return the checkpoints' names, the newest first."""
    return sorted((path.stem for path in place.glob("[0-9]*.json")), reverse=True)
