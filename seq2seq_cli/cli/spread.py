"""How the runs of several seeds are shown: all of them, and how their exact matches spread."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from seq2seq_cli.cli import output
from seq2seq_cli.cli.accuracy import as_json, interval
from seq2seq_cli.metrics import LEARNED, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seq2seq_cli.evaluation import Report


@dataclass(frozen=True)
class SeedRow:
    """A seed's run as it was evaluated, or the problem that it has come to."""

    seed: int
    path: Path
    report: "Report | None"
    problem: str = ""


def show_seeds(rows: "Sequence[SeedRow]", quiet: bool = False) -> None:
    """Print a table of all seeds to standard output, and what is to be noted to standard error."""
    reports = [row.report for row in rows if row.report]
    cells = [
        (str(row.seed), percent(row.report.exact_match), interval(row.report))
        if row.report
        else (str(row.seed), "none", "its loss is not finite")
        for row in rows
    ]
    if reports:
        shares = [report.exact_match for report in reports]
        whole = "" if len(reports) == len(rows) else f" of {len(reports)}"
        cells.append((f"median{whole}", percent(median(shares)), ""))
        spread = f"{percent(min(shares))} to {percent(max(shares))}"
        cells.append((f"range{whole}", "", spread))
    reached = f"{learned(rows)} of {len(rows)} seeds"
    cells.append((f"at least {LEARNED:.0%}", f"{learned(rows) / len(rows):.0%}", reached))
    origin = f"{reports[0].n_samples:,} {reports[0].origin}" if reports else "no run"
    if reports and reports[0].exact:
        origin = reports[0].origin
    runs = rows[0].path.name.removesuffix(str(rows[0].seed))
    columns = ("seed", ">exact match", "95 % interval")
    output.table(f"{runs}...: {origin}, predicted freely", columns, cells)
    for note in dict.fromkeys(note for report in reports for note in report.notes):
        output.message(f"note: {note}", quiet)


def spread_as_json(rows: "Sequence[SeedRow]") -> dict[str, Any]:
    """Return all seeds, and how they spread, as plain values for `--json`.

    Of a seed that has come to no run there is its problem; where none has, the figures are null.
    """
    shares = [row.report.exact_match for row in rows if row.report]
    return {
        "seeds": [
            {
                "seed": row.seed,
                "path": str(row.path),
                "problem": row.problem,
                **(as_json(row.report) if row.report else {}),
            }
            for row in rows
        ],
        "exact_match_median": median(shares) if shares else None,
        "exact_match_least": min(shares) if shares else None,
        "exact_match_most": max(shares) if shares else None,
        "learned": learned(rows) / len(rows),
        "learned_from": LEARNED,
    }


def learned(rows: "Sequence[SeedRow]") -> int:
    """Return how many seeds have learned the task; one without a run has not."""
    return sum(row.report is not None and row.report.exact_match >= LEARNED for row in rows)
