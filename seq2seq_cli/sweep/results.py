"""The results of a sweep: a line of `sweep.jsonl` for each run, and each cell's over its seeds."""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from seq2seq_cli.config import RunConfig
from seq2seq_cli.errors import StorageError
from seq2seq_cli.metrics import LEARNED, spread_as_json
from seq2seq_cli.runs.manifest import Record
from seq2seq_cli.settings import flat_settings
from seq2seq_cli.storage import read_file, write_text

RESULTS_FILES = "sweep*.jsonl"
"""The result files of all processes in a sweep's folder."""

MOST_RESULTS = 2**30
"""Maximum bytes that are read of such a file."""

EVALUATED = ("exact_match", "exact_match_low", "exact_match_high", "exact", "token_accuracy",
             "loss", "n_samples", "notes")  # fmt: skip
"""The figures that a record takes from an evaluation's report."""


class RunRecord(Record):
    """A run of a sweep, evaluated in free running on held-out sequences, or its problem."""

    cell: str
    seed: int
    run: str  # its name, as --run takes it
    settings: dict[str, Any]  # changed or derived ones of this cell
    exact_match: float | None = None
    exact_match_low: float | None = None
    exact_match_high: float | None = None
    exact: bool = False  # whether all held-out sequences were evaluated
    token_accuracy: float | None = None
    loss: float | None = None
    n_samples: int = 0  # evaluated
    notes: list[str] = Field(default_factory=list)  # of the evaluation, for the user
    seconds: float = 0.0  # of the training
    completed_at: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Summary:
    """A cell's records, in the order of their seeds; never the best alone."""

    cell: str
    records: tuple[RunRecord, ...]

    @property
    def shares(self) -> list[float]:
        """The exact matches of its complete runs."""
        return [record.exact_match for record in self.records if record.exact_match is not None]

    @property
    def n_learned(self) -> int:
        """The number of seeds that learned the task; a seed without a run did not."""
        return sum(share >= LEARNED for share in self.shares)

    @property
    def problems(self) -> list[str]:
        """The problems of its seeds without a run, each once."""
        return list(dict.fromkeys(record.problem for record in self.records if record.problem))

    def as_json(self) -> dict[str, Any]:
        """Return the summary as plain values; without a run the figures are null."""
        return {
            "cell": self.cell,
            "settings": self.records[0].settings,
            "n_seeds": len(self.records),
            "exact_match": [record.exact_match for record in self.records],
            **spread_as_json(self.shares),
            "learned": self.n_learned / len(self.records),
            "learned_from": LEARNED,
            "seconds": round(sum(record.seconds for record in self.records), 3),
            "problem": "; ".join(self.problems),
        }


def summarize(records: Iterable[RunRecord]) -> list[Summary]:
    """Return each cell's summary, in order of first appearance."""
    cells: dict[str, list[RunRecord]] = {}
    for record in records:
        cells.setdefault(record.cell, []).append(record)
    return [Summary(cell, tuple(group)) for cell, group in cells.items()]


def cells_by_note(records: Iterable[RunRecord]) -> dict[str, list[str]]:
    """Return each note of the evaluations with the cells that have it."""
    notes: dict[str, dict[str, None]] = {}
    for record in records:
        for note in record.notes:
            notes.setdefault(note, {})[record.cell] = None
    return {note: list(cells) for note, cells in notes.items()}


def read_records(path: Path) -> list[RunRecord]:
    """Return the records in a file; incomplete lines, as after a power cut, are skipped."""
    try:
        lines = read_file(path, MOST_RESULTS).splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    records = []
    for line in lines:
        try:
            records.append(RunRecord.model_validate_json(line))
        except ValidationError:
            continue
    return records


def write_records(path: Path, records: Iterable[RunRecord]) -> None:
    """Write a line for each record; StorageError if that fails."""
    write_text(path, "".join(f"{record.model_dump_json()}\n" for record in records))


def write_csv(path: Path, rows: Iterable[tuple[RunRecord, RunConfig]]) -> None:
    """Write a line for each run, with all of its settings; StorageError if that fails."""
    file = io.StringIO()
    fields = [field for field in RunRecord.model_fields if field != "settings"]
    writer = csv.DictWriter(file, [*fields, *_settings(RunConfig())], lineterminator="\n")
    writer.writeheader()
    for record, config in rows:
        values = record.model_dump(include=set(fields)) | {"notes": "; ".join(record.notes)}
        writer.writerow({**values, **_settings(config)})
    write_text(path, file.getvalue())


def _settings(config: RunConfig) -> Mapping[str, object]:
    return flat_settings(config.model_dump())
