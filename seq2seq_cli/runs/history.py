"""The history of a training: the results of each validation, and of the calls before it."""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, TypeAdapter, ValidationError

from seq2seq_cli.errors import ModelError
from seq2seq_cli.runs.manifest import Record
from seq2seq_cli.storage import unwritable

MOST_CALLS = 256
"""The approximate number of calls whose figures a whole training keeps."""


class Call(NamedTuple):
    """The results of consecutive steps of a training, in one call of the program or several."""

    steps_done: int  # since the beginning of the training, including these
    steps: int
    loss: float  # mean, teacher-forced
    exact_match: float  # share of the sequences trained on, teacher-forced
    learning_rate: float  # of the last step


def with_call(calls: tuple[Call, ...], call: Call, most: int) -> tuple[Call, ...]:
    """Return the calls and one more; if there are more than `most`, pairs of calls are merged.

    Later calls are then merged too, up to the same number of steps.
    """
    call = Call(*call[:2], *(float(f"{value:.6g}") for value in call[2:]))
    if calls and calls[-1].steps + call.steps <= max(before.steps for before in calls):
        return (*calls[:-1], _merged(calls[-1], call))
    grown = (*calls, call)
    if len(grown) <= most:
        return grown
    pairs = [grown[start : start + 2] for start in range(0, len(grown), 2)]
    return tuple(_merged(*pair) if len(pair) == 2 else pair[0] for pair in pairs)


def _merged(first: Call, second: Call) -> Call:
    steps = first.steps + second.steps
    loss = (first.loss * first.steps + second.loss * second.steps) / steps
    share = (first.exact_match * first.steps + second.exact_match * second.steps) / steps
    loss, share = float(f"{loss:.6g}"), float(f"{share:.6g}")
    return Call(second.steps_done, steps, loss, share, second.learning_rate)


@dataclass(frozen=True)
class EpochRecord:
    """An epoch, or its first part, validated on held-out sequences: a line of the history.

    `n_samples` is the number of the epoch's sequences trained on so far; training loss, seconds and
    speed are of these.
    """

    epoch: int
    epochs: int
    n_samples: int
    training_loss: float
    loss: float
    exact_match: float
    exact_match_low: float
    exact_match_high: float
    teacher_forced_token_accuracy: float
    learning_rate: float
    seconds: float
    samples_per_s: float
    steps_done: int  # since the beginning of the training
    is_whole: bool = True  # whether this is the end of the epoch
    calls: tuple[Call, ...] = ()  # since the previous validation


def history_line(record: EpochRecord) -> str:
    """Return a record's line, without the line end."""
    fields = EpochRecord.__dataclass_fields__
    return json.dumps({name: value for name, value in asdict(record).items() if name in fields})


def history_text(records: Iterable[EpochRecord]) -> str:
    """Return the content of the file with these records."""
    return "".join(f"{history_line(record)}\n" for record in records)


def parse_history(content: bytes, path: Path) -> tuple[EpochRecord, ...]:
    """Return the records in the lines of a file; ModelError if they are damaged."""
    adapter = TypeAdapter(EpochRecord)  # built here, since few commands read histories
    try:
        return tuple(adapter.validate_json(line) for line in content.splitlines())
    except ValidationError as error:
        raise ModelError(f"{path} is corrupt: {error.errors()[0]['msg']}") from error


class HistoryRecord(Record):
    """The part of a history file that is a checkpoint's history."""

    name: str = Field(default="", pattern=r"^([0-9]{12})?$")  # of the file; empty without lines
    n_bytes: int = Field(ge=0)
    sha256: str


class HistoryFile:
    """The history file of the checkpoints that one process writes into a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._name = folder, ""
        self._n_records, self._n_bytes, self._hash = 0, 0, hashlib.sha256()

    def record(self, history: Sequence[EpochRecord], number: str) -> HistoryRecord:
        """Append the new records; the first time, to a new file of this number.

        Raises StorageError if writing fails; the earlier lines are then unchanged.
        """
        lines = history_text(history[self._n_records :]).encode()
        if lines:
            self._name = self._name or number
            self._append(self._folder / f"{self._name}.jsonl", lines)
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
