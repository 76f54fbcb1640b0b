"""The result of one cell under one seed: a line of `sweep.jsonl`, and of a CSV file."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from seq2seq_cli.config import RunConfig
from seq2seq_cli.errors import StorageError
from seq2seq_cli.runs.manifest import Record
from seq2seq_cli.storage import write_text


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


EVALUATED = ("exact_match", "exact_match_low", "exact_match_high", "exact", "token_accuracy",
             "loss", "n_samples", "notes")  # fmt: skip
"""The figures that a record takes from an evaluation's report."""


def evaluated(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures that a record takes from an evaluation's report."""
    return {name: report[name] for name in EVALUATED}


RESULTS_FILES = "sweep*.jsonl"
"""The result files of all processes in a sweep's folder."""


def read_records(path: Path) -> list[RunRecord]:
    """Return the records in a file; incomplete lines, as after a power cut, are skipped."""
    try:
        lines = path.read_bytes().splitlines()
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
    lines = [csv_row(record, config) for record, config in rows]
    file = io.StringIO()
    writer = csv.DictWriter(file, _columns(lines), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write_text(path, file.getvalue())


def csv_row(record: RunRecord, config: RunConfig) -> dict[str, Any]:
    """Return a run's line: the record's values, and the configuration's by `section.key`."""
    row = record.model_dump(exclude={"settings"}) | {"notes": "; ".join(record.notes)}
    for section, settings in config.model_dump().items():
        row |= {f"{section}.{key}": value for key, value in settings.items()}
    return row


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(rows[0]) if rows else list(RunRecord.model_fields)
