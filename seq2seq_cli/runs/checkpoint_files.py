"""The checkpoints in a run's folder, as files of the folder `checkpoint`.

Each is `NUMBER.npz` with the arrays, and `NUMBER.json`, written after it, with the rest. They are
numbered in the order in which they are written. One is whole when both are there and the hash
agrees; the last two are kept, so that a damaged one has one before it.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from seq2seq_cli.archive import reason
from seq2seq_cli.errors import ModelError
from seq2seq_cli.runs.advice import anew_command
from seq2seq_cli.runs.checkpoint import (
    Checkpoint,
    Description,
    deserialize,
    read_description,
    serialize,
)
from seq2seq_cli.runs.history import read_history
from seq2seq_cli.runs.manifest import HISTORY
from seq2seq_cli.storage import atomic_path, make_folder, remove_leftovers, write_text

CHECKPOINTS = "checkpoint"
"""The folder in a run's folder that holds them."""
KEPT = 2


def save_checkpoint(place: Path, checkpoint: Checkpoint) -> str:
    """Write a checkpoint into a folder, as its newest one; return its arrays' hash.

    Raises StorageError where writing fails; the checkpoints before it are then as they were.
    """
    make_folder(place)
    description, content = serialize(checkpoint)
    name = f"{max(map(int, numbers(place)), default=0) + 1:012d}"
    with atomic_path(place / f"{name}.npz") as path:
        path.write_bytes(content)
    write_text(place / f"{name}.json", description.to_json())
    return description.sha256


def remove_checkpoints(place: Path, names: Iterable[str]) -> None:
    """Remove the checkpoints of these numbers, each one's description first."""
    for name in names:
        (place / f"{name}.json").unlink(missing_ok=True)
        (place / f"{name}.npz").unlink(missing_ok=True)


def remove_undescribed(place: Path) -> None:
    """Remove what a killed process has left of a checkpoint: half files, arrays that none tells of.

    Who calls it holds the run's lock.
    """
    remove_leftovers(place, lambda name: bool(re.fullmatch(r"\d{12}\.(npz|json)", name)))
    described = numbers(place)
    for path in place.glob("*.npz"):
        if re.fullmatch(r"\d{12}", path.stem) and path.stem not in described:
            path.unlink()


def numbers(place: Path) -> list[str]:
    """Return the checkpoints' numbers, as they are written, the newest first."""
    names = (path.stem for path in place.glob("*.json"))
    return sorted((name for name in names if re.fullmatch(r"\d{12}", name)), reverse=True)


def load_checkpoint(folder: Path) -> tuple[Checkpoint, list[str]]:
    """Return a run's newest checkpoint that is whole, and a note on each newer one that is not.

    Raises ModelError where there is none.
    """
    place = folder / CHECKPOINTS
    notes: list[str] = []
    for name in numbers(place):
        try:
            description = (place / f"{name}.json").read_bytes()
            checkpoint = deserialize(description, (place / f"{name}.npz").read_bytes())
            return _with_history(checkpoint, description, folder), notes
        except MemoryError:
            raise
        except Exception as error:  # a damaged file fails in many ways
            notes.append(f"passed over the damaged checkpoint {place / name}: {reason(error)}")
    found = "; ".join(notes) or "it holds no checkpoint"
    raise ModelError(
        f"cannot resume {folder}: {found}; train it anew with `{anew_command(folder)}`"
    )


def newest_description(folder: Path) -> Description | None:
    """Return what a run's newest checkpoint says of itself; its arrays are not looked at."""
    place = folder / CHECKPOINTS
    for name in numbers(place):
        try:
            return read_description((place / f"{name}.json").read_bytes())
        except (OSError, ValueError):
            continue
    return None


def _with_history(checkpoint: Checkpoint, description: bytes, folder: Path) -> Checkpoint:
    """Return the checkpoint with the epochs that version 1 has in the run's history alone."""
    if read_description(description).history is not None:
        return checkpoint
    history = read_history(folder / HISTORY)[: checkpoint.status.epochs_done]
    return replace(checkpoint, history=history)
