"""Charts in the terminal: curves, points, bars and maps from a chart's numbers."""

from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from seq2seq_cli.cli import output
from seq2seq_cli.cli.bars import bar, terminal_width
from seq2seq_cli.cli.heat_map import heat_map
from seq2seq_cli.metrics import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seq2seq_cli.report.data import Chart

HEIGHT = 12
BAR = 12
"""Columns of a bar beside other figures."""

BLANK = " \u2800"
LABELS = 10
"""Columns that the labels beside a curve take."""


def show_chart(chart: "Chart") -> None:
    """Print a chart to standard output."""
    output.write(chart.title)
    {
        "curve": _show_curve,
        "points": _show_points,
        "shares": _show_shares,
        "counts": _show_counts,
        "map": _show_map,
        "grid": _show_grid,
        "lines": _show_lines,
    }[chart.kind](chart)


def _show_curve(chart: "Chart") -> None:
    trained = [(x, y) for _, kind, x, y in chart.rows if kind == "in training"]
    held_out = [(x, y) for _, kind, x, y in chart.rows if kind == "held out"]
    _draw(trained, held_out, "sequences")


def _show_points(chart: "Chart") -> None:
    _draw([], [(x, y) for _, x, y in chart.rows], "component 1")


def _draw(
    line: "Sequence[tuple[float, float]]", points: "Sequence[tuple[float, float]]", below: str
) -> None:
    """Print a line through some points, and others, with the ranges of both axes."""
    import plotille

    both = [*line, *points]
    (left, right), (low, high) = ((min(axis), max(axis)) for axis in zip(*both, strict=True))
    right, high = right + (right == left), high + (high == low)
    width = max(10, min(100, terminal_width()) - LABELS - 2)
    # So that the last of the dots, two by four in a character, are at the upper ends.
    beyond = right + (right - left) / (2 * width - 1), high + (high - low) / (4 * HEIGHT - 1)
    canvas = plotille.Canvas(width, HEIGHT, left, low, *beyond)
    for (x, y), (to_x, to_y) in pairwise(line):
        canvas.line(x, y, to_x, to_y)
    for x, y in points:
        canvas.point(x, y)
    labels = {0: f"{high:.4g}", HEIGHT - 1: f"{low:.4g}"}
    for number, text in enumerate(canvas.plot().splitlines()):
        output.write(f"{labels.get(number, ''):>{LABELS}} {text.rstrip(BLANK)}".rstrip())
    ends = f"{left:,.4g}", f"{right:,.10g}"
    gap = max(1, width - len(ends[0]) - len(ends[1]))
    middle = below.center(gap) if len(below) < gap - 2 else " " * gap
    output.write(" " * (LABELS + 1) + ends[0] + middle + ends[1])


def _show_shares(chart: "Chart") -> None:
    room = terminal_width() - 54
    width = min(40, room) if room >= 8 else 0
    rows = [
        (
            str(at),
            percent(share),
            f"{percent(low)} to {percent(high)}",
            *[bar(share, width)] * (width > 0),
        )
        for at, share, low, high, _ in chart.rows
    ]
    columns = (f">{chart.columns[0]}", f">{chart.columns[1]}", ">95 % interval")
    output.table(chart.text, (*columns, *[""] * (width > 0)), rows)


def _show_counts(chart: "Chart") -> None:
    most = max(n for *_, n in chart.rows)
    width = max(8, min(40, terminal_width() - 40))
    rows = [(a, b, str(n), bar(n / most, width)) for a, b, n in chart.rows]
    output.table(chart.text, ("expected", "predicted", ">times", ""), rows)


def _show_map(chart: "Chart") -> None:
    values = [[abs(value) for value in row[1:]] for row in chart.rows]
    heat_map([row[0] for row in chart.rows], chart.columns[1:], values)


def _show_grid(chart: "Chart") -> None:
    rows = [
        (name, *("" if share == "" else percent(share) for share in shares))
        for name, *shares in chart.rows
    ]
    output.table(chart.text, tuple(f">{column}" for column in chart.columns), rows)


def _show_lines(chart: "Chart") -> None:
    """Print the seeds' shares at each value, with a bar as long as their median."""
    found: dict[tuple[str, str], list[float]] = {}
    for name, at, _, share in chart.rows:
        found.setdefault((name, at), []).append(share)
    rows = [
        (*([name] if name else []), at, ", ".join(map(percent, shares)), bar(median(shares), BAR))
        for (name, at), shares in found.items()
    ]
    has_names = any(name for name, _ in found)
    columns = (chart.columns[1], "exact match of each seed", "median")
    output.table(chart.text, ("others", *columns) if has_names else columns, rows)
