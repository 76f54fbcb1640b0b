"""What a sweep has come to -> heat maps of its grid, and lines with every seed."""

from collections.abc import Sequence

from seq2seq_cli.errors import ModelError
from seq2seq_cli.report.chart import BELOW, Chart, Row, Spec, make_chart, series
from seq2seq_cli.report.sweeps import Grid, Line, grids, in_order, latest, lines
from seq2seq_cli.report.theme import INK, SERIES
from seq2seq_cli.runs.advice import sweep_command
from seq2seq_cli.sweep.cells.description import Sweep
from seq2seq_cli.sweep.folder import SweepFolder
from seq2seq_cli.sweep.record import RunRecord

SWEEP_CHARTS = {
    "grid": "the median exact match over a sweep's settings",
    "lines": "the exact match of every seed of a sweep",
}
"""The names of a sweep's charts, and what each shows."""


def results_of(folder: SweepFolder) -> tuple[Sweep, list[RunRecord]]:
    """Return a sweep, and what came of each cell and seed.

    Raises ModelError where there is no sweep, or no result.
    """
    sweep, records = folder.read(), latest(folder.saved())
    if not records:
        raise ModelError(
            f"the sweep {folder.path} has no results: `{sweep_command(folder.path)}` goes on with "
            "it, and gathers what is complete"
        )
    return sweep, records


def sweep_charts(sweep: Sweep, records: Sequence[RunRecord]) -> dict[str, list[Chart]]:
    """Return the charts of a sweep by their names; of a name there may be none."""
    return {
        "grid": grid_charts(grids(sweep, records)),
        "lines": line_charts(lines(sweep, records)),
    }


def grid_charts(found: Sequence[Grid]) -> list[Chart]:
    """Return a heat map for each grid: a darker cell has a larger median exact match."""
    return [_grid_chart(grid) for grid in found]


def _grid_chart(grid: Grid) -> Chart:
    values = [
        {"row": row, "column": column, "share": share, "label": f"{share:.1%}"}
        for row, line in zip(grid.rows, grid.values, strict=True)
        for column, share in zip(grid.columns, line, strict=True)
        if share is not None
    ]
    axis: Row = {"ticks": False, "domain": False, "labelLimit": 90}
    encoding = {
        "x": _ordinal("column", grid.column_setting, grid.columns, axis | {"labelAngle": 0}),
        "y": _ordinal("row", grid.row_setting, grid.rows, axis),
    }
    shade: Row = {"field": "share", "type": "quantitative", "legend": None}
    shade["scale"] = {"domain": [0, 1], "range": [0.04, 0.6]}
    layers: list[Spec] = [
        {"mark": {"type": "rect", "color": SERIES[0]}, "encoding": {"opacity": shade}}
    ]
    if len(grid.columns) <= 6:
        layers.append(
            {
                "mark": {"type": "text", "color": INK, "fontSize": 11},
                "encoding": {"text": {"field": "label", "type": "nominal"}},
            }
        )
    spec = {"data": {"values": values}, "layer": layers, "encoding": encoding}
    text = f"Median exact match of all seeds by {grid.column_setting} and {grid.row_setting}"
    if grid.others:
        text += f", where {grid.others}"
    rows = tuple(
        (label, *("" if share is None else share for share in line))
        for label, line in zip(grid.rows, grid.values, strict=True)
    )
    columns = (f"{grid.row_setting} by {grid.column_setting}", *grid.columns)
    height = min(420, 90 + 26 * len(grid.rows))
    return make_chart("grid", "Exact match of the grid", f"{text}.", spec, columns, rows, height)


def line_charts(found: Sequence[Line]) -> list[Chart]:
    """Return a chart for each setting: the seeds as points, their medians as lines."""
    settings = dict.fromkeys(line.setting for line in found)
    return [_line_chart([line for line in found if line.setting == key]) for key in settings]


def _line_chart(found: Sequence[Line]) -> Chart:
    setting, names = found[0].setting, [line.name for line in found]
    points = [
        {"at": at, "share": share, "name": line.name}
        for line in found
        for at, share in zip(line.at, line.share, strict=True)
    ]
    medians = [
        {"at": at, "share": share, "name": line.name}
        for line in found
        for at, share in line.medians.items()
    ]
    order = in_order(at for line in found for at in line.at)
    y: Row = {"field": "share", "type": "quantitative", "title": "exact match"}
    y |= {"scale": {"domain": [0, 1]}, "axis": {"format": ".0%", "tickCount": 5}}
    legend: Row | None = {"title": None, "columns": 1, **BELOW} if len(names) > 1 else None
    color = {"field": "name", "type": "nominal", "scale": series(names), "legend": legend}
    axis: Row = {"labelAngle": 0, "labelLimit": 90}
    layers: list[Spec] = [
        {"data": {"values": medians}, "mark": {"type": "line"}},
        {
            "data": {"values": points},
            "mark": {"type": "point", "size": 30, "filled": True, "opacity": 0.8},
        },
    ]
    encoding = {"x": _ordinal("at", setting, order, axis), "y": y, "color": color}
    rows = tuple(
        (line.name, at, seed, share)
        for line in found
        for at, seed, share in zip(line.at, line.seeds, line.share, strict=True)
    )
    columns = ("others", setting, "seed", "exact match")
    text = f"Exact match over {setting}: a point for every seed, a line through their medians."
    spec = {"layer": layers, "encoding": encoding}
    height = 230 + 16 * (len(names) if legend else 0)
    return make_chart("lines", f"Exact match by {setting}", text, spec, columns, rows, height)


def _ordinal(field: str, title: str, values: Sequence[str], axis: Row) -> Row:
    scale = {"domain": list(values)}
    return {"field": field, "type": "ordinal", "title": title, "axis": axis, "scale": scale}
