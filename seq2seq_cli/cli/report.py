"""How an evaluation is shown: the accuracy table and the spot-check examples."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from seq2seq_cli.cli import output

if TYPE_CHECKING:
    from seq2seq_cli.evaluation import Report


def percent(share: float) -> str:
    """Return a share as a percentage, with more digits where it is close to 100 and not there."""
    return f"{share:.4%}" if 0.999 < share < 1 else f"{share:.2%}"


def show(report: "Report", quiet: bool = False) -> None:
    """Print the report's tables to standard output and its notes to standard error."""
    interval = f"{percent(report.exact_match_low)} to {percent(report.exact_match_high)}"
    rows = [
        ("exact match", percent(report.exact_match)),
        ("  95 % interval", interval),
        ("token accuracy", percent(report.token_accuracy)),
        *(
            (f"  position {position}", percent(share))
            for position, share in enumerate(report.position_accuracy, 1)
        ),
        ("loss", f"{report.loss:.6f}"),
        ("sequences/s", f"{report.sequences_per_s:,.0f}"),
    ]
    title = f"{report.run}: {report.n_samples:,} {report.origin}, predicted freely"
    output.table(title, ("accuracy", ">value"), rows)
    if report.examples:
        output.table(
            "Spot checks (a wrong token is marked !)",
            ("source", "expected", "predicted", ""),
            [
                (
                    output.format_ids(example.source),
                    output.format_ids(example.target),
                    output.mark_errors(example.target, example.predicted),
                    "ok" if example.target == example.predicted else "wrong",
                )
                for example in report.examples
            ],
        )
    for note in report.notes:
        output.message(f"note: {note}", quiet)


def as_json(report: "Report") -> dict[str, Any]:
    """Return the report as plain values for `--json`."""
    document = asdict(report)
    document["examples"] = [example._asdict() for example in report.examples]
    return document
