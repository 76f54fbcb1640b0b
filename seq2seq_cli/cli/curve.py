"""How the accuracy at many lengths is shown."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from seq2seq_cli.cli import output
from seq2seq_cli.cli.bars import bar, terminal_width
from seq2seq_cli.metrics import percent

if TYPE_CHECKING:
    from seq2seq_cli.generalization import LengthCurve, LengthResult


WITH_BARS, BAR = 96, 20
"""Columns from which on the table has bars, and theirs."""


def show_curve(curve: "LengthCurve", quiet: bool = False) -> None:
    """Print a row a length to standard output, what they come to, and notes to standard error."""
    has_bars = terminal_width() >= WITH_BARS
    columns = (">length", ">exact match", ">95 % interval", ">sequences", "trained on")
    output.table(
        f"{curve.run}: held-out sequences of each length, predicted freely",
        (*columns, *[""] * has_bars),
        [
            (*_row(result), *[bar(result.exact_match or 0, BAR)] * has_bars)
            for result in curve.lengths
        ],
    )
    learned = "none" if curve.longest_learned is None else f"{curve.longest_learned:,}"
    rows = [("longest length at least 99 % exact", learned)]
    if curve.mean_beyond is not None:
        name = f"mean exact match beyond {curve.longest_trained:,}, the longest trained on"
        rows.append((name, percent(curve.mean_beyond)))
    output.table("How far it carries", ("", ">value"), rows)
    for note in curve.notes:
        output.message(f"note: {note}", quiet)


def curve_as_json(curve: "LengthCurve") -> dict[str, Any]:
    """Return the curve as plain values for `--json`."""
    return asdict(curve)


def _row(result: "LengthResult") -> tuple[str, ...]:
    trained = "yes" if result.is_trained else ""
    if result.exact_match is None or result.exact_match_low is None:
        return f"{result.length:,}", "", "none held out", "0", trained
    interval = f"{percent(result.exact_match_low)} to {percent(result.exact_match_high or 0)}"
    share = percent(result.exact_match)
    n_samples = f"{'all ' if result.exact else ''}{result.n_samples:,}"
    return f"{result.length:,}", share, "exact" if result.exact else interval, n_samples, trained
