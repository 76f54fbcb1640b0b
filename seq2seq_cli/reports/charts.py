"""Vega-Lite specifications of charts from their data. The colours are those of `pictures`."""

from collections.abc import Iterable, Sequence
from math import ceil, floor, log10
from typing import Any

import numpy as np

from seq2seq_cli.reports.data import SHARES, Chart, Row, cells, headings, in_order
from seq2seq_cli.settings import setting_title

Spec = dict[str, Any]

WIDTH, HEIGHT = 350, 230

LOG_FROM = 30.0
"""From this ratio of the largest to the smallest loss, the axis is logarithmic."""

SHADES = {"orient": "bottom", "symbolType": "square", "symbolStrokeWidth": 0,
          "values": [0.25, 0.5, 0.75, 1]}  # fmt: skip
"""The legend of a map's opacities."""

SHOWN: Spec = {"field": "shown", "type": "nominal"}
"""The description of a mark: its values with their names."""

POINT: Row = {"type": "point", "filled": True, "opacity": 1}

DASHES = [[], [6, 3], [2, 2], [9, 3, 2, 3], [12, 4], [1, 4], [6, 2, 2, 2], [3, 6]]
SHAPES = [
    "circle", "square", "diamond", "cross",
    "triangle-up", "triangle-down", "triangle-left", "triangle-right",
]  # fmt: skip
"""What tells the lines and the points of series apart without their colours."""

MOST_POINTS = 20
"""Maximum points of a series in a curve; of more only every second or third is drawn."""


def specification(chart: Chart, width: int = WIDTH) -> Spec:
    """Return the Vega-Lite specification of a chart; each mark is described by its values."""
    spec = _SPECIFICATIONS[chart.kind](chart, width)
    spec["encoding"]["description"] = SHOWN
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "description": f"{chart.text} {chart.marks}".strip(),
        "width": width,
        "height": HEIGHT,
        "autosize": {"type": "fit", "contains": "padding"},
        "data": {"values": _rows(chart)},
        **spec,
    }


def is_logarithmic(losses: Sequence[float]) -> bool:
    """Return whether losses are drawn on a logarithmic axis."""
    return min(losses) > 0 and max(losses) / min(losses) > LOG_FROM


def _rows(chart: Chart) -> list[Row]:
    """Return the chart's rows, each with its values in words."""
    names = list(map(setting_title, headings(chart)))
    shown = (_words(zip(names, texts, strict=True)) for texts in cells(chart))
    return [{**row, "shown": words} for row, words in zip(chart.data, shown, strict=True)]


def _words(values: Iterable[tuple[str, str]]) -> str:
    return "; ".join(f"{name}: {text}" for name, text in values if text)


def _curve(chart: Chart, width: int) -> Spec:
    """Draw a line of the training and points of the validations, joined if there is one run."""
    run, label, samples, figure, *groups = chart.columns
    runs, labels = _values(chart, run), _values(chart, label)
    values = [row[figure] for row in chart.data]
    y = _quantity(figure, format="~g", tickCount=5)
    if figure == "exact match":
        y = _quantity(figure, [0, 1], format=".0%", tickCount=5)
    elif figure.startswith("loss"):
        y["scale"] = {"zero": False}
        if is_logarithmic(values):
            powers = range(floor(log10(min(values))), ceil(log10(max(values))) + 1)
            y["scale"] = {"type": "log", "domain": [10.0 ** powers[0], 10.0 ** powers[-1]]}
            y["axis"] = {"format": "~g", "values": [10.0**power for power in powers]}
    x = _quantity(samples, labelExpr="format(datum.value, '~s')", tickCount=5)
    counts = [sum(row[label] == name for row in chart.data) / len(runs) for name in labels]
    every = ceil(counts[-1] / MOST_POINTS)
    from_last = {"sort": [{"field": samples, "order": "descending"}], "groupby": [run]}
    numbered = {"window": [{"op": "row_number", "as": "number"}], **from_last}
    thinned = {"filter": f"datum.number % {every} == {1 % every}"}
    last = {"filter": {"field": label, "equal": labels[-1]}}
    points: list[Row] = [*([last] if counts[0] > 1 else []), numbered, thinned]
    lines = _at_common_steps(chart) if groups else []
    return _with_series(chart, width, {"x": x, "y": y}, lines, points)


