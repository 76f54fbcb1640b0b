"""Draws charts in the terminal: curves, points, bars and maps."""

import shutil
from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from math import log10
from textwrap import fill
from typing import TYPE_CHECKING

from seq2seq_cli.cli.rendering.output import write
from seq2seq_cli.cli.rendering.tables import table
from seq2seq_cli.metrics import percent, percent_range, spread

if TYPE_CHECKING:
    from seq2seq_cli.reports.data import Chart

Point = tuple[float, float]
Mark = tuple[float, float, str | None]

HEIGHT = 12

MARKS = "123456789abcdefghijklmnopqrstuvwxyz"
"""What marks each of several curves."""

BLANK = " \u2800"
LABELS = 10
"""Columns of the labels next to a curve."""

SHADES = " ░▒▓█"


def show_chart(chart: "Chart") -> None:
    """Print a chart to standard output."""
    write(chart.title)
    {
        "curve": _show_curve,
        "points": _show_points,
        "shares": _show_shares,
        "results": _show_shares,
        "counts": _show_counts,
        "map": _show_map,
        "grid": _show_grid,
        "lines": _show_lines,
    }[chart.kind](chart)


def heat_map(
    rows: Sequence[object], columns: Sequence[object], weights: Sequence[Sequence[float]]
) -> None:
    """Print weights (rows, columns) from 0 to 1 as a table of shades with labels.

    Columns that do not fit side by side follow below.
    """
    width = max(len(str(value)) for value in (*rows, *columns))
    n_columns = max(1, (_terminal_width() - width) // (width + 1))
    for start in range(0, len(columns), n_columns):
        if start:
            write("")
        part = slice(start, start + n_columns)
        write(" " * (width + 1) + " ".join(str(value).rjust(width) for value in columns[part]))
        for value, row in zip(rows, weights, strict=True):
            shades = (SHADES[min(len(SHADES) - 1, int(w * len(SHADES)))] * width for w in row[part])
            write(f"{str(value).rjust(width)} {' '.join(shades)}")


def _terminal_width() -> int:
    return shutil.get_terminal_size().columns


def _show_curve(chart: "Chart") -> None:
    """Print the lines of trainings; marks are validations, and the ends of several runs' lines."""
    from seq2seq_cli.reports.charts import is_logarithmic

    _, _, samples, figure, *_ = chart.columns
    is_log = figure.startswith("loss") and is_logarithmic([row[3] for row in chart.rows])
    curves: dict[tuple[str, str], list[Point]] = {}
    for name, kind, x, y, *_ in chart.rows:
        curves.setdefault((name, kind), []).append((x, log10(y) if is_log else y))
    names = list(dict.fromkeys(name for name, _ in curves))
    several = len(names) > 1
    marks = dict(zip(names, MARKS if several else "o", strict=False))
    points = [
        (*at, marks.get(name))
        for (name, kind), curve in curves.items()
        for at in (curve if kind == "validation" else curve[-1:] * several)
    ]
    label = percent if figure == "exact match" else lambda y: f"{10**y if is_log else y:.4g}"
    lines = [curve for (_, kind), curve in curves.items() if kind == "training"]
    _draw(lines, points, samples, label)
    legend = [f"{mark}: {name if several else 'validation'}" for name, mark in marks.items()]
    legend = legend * bool(points) + ["logarithmic scale"] * is_log
    if legend:
        write(fill("   ".join(legend), _terminal_width()))


def _show_points(chart: "Chart") -> None:
    _draw([], [(x, y, None) for _, x, y in chart.rows], chart.columns[1], "{:.4g}".format)


def _draw(
    lines: Sequence[list[Point]], points: Sequence[Mark], below: str, label: Callable[[float], str]
) -> None:
    """Print lines, and points with their marks, with the ranges of both axes."""
    import plotille

    at = [*chain(*lines), *(mark[:2] for mark in points)]
    (left, right), (low, high) = ((min(axis), max(axis)) for axis in zip(*at, strict=True))
    labels = {0: label(high), HEIGHT // 2: label((low + high) / 2), HEIGHT - 1: label(low)}
    right, high = right + (right == left), high + (high == low)
    width = max(10, min(100, _terminal_width()) - LABELS - 2)
    # Puts the last of the dots, two by four per character, at the upper ends of the axes.
    beyond = right + (right - left) / (2 * width - 1), high + (high - low) / (4 * HEIGHT - 1)
    canvas = plotille.Canvas(width, HEIGHT, left, low, *beyond)
    for start, end in chain(*map(pairwise, lines)):
        canvas.line(*start, *end)
    for x, y, mark in points:
        canvas.point(x, y, marker=mark)
    for number, text in enumerate(canvas.plot().splitlines()):
        write(f"{labels.get(number, ''):>{LABELS}} {text.rstrip(BLANK)}".rstrip())
    ends = f"{left:,.4g}", f"{right:,.10g}"
    gap = max(1, width - len(ends[0]) - len(ends[1]))
    middle = below.center(gap) if len(below) < gap - 2 else " " * gap
    write(" " * (LABELS + 1) + ends[0] + middle + ends[1])


def _show_shares(chart: "Chart") -> None:
    rows = [
        (str(at), percent(share, low, high), percent_range(low, high))
        for at, share, low, high, _ in chart.rows
    ]
    columns = (f">{chart.columns[0]}", f">{chart.columns[1]}", ">95% interval")
    table(chart.text, columns, rows, bars=[share for _, share, *_ in chart.rows])


def _show_counts(chart: "Chart") -> None:
    most = max(n for *_, n in chart.rows)
    rows = [(expected, predicted, str(n)) for expected, predicted, n in chart.rows]
    bars = [n / most for *_, n in chart.rows]
    table(chart.text, ("expected", "predicted", ">times"), rows, bars)


def _show_map(chart: "Chart") -> None:
    values = [[abs(value) for value in row[1:]] for row in chart.rows]
    heat_map([row[0] for row in chart.rows], chart.columns[1:], values)
    write(fill(chart.text, _terminal_width()))


def _show_grid(chart: "Chart") -> None:
    rows = [
        (name, *("" if share == "" else percent(share) for share in shares))
        for name, *shares in chart.rows
    ]
    table(chart.text, tuple(f">{column}" for column in chart.columns), rows)


def _show_lines(chart: "Chart") -> None:
    """Print each seed's share at each value, with a bar for the median."""
    seeds: dict[tuple[str, str], list[float]] = {}
    for name, at, _, share in chart.rows:
        seeds.setdefault((name, at), []).append(share)
    has_names = any(name for name, _ in seeds)
    medians = [spread(shares).median for shares in seeds.values()]
    rows = [
        (*([name] if has_names else []), at, ", ".join(map(percent, shares)), percent(middle))
        for ((name, at), shares), middle in zip(seeds.items(), medians, strict=True)
    ]
    columns = (chart.columns[1], "exact match of each seed", ">median")
    table(chart.text, ("others", *columns) if has_names else columns, rows, bars=medians)
