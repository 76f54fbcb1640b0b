"""The data of charts from results of runs and sweeps: a title, a sentence and rows of numbers."""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from seq2seq_cli.data.vocabulary import PADDING
from seq2seq_cli.evaluation import Evaluation
from seq2seq_cli.generalization import LengthCurve, LengthResult
from seq2seq_cli.metrics import Tally, percent, wilson_interval
from seq2seq_cli.reports import TRAINING_CHARTS
from seq2seq_cli.runs.history import Call, EpochRecord
from seq2seq_cli.runs.listing import Run, Training
from seq2seq_cli.runs.names import split_seed
from seq2seq_cli.settings import flat_settings
from seq2seq_cli.sweep.description import Sweep
from seq2seq_cli.sweep.grid import BASE
from seq2seq_cli.sweep.results import RunRecord, summarize

Row = dict[str, Any]
Kind = Literal["curve", "shares", "results", "counts", "map", "points", "grid", "lines", "overlay"]

SHARES = {"exact match", "median exact match", "token accuracy", "low", "high", "attention"}
"""The columns of charts' tables that are shares."""

HEADINGS = {"low": "from (95%)", "high": "to (95%)"}
"""Clearer names of columns, for readers."""

MOST_CONFUSIONS = 15
"""Maximum kinds of confused tokens in a chart."""

MOST_GRIDS = 6
"""Maximum grids of two settings drawn for a sweep of more settings."""


@dataclass(frozen=True)
class Chart:
    """The data of a chart: a table of numbers with a row for each mark, or each line of a map.

    `marks` explains the marks of the drawn chart; `limit` is the longest length that was trained
    on, if the chart marks it.
    """

    kind: Kind
    title: str
    text: str
    data: list[Row]
    marks: str = ""
    limit: int | None = None

    @property
    def value(self) -> str:
        """The name of the numbers in a map or a grid, which begins its title."""
        return self.title.partition(",")[0].lower() if self.kind in ("map", "grid") else ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the table's columns."""
        return tuple(self.data[0])

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """The table's rows."""
        return [tuple(row.values()) for row in self.data]


def number(value: object) -> str:
    """Return a value as text for a table; a float has up to six digits."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def cells(chart: Chart) -> list[list[str]]:
    """Return the rows of a chart's table as text, with shares as percentages."""
    shares = set(chart.columns) if chart.value in SHARES else SHARES

    def text(column: str, row: Row) -> str:
        is_share = column in shares and isinstance(row[column], float)
        ends = row.get("low", 0), row.get("high", 0)
        return percent(row[column], *ends) if is_share else number(row[column])

    return [[text(column, row) for column in row] for row in chart.data]


def headings(chart: Chart) -> list[str]:
    """Return the names of a table's columns; the first of a map's names its rows and columns."""
    first, *others = (HEADINGS.get(column, column) for column in chart.columns)
    return [first.replace(" by ", " ↓ ") + " →" if chart.value else first, *others]


def series(runs: Sequence[Run | Training]) -> list[str]:
    """Return the name of each run's series; runs that differ only in their seed share one."""
    configs = [run.config.model_dump() for run in runs]
    keys = [str(flat_settings(config) | {"training.seed": None}) for config in configs]
    # Runs with the same seed, too, are different series.
    keys = [f"{key} {configs[:i].count(configs[i])}" for i, key in enumerate(keys)]

    def name(key: str) -> str:
        names = [run.name for run, other in zip(runs, keys, strict=True) if other == key]
        shared, *others = {split_seed(run)[0] for run in names}
        if len(names) == 1 or others:
            return f"{names[0]} and {len(names) - 1} more" if others else names[0]
        return f"{shared} ({len(names)} seeds)"

    return list(map(name, keys))


