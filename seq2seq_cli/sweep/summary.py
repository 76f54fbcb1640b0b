"""The results of a cell over all of its seeds, with their spread; never the best alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from seq2seq_cli.metrics import LEARNED, spread_as_json
from seq2seq_cli.sweep.record import RunRecord


@dataclass(frozen=True)
class Summary:
    """A cell's records, in the order of their seeds."""

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
            "settings": self.records[0].settings if self.records else {},
            "n_seeds": len(self.records),
            "exact_match": [record.exact_match for record in self.records],
            **spread_as_json(self.shares),
            "learned": self.n_learned / len(self.records) if self.records else 0.0,
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


def noted(records: Iterable[RunRecord]) -> dict[str, list[str]]:
    """Return each note of the evaluations with the cells that have it."""
    notes: dict[str, list[str]] = {}
    for record in records:
        for note in record.notes:
            cells = notes.setdefault(note, [])
            if record.cell not in cells:
                cells.append(record.cell)
    return notes