def _at_common_steps(chart: Chart) -> list[Row]:
    """Return the training's rows, for each series at the same numbers of sequences for all runs.

    A call's number of steps follows the machine's speed; values between calls are interpolated.
    """
    run, label, samples, figure, series = chart.columns
    rows = []
    for name in _values(chart, series):
        curves: dict[str, list[tuple[float, float]]] = {}
        for row in chart.data:
            if (row[series], row[label]) == (name, "training"):
                curves.setdefault(row[run], []).append((row[samples], row[figure]))
        end = min(curve[-1][0] for curve in curves.values())
        at = sorted({x for curve in curves.values() for x, _ in curve if x <= end})
        for curve in curves.values():
            steps, figures = zip(*curve, strict=True)
            values = np.interp(at, steps, figures).tolist()
            rows += [{series: name, samples: x, figure: y} for x, y in zip(at, values, strict=True)]
    return rows


def _overlay(chart: Chart, width: int) -> Spec:
    """Draw a line through the shares of each run."""
    _, at, share, _ = chart.columns
    y = _share_axis(share, min(row[share] for row in chart.data))
    return _with_series(chart, width, {"x": _steps(at, sorted(_values(chart, at))), "y": y})


def _with_series(
    chart: Chart, width: int, axes: Spec, lines: Sequence[Row] = (), points: Sequence[Row] = ()
) -> Spec:
    """Draw the median of each series as a line, its range as a band, and a point for each row.

    The lines are through the rows `lines`, or else through the chart's; transforms choose the
    points. Without the column "series" the second one tells them apart.
    """
    is_merged = "series" in chart.columns
    field = "series" if is_merged else chart.columns[1]
    colour = _series(field, _values(chart, field), width)
    dash, shape = (
        {**colour, "scale": {**colour["scale"], "range": looks}} for looks in (DASHES, SHAPES)
    )
    low, middle = ({**axes["y"], "aggregate": name} for name in ("min", "median"))
    high = {"field": low["field"], "aggregate": "max"}
    band = {
        "mark": {"type": "area", "opacity": 0.2, "aria": False},
        "encoding": {"y": low, "y2": high, "description": {}},
    }
    line = {"mark": {"type": "line", "point": False}, "encoding": {"y": middle, "description": {}}}
    drawn = [band, line] if is_merged else [{"mark": {"type": "line"}}]
    layer: list[Spec] = [{"data": {"values": lines}, **part} if lines else part for part in drawn]
    shapes = {"mark": {**POINT, "size": 40}, "encoding": {"shape": shape}}
    return {
        "height": HEIGHT + _legend_height(colour),
        "layer": [*layer, {"transform": points, **shapes}],
        "encoding": {**axes, "color": colour, "strokeDash": dash},
    }


def _shares(chart: Chart, width: int) -> Spec:
    """Draw a point with its interval at each position or length."""
    at, share, *_ = chart.columns
    keys = _values(chart, at)
    layer = _with_intervals(chart, share, "y", size=45)
    if chart.limit is not None:
        line = {"type": "rule", "style": "limit"}
        shown = f"longest length in training: {chart.limit}"
        values = [{at: chart.limit + 0.5, "shown": shown}]
        layer.append({"data": {"values": values}, "mark": line})
    return {"layer": layer, "encoding": {"x": _steps(at, keys)}}


def _steps(at: str, keys: list[int]) -> Spec:
    """Return the axis of positions or lengths."""
    x = _quantity(at, [keys[0] - 0.5, keys[-1] + 0.5], format="d", grid=False)
    x["axis"] |= {"values": keys} if len(keys) <= 12 else {"tickCount": 8}
    return x | {"title": "position in the target" if at == "position" else "length of the source"}


def _results(chart: Chart, width: int) -> Spec:
    """Draw a point with its interval for each run."""
    run, share, *_ = chart.columns
    y = _names(run, _values(chart, run), grid=True)
    return {
        "height": 70 + 30 * len(chart.data),
        "layer": _with_intervals(chart, share, "x", size=60),
        "encoding": {"y": y},
    }