def learning_curve(runs: Sequence[Run | Training], name: str) -> Chart:
    """Return the "loss", "exact-match" or "learning-rate" of trainings and validations."""
    column = "loss, nats per token" if name == "loss" else name.replace("-", " ")
    data: list[Row] = []
    for run, group in zip(runs, series(runs), strict=True):
        shared = {"series": group} if len(runs) > 1 else {}
        history = run.history()
        points: list[tuple[str, Call | EpochRecord]] = []
        points += [("training", call) for record in history for call in record.calls]
        points += [("training", call) for call in getattr(run, "calls", ())]
        if name != "learning-rate":
            points += [("validation", record) for record in history]
        for label, point in points:
            samples = point.steps_done * run.config.training.batch_size
            row = {"run": run.name, "data": label, "sequences trained on": samples}
            data.append({**row, column: getattr(point, name.replace("-", "_")), **shared})
    title = name.replace("-", " ").capitalize()
    text = f"{title} over the number of sequences trained on."
    marks = "The points are validations on held-out sequences."
    marks *= any(row["data"] == "validation" for row in data)
    return Chart("curve", title, text, data, marks)


def positions(evaluation: Evaluation) -> Chart:
    """Return the token accuracy at each position of the target."""
    tally = evaluation.tally
    counts = enumerate(zip(tally.right.tolist(), tally.all.tolist(), strict=True), 1)
    data = _shares(("position", "token accuracy", "tokens"), counts, evaluation.exact)
    text = "Token accuracy at each position in the target, with its 95% interval."
    return Chart("shares", "Token accuracy by position", text, data)


def lengths(evaluation: Evaluation) -> Chart:
    """Return the exact match at each length of the source."""
    counts = sorted(evaluation.tally.lengths.items())
    data = _shares(("length", "exact match", "sequences"), counts, evaluation.exact)
    text = "Exact match at each length of the source, with its 95% interval."
    return Chart("shares", "Exact match by length", text, data)


def _shares(
    columns: tuple[str, str, str], counts: Iterable[tuple[int, tuple[int, int]]], exact: bool
) -> list[Row]:
    """Return rows of shares from counts of right and all; exact shares have no interval width."""
    at, name, n = columns
    rows = []
    for key, (right, total) in counts:
        if total:
            share = right / total
            low, high = (share, share) if exact else wilson_interval(right, total)
            rows.append({at: key, name: share, "low": low, "high": high, n: total})
    return rows


def generalization(curve: LengthCurve) -> Chart:
    """Return the exact match at each length that has held-out sources; there may be none."""
    data = [
        {"length": result.length, **_exact_match(result)}
        for result in curve.lengths
        if result.exact_match is not None
    ]
    text = (
        "Exact match at each length of the source, with its 95% interval. The longest length in "
        f"training is {(longest := curve.longest_trained)}."
    )
    title = "Generalization to other lengths"
    if not data or not data[0]["length"] <= longest < data[-1]["length"]:
        return Chart("shares", title, text, data)
    return Chart("shares", title, text, data, "The dashed line is after it.", longest)


def results(evaluations: Iterable[Evaluation]) -> Chart:
    """Return the exact match of several runs."""
    data = [{"run": evaluation.run, **_exact_match(evaluation)} for evaluation in evaluations]
    text = "Exact match on held-out sequences, predicted freely, with its 95% interval."
    return Chart("results", "Results", text, data)


def _exact_match(result: Evaluation | LengthResult) -> Row:
    return {
        "exact match": result.exact_match,
        "low": result.exact_match_low,
        "high": result.exact_match_high,
        "sequences": result.n_samples,
    }


def comparison_charts(
    runs: Sequence[Run], evaluations: Sequence[Evaluation]
) -> dict[str, list[Chart]]:
    """Return the charts that compare runs, by their names."""
    charts, groups = {"results": results(evaluations)}, series(runs)
    for name, shares in {"lengths": lengths, "positions": positions}.items():
        each = list(map(shares, evaluations))
        at, share, *_ = each[0].columns
        data = [
            {"run": run.name, at: row[at], share: row[share], "series": group}
            for run, group, chart in zip(runs, groups, each, strict=True)
            for row in chart.data
        ]
        if any(row[at] != data[0][at] for row in data):
            title = each[0].title
            charts[name] = Chart("overlay", title, f"{title}, for each run.", data)
    charts |= {name: learning_curve(runs, name) for name in TRAINING_CHARTS}
    return {name: [chart] for name, chart in charts.items()}


