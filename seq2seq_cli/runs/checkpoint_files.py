"""The checkpoint files in the folder `checkpoint` of a run.

Each checkpoint is `NUMBER.npz` with the arrays, and `NUMBER.json`, written after it, with the rest
except the history. The history is the beginning of a file `NUMBER.jsonl`, to which all checkpoints
of one process append lines. Checkpoints are numbered in the order of writing. One is whole if its
files exist and the hashes match; a training keeps the last two, in case the last one is damaged.

A run's checkpoints are those of its training if that has any, otherwise those of the complete run.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from seq2seq_cli.archive import reason
from seq2seq_cli.errors import ModelError
from seq2seq_cli.runs.advice import anew_command
from seq2seq_cli.runs.checkpoint import (
    Checkpoint,
    Description,
    HistoryRecord,
    deserialize,
    serialize,
)
from seq2seq_cli.runs.history import EpochRecord, history_text
from seq2seq_cli.runs.names import training_path
from seq2seq_cli.storage import atomic_path, make_folder, read_file, unwritable, write_text

CHECKPOINTS = "checkpoint"
"""The folder of the checkpoints in a run's folder."""
KEPT = 2
MOST_DESCRIPTION = 2**20
"""Maximum bytes of a description."""


class HistoryFile:
    """The history file of the checkpoints that one process writes into a folder."""

    def __init__(self, place: Path) -> None:
        self._place, self._name = place, ""
        self._n_records, self._n_bytes, self._hash = 0, 0, hashlib.sha256()

    def record(self, history: Sequence[EpochRecord], number: str) -> HistoryRecord:
        """Append the new records; the first time, to a new file of this number.

        Raises StorageError if writing fails; the earlier lines are then unchanged.
        """
        lines = history_text(history[self._n_records :]).encode()
        if lines:
            self._name = self._name or number
            self._append(self._place / f"{self._name}.jsonl", lines)
            self._n_records, self._n_bytes = len(history), self._n_bytes + len(lines)
            self._hash.update(lines)
        return HistoryRecord(name=self._name, n_bytes=self._n_bytes, sha256=self._hash.hexdigest())

    def _append(self, path: Path, lines: bytes) -> None:
        try:
            with path.open("r+b" if self._n_bytes else "wb") as file:
                file.seek(self._n_bytes)  # a failed attempt may have written more
                file.write(lines)
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise unwritable(path, error) from error


def save_checkpoint(place: Path, checkpoint: Checkpoint, history: HistoryFile) -> None:
    """Write a checkpoint into a folder, as its newest one.

    Raises StorageError if writing fails; the earlier checkpoints are then unchanged.
    """
    make_folder(place)
    name = f"{max(map(int, numbers(place)), default=0) + 1:012d}"
    description, content = serialize(checkpoint, history.record(checkpoint.history, name))
    with atomic_path(place / f"{name}.npz") as path:
        path.write_bytes(content)
    write_text(place / f"{name}.json", description.to_json())


def remove_checkpoints(place: Path, names: Iterable[str]) -> None:
    """Remove the checkpoints of these numbers, starting with the description of each."""
    for name in names:
        (place / f"{name}.json").unlink(missing_ok=True)
        (place / f"{name}.npz").unlink(missing_ok=True)
    remove_undescribed(place)


def remove_undescribed(place: Path) -> None:
    """Remove the files of checkpoints that have no description.

    The caller holds the run's lock.
    """
    descriptions = [_description(place, name) for name in numbers(place)]
    histories = {found.history.name for found in descriptions if found}
    for suffix, described in ((".npz", numbers(place)), (".jsonl", histories)):
        for path in place.glob(f"*{suffix}"):
            if re.fullmatch(r"\d{12}", path.stem) and path.stem not in described:
                path.unlink(missing_ok=True)


def numbers(place: Path) -> list[str]:
    """Return the checkpoints' numbers as text, the newest first."""
    names = (path.stem for path in place.glob("*.json"))
    return sorted((name for name in names if re.fullmatch(r"\d{12}", name)), reverse=True)


def is_stopped(run: Path) -> bool:
    """Return whether a training of this run has a checkpoint; it may also be running."""
    return bool(numbers(training_path(run) / CHECKPOINTS))


def has_checkpoint(run: Path) -> bool:
    """Return whether there is a checkpoint of this run, or of its training."""
    return bool(numbers(_place(run)))


def load_checkpoint(run: Path) -> tuple[Checkpoint, list[str]]:
    """Return a run's newest whole checkpoint, and a note on each newer one that is damaged.

    Raises ModelError if there is none.
    """
    place, notes = _place(run), list[str]()
    for name in numbers(place):
        try:
            described = Description.from_json(read_file(place / f"{name}.json", MOST_DESCRIPTION))
            lines = _history_lines(place, described.history)
            content = read_file(place / f"{name}.npz", described.n_bytes)
            return deserialize(described, content, lines), notes
        except MemoryError:
            raise
        except Exception as error:  # a damaged file fails in many ways
            notes.append(f"passed over the damaged checkpoint {place / name}: {reason(error)}")
    problem = "; ".join(notes) or "it holds no checkpoint"
    raise ModelError(f"cannot resume {run}: {problem}; train it anew with `{anew_command(run)}`")


def newest_description(run: Path) -> Description | None:
    """Return the description of a run's newest checkpoint, without checking its arrays."""
    place = _place(run)
    return next(filter(None, (_description(place, name) for name in numbers(place))), None)


def _place(run: Path) -> Path:
    return (training_path(run) if is_stopped(run) else run) / CHECKPOINTS


def _description(place: Path, name: str) -> Description | None:
    try:
        return Description.from_json(read_file(place / f"{name}.json", MOST_DESCRIPTION))
    except (OSError, ValueError):
        return None


def _history_lines(place: Path, record: HistoryRecord) -> bytes:
    if not record.n_bytes:
        return b""
    return read_file(place / f"{record.name}.jsonl", record.n_bytes)