def _with_intervals(chart: Chart, share: str, axis: str, size: int) -> list[Spec]:
    """Return the layers of points with their intervals, on an axis that has room for all."""
    position = _share_axis(share, min(row["low"] for row in chart.data))
    interval = {axis: {**position, "field": "low"}, f"{axis}2": {"field": "high"}}
    return [
        {"mark": {"type": "rule", "strokeWidth": 2}, "encoding": interval},
        {"mark": {**POINT, "size": size}, "encoding": {axis: position}},
    ]


def _share_axis(share: str, least: float) -> Spec:
    """Return the axis of shares from the least one, or from 0, to 1."""
    least = least if least < 1 else 0.9  # an axis from 100% to 100% would have no length
    digits = 0 if least < 0.9 else 1 if least < 0.99 else 2 if least < 0.999 else 3
    axis = _quantity(share, [least if least > 0.5 else 0, 1], format=f".{digits}%", tickCount=5)
    axis["scale"]["nice"] = True
    return axis


def _counts(chart: Chart, width: int) -> Spec:
    """Draw a bar for each pair of an expected and a predicted token."""
    most = max(row["times"] for row in chart.data)
    ticks: Row = {"values": list(range(most + 1))} if most <= 6 else {"tickCount": 5}
    data = [{**row, "pair": f"{row['expected']} → {row['predicted']}"} for row in _rows(chart)]
    y = _names("pair", [row["pair"] for row in data], grid=False)
    return {
        "height": 70 + 15 * len(chart.data),
        "data": {"values": data},
        "mark": "bar",
        "encoding": {"x": _quantity("times", format="d", **ticks), "y": y},
    }


def _map(chart: Chart, width: int) -> Spec:
    """Draw a cell for each value, stronger for larger ones, of another colour below zero."""
    size = {"field": "size", "scale": {"domain": [0, 1], "range": [0, 1]}}
    sign = {"field": "negative", "type": "nominal", "scale": {"domain": [False, True]}}
    return {
        "height": min(440, max(165, 120 + 14 * len(chart.data))),
        "data": {"values": _cells(chart)},
        "transform": [
            {"calculate": "abs(datum.value)", "as": "size"},
            {"calculate": "datum.value < 0", "as": "negative"},
            {"filter": "datum.size >= 0.005"},
        ],
        "mark": "rect",
        "encoding": {
            **_bands(chart, width),
            "opacity": {**size, "type": "quantitative", "legend": _shades(chart)},
            "color": {**sign, "legend": None},
        },
    }


def _grid(chart: Chart, width: int) -> Spec:
    """Draw a cell for each value, stronger for larger ones, and the value if there is room."""
    shade = {"field": "value", "scale": {"domain": [0, 1], "range": [0.04, 0.6]}}
    opacity = {**shade, "type": "quantitative", "legend": _shades(chart)}
    layer: list[Spec] = [{"mark": "rect", "encoding": {"opacity": opacity}}]
    if len(chart.columns) <= 7:
        text = {"field": "text", "type": "nominal"}
        layer.append({"mark": "text", "encoding": {"text": text}})
    return {
        "height": min(440, 190 + 26 * len(chart.data)),
        "data": {"values": _cells(chart)},
        "layer": layer,
        "encoding": _bands(chart, width),
    }


def _shades(chart: Chart) -> Spec:
    """Return a legend of opacities, named after the chart's values."""
    form = ".0%" if chart.value in SHARES else ".2f"
    return {**SHADES, "title": chart.value, "format": form}


def _cells(chart: Chart) -> list[Row]:
    """Return a row for each cell of a table that has a value, also as text and in words."""
    head, *columns = chart.columns
    row_title, column_title = map(setting_title, head.split(" by "))
    return [
        {
            "row": row[head],
            "column": column,
            "value": row[column],
            "text": text,
            "shown": _words(
                [(row_title, str(row[head])), (column_title, column), (chart.value, text)]
            ),
        }
        for row, texts in zip(chart.data, cells(chart), strict=True)
        for column, text in zip(columns, texts[1:], strict=True)
        if text
    ]


