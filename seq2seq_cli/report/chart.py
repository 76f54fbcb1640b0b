"""A chart: a Vega-Lite specification as a plain dictionary, and a table of its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from seq2seq_cli.report.theme import CONFIG, SERIES

WIDTH, HEIGHT = 350, 230

Spec = dict[str, Any]
Row = dict[str, Any]
Kind = Literal["curve", "shares", "counts", "map", "points", "grid", "lines"]


@dataclass(frozen=True)
class Chart:
    """A drawing, what it shows in a sentence, and its numbers."""

    kind: Kind
    title: str
    text: str
    spec: Spec
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


BELOW: Row = {"orient": "bottom"}


def series(names: Sequence[str]) -> Row:
    """Return the scale that gives each of these names its colour."""
    colours = [SERIES[number % len(SERIES)] for number in range(len(names))]
    return {"domain": list(names), "range": colours}


def make_chart(
    kind: Kind,
    title: str,
    text: str,
    spec: Spec,
    columns: tuple[str, ...],
    rows: tuple[tuple[Any, ...], ...],
    height: int = HEIGHT,
) -> Chart:
    """Return the chart of a specification that lacks what all of them have."""
    whole = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "description": text,
        "width": WIDTH,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "config": CONFIG,
        **spec,
    }
    return Chart(kind, title, text, whole, columns, rows)