def confusions(tally: Tally, pairs: Mapping[tuple[int, int], int], end: int | None) -> Chart:
    """Return the most frequent wrong tokens, as pairs of the expected and the predicted token."""
    names = {PADDING: "nothing", end: "end"}
    most = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:MOST_CONFUSIONS]
    data = [
        {
            "expected": names.get(expected, str(expected)),
            "predicted": names.get(predicted, str(predicted)),
            "times": times,
        }
        for (expected, predicted), times in most
    ]
    text = (
        f"{(tally.all - tally.right).sum():,} of {tally.all.sum():,} tokens are wrong. These are "
        f"the {len(data)} most frequent confusions, with the expected token first."
    )
    return Chart("counts", "Confused tokens", text, data)


def sweep_charts(sweep: Sweep, records: Sequence[RunRecord]) -> dict[str, list[Chart]]:
    """Return the charts of a sweep by their names; there may be none of a name."""
    keys = [axis.key for axis in sweep.axes]
    if sweep.until:
        keys = [sweep.until.setting, *(key for key in keys if key != sweep.until.setting)]
    # Other settings are derived from these.
    keys = [key for key in keys if len(_values(records, key)) > 1] or keys[:1]
    if sweep.one_factor:
        charts = []
        for key in keys:
            others = [other for other in keys if other != key]
            alone = [r for r in records if all(_value(r, other) == BASE for other in others)]
            charts += _lines([key], alone)
        return {"grid": [], "lines": charts}
    return {"grid": _grids(keys, records), "lines": _lines(keys, records)}


def _grids(keys: Sequence[str], records: Sequence[RunRecord]) -> list[Chart]:
    """Return a grid of the first two settings for each combination of the others' values."""
    if len(keys) < 2:
        return []
    column_key, row_key, *others = keys
    columns, rows = _values(records, column_key), _values(records, row_key)
    medians = {
        tuple(_value(cell.records[0], key) for key in keys): median(cell.shares)
        for cell in summarize(records)
        if cell.shares
    }
    charts = []
    for rest in itertools.product(*(_values(records, key) for key in others)):
        if not any(cell[2:] == rest for cell in medians):
            continue
        data: list[Row] = [
            {
                f"{row_key} by {column_key}": row,
                **{column: medians.get((column, row, *rest), "") for column in columns},
            }
            for row in rows
        ]
        where = _settings(zip(others, rest, strict=True))
        text = f"Median exact match of all seeds by {column_key} and {row_key}"
        text += f", where {where}." if where else "."
        charts.append(Chart("grid", "Median exact match", text, data))
    return charts[:MOST_GRIDS]


def _lines(keys: Sequence[str], records: Sequence[RunRecord]) -> list[Chart]:
    """Return the exact match of every seed over the first setting, if there is a result."""
    key, *others = keys
    order = {setting: _values(records, setting) for setting in keys}

    def sort_key(record: RunRecord) -> list[int]:
        indices = [order[setting].index(_value(record, setting)) for setting in (*others, key)]
        return [*indices, record.seed]

    data = [
        {
            "others": _settings((other, _value(record, other)) for other in others),
            key: _value(record, key),
            "seed": record.seed,
            "exact match": record.exact_match,
        }
        for record in sorted(records, key=sort_key)
        if record.exact_match is not None
    ]
    text, marks = f"Exact match over {key}.", "A point for each seed, and a line for their medians."
    return [Chart("lines", f"Exact match by {key}", text, data, marks)] if data else []


def _settings(pairs: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in pairs)


def _values(records: Iterable[RunRecord], key: str) -> list[str]:
    return in_order(_value(record, key) for record in records)


def in_order(values: Iterable[str]) -> list[str]:
    """Return each value once, in numeric order if they are numbers."""
    unique = list(dict.fromkeys(values))
    try:
        return sorted(unique, key=float)
    except ValueError:
        return unique


def _value(record: RunRecord, key: str) -> str:
    value = record.settings.get(key, BASE)
    return value if isinstance(value, str) else json.dumps(value)