def _bands(chart: Chart, width: int) -> Spec:
    """Return the axes of a table's cells; the first column's name has both titles."""
    head, *columns = chart.columns
    row_title, column_title = map(setting_title, head.split(" by "))
    axis: Row = {"ticks": False, "domain": False, "labelOverlap": True, "labelLimit": 90}
    above = {"titleAngle": 0, "titleAlign": "left", "titleX": 0, "titleY": -8}
    shown = columns
    if chart.kind == "map":  # of 3:14 the axis has the position, and the label the token
        axis["labelExpr"] = "split(datum.label, ':')[1] || datum.label"
        shown = [column.rpartition(":")[2] for column in columns]
    return {
        "x": _ordinal("column", column_title, columns, {**axis, **_turned(shown, width)}),
        "y": _ordinal("row", row_title, _values(chart, head), {**axis, **above}),
    }


def _turned(names: Sequence[str], width: int) -> Row:
    """Return the angle at which names fit next to each other below an axis."""
    longest = 7 * max(map(len, names))
    if len(names) * (longest + 4) < 0.8 * width:
        return {"labelAngle": 0}
    return {"labelAngle": -90, "minExtent": min(100, longest)}


def _lines(chart: Chart, width: int) -> Spec:
    """Draw a point for each seed, and a line through their medians."""
    others, setting, _, share = chart.columns
    names, values = _values(chart, others), in_order(_values(chart, setting))
    axis = {"labelLimit": 90, **_turned(values, width)}
    x = _ordinal(setting.replace(".", r"\."), setting_title(setting), values, axis)
    y = _quantity(share, [0, 1], format=".0%", tickCount=5)
    colour = _series(others, names, width)
    return {
        "height": HEIGHT + _legend_height(colour),
        "layer": [
            {"mark": "line", "encoding": {"y": {**y, "aggregate": "median"}, "description": {}}},
            {"mark": {**POINT, "size": 30, "opacity": 0.8}, "encoding": {"y": y}},
        ],
        "encoding": {"x": x, "color": colour},
    }


def _points(chart: Chart, width: int) -> Spec:
    """Draw the points of two components, coloured by another quantity."""
    quantity, x, y = chart.columns
    legend = {"orient": "bottom", "direction": "horizontal", "format": "d"}
    colour = {"field": quantity, "type": "quantitative", "legend": legend}
    return {
        "height": 300,
        "mark": {"type": "circle", "size": 28, "opacity": 0.85},
        "encoding": {"x": _quantity(x), "y": _quantity(y), "color": colour},
    }


def _values(chart: Chart, column: str) -> list[Any]:
    return list(dict.fromkeys(row[column] for row in chart.data))


def _quantity(field: str, domain: list[float] | None = None, **axis: object) -> Spec:
    scale = {"domain": domain, "nice": False} if domain else {}
    return {"field": field, "type": "quantitative", "title": field, "scale": scale, "axis": axis}


def _ordinal(field: str, title: str, values: list[Any], axis: Spec) -> Spec:
    scale = {"domain": values}
    return {"field": field, "type": "ordinal", "title": title, "scale": scale, "axis": axis}


def _names(field: str, names: list[str], **axis: object) -> Spec:
    """Return an axis of names, with room for a font wider than the one that measures them."""
    room = {"minExtent": min(200, 7 * max(map(len, names))), "labelLimit": 170}
    axis |= {"labelOverlap": False, **room}
    return {"field": field, "type": "nominal", "sort": None, "title": None, "axis": axis}


def _series(field: str, names: list[Any], width: int) -> Spec:
    """Return the colours of series; several have a legend in as many columns as fit."""
    columns = max(1, width // (40 + 7 * max(map(len, names), default=0)))
    below = {"title": None, "orient": "bottom", "columns": columns} if len(names) > 1 else None
    return {"field": field, "type": "nominal", "scale": {"domain": names}, "legend": below}


def _legend_height(colour: Spec) -> int:
    """Return the height of the legend of series."""
    legend, names = colour["legend"], colour["scale"]["domain"]
    return 16 * ceil(len(names) / legend["columns"]) if legend else 0


_SPECIFICATIONS = {
    "curve": _curve,
    "shares": _shares,
    "overlay": _overlay,
    "results": _results,
    "counts": _counts,
    "map": _map,
    "points": _points,
    "grid": _grid,
    "lines": _lines,
}
