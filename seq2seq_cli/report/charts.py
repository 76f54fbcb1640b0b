"""A run's figures -> its charts of training and accuracy."""

from collections.abc import Sequence
from math import ceil, floor, log10

from seq2seq_cli.report.chart import BELOW, Chart, Row, Spec, make_chart, series
from seq2seq_cli.report.figures import Confusions, LearningCurve, Shares
from seq2seq_cli.report.theme import INK, SERIES

LOG_FROM = 30.0
"""The ratio of the largest loss to the least from which on its axis is logarithmic."""


def curve_charts(curves: Sequence[LearningCurve]) -> dict[str, Chart]:
    """Return the charts of loss, exact match and learning rate over the sequences trained on."""
    kinds = {
        "loss": ("loss", "Loss", "loss, nats a token"),
        "exact-match": ("exact_match", "Exact match", "exact match"),
        "learning-rate": ("learning_rate", "Learning rate", "learning rate"),
    }
    return {name: _curve_chart(curves, *kind) for name, kind in kinds.items()}


def _curve_chart(curves: Sequence[LearningCurve], field: str, title: str, axis: str) -> Chart:
    several, is_rate = len(curves) > 1, field == "learning_rate"
    trained, held_out = list[Row](), list[Row]()
    for curve in curves:
        for rows, figures, kind in (
            (trained, curve.training, "in training"),
            (held_out, curve.held_out, "held out"),
        ):
            values = getattr(figures, field)
            for samples, value in zip(figures.samples, values, strict=False):
                rows.append({"x": samples, "y": value, "run": curve.run, "kind": kind})
    if is_rate:
        held_out = []
    values = [row["y"] for row in (*trained, *held_out)]
    scale: Row = {"zero": field != "loss"}
    ticks: Row = {"tickCount": 5}
    if field == "loss" and min(values) > 0 and max(values) / min(values) > LOG_FROM:
        powers = range(floor(log10(min(values))), ceil(log10(max(values))) + 1)
        scale = {"type": "log", "domain": [10.0 ** powers[0], 10.0 ** powers[-1]]}
        ticks = {"values": [10.0**power for power in powers]}
    if field == "exact_match":
        scale = {"domain": [0, 1]}
    by = "run" if several else "kind"
    names = [curve.run for curve in curves] if several else ["in training", "held out"]
    colour: Row = {"field": by, "type": "nominal", "scale": series(names)}
    colour["legend"] = None if is_rate and not several else {"title": None, **BELOW}
    y: Row = {"field": "y", "type": "quantitative", "title": axis, "scale": scale}
    y["axis"] = {"format": ".0%"} if field == "exact_match" else {"format": "~g"}
    y["axis"] |= ticks
    layers: list[Spec] = []
    if trained:
        mark: Row = {"type": "line"} if len(trained) > len(curves) else {"type": "point"}
        layers.append({"data": {"values": trained}, "mark": mark})
    if held_out:
        mark = {"type": "line", "strokeDash": [4, 3], "point": {"size": 40, "filled": True}}
        layers.append({"data": {"values": held_out}, "mark": mark})
    x: Row = {"field": "x", "type": "quantitative", "title": "sequences trained on"}
    x["axis"] = {"format": "~s", "tickCount": 5}
    spec = {"layer": layers, "encoding": {"x": x, "y": y, "color": colour}}
    text = f"{title} over the sequences trained on"
    if held_out:
        text += "; dashed, with a point each, the validations on held-out sequences"
    numbers = tuple((r["run"], r["kind"], r["x"], r["y"]) for r in (*trained, *held_out))
    columns = ("run", "sequences", "trained on", field.replace("_", " "))
    return make_chart("curve", title, f"{text}.", spec, columns, numbers)


def shares_chart(found: Shares, what: str, trained_to: int | None = None) -> Chart:
    """Return the chart of accuracy by position or length, with its intervals.

    With `trained_to`, the longest length that was trained on has a line.
    """
    rows = [
        {"at": at, "share": share, "low": low, "high": high}
        for at, share, low, high in zip(found.at, found.share, found.low, found.high, strict=True)
    ]
    least = min((*found.low, 1.0))
    share = "token accuracy" if what == "position" else "exact match"
    y: Row = {"field": "share", "type": "quantitative", "title": share}
    y["scale"] = {"domain": [least if least > 0.5 else 0, 1], "nice": least <= 0.5}
    digits = 0 if least < 0.9 else 1 if least < 0.99 else 2 if least < 0.999 else 3
    y["axis"] = {"format": f".{digits}%", "tickCount": 5}
    named = "position in the target" if what == "position" else "length of the source"
    x: Row = {"field": "at", "type": "quantitative", "title": named}
    first, last = min(found.at, default=0), max(found.at, default=1)
    x["scale"] = {"domain": [first - 0.5, last + 0.5], "nice": False}
    x["axis"] = {"format": "d", "grid": False}
    x["axis"] |= {"values": list(found.at)} if len(found.at) <= 12 else {"tickCount": 8}
    layers: list[Spec] = [
        {"mark": {"type": "rule", "color": SERIES[0], "strokeWidth": 2},
         "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}},
        {"mark": {"type": "point", "filled": True, "size": 45, "color": SERIES[0], "opacity": 1},
         "encoding": {"x": x, "y": y}},
    ]  # fmt: skip
    text = f"{share.capitalize()} by the {named}, each with its 95 % interval"
    if trained_to is not None and first <= trained_to < last:
        line = {"type": "rule", "strokeDash": [4, 3], "color": INK}
        data = {"values": [{"at": trained_to + 0.5}]}
        layers.append({"data": data, "mark": line, "encoding": {"x": x}})
        text += f"; the dashed line is at {trained_to}, the longest trained on"
    spec: Spec = {"data": {"values": rows}, "layer": layers}
    numbers = tuple(zip(found.at, found.share, found.low, found.high, found.n, strict=True))
    columns = (what, share, "low", "high", "tokens" if what == "position" else "sequences")
    title = f"{share.capitalize()} by {what}"
    if trained_to is not None:
        title = "How far it carries"
    return make_chart("shares", title, f"{text}.", spec, columns, numbers)


def confusions_chart(found: Confusions) -> Chart:
    """Return the chart of the most frequent confusions."""
    names = [f"{a} → {b}" for a, b in zip(found.expected, found.predicted, strict=True)]
    values = [{"pair": name, "n": n} for name, n in zip(names, found.n, strict=True)]
    most = max(found.n, default=1)
    axis: Row = {"format": "d", "values": list(range(most + 1))}
    if most > 6:
        axis = {"format": "d", "tickCount": 5}
    x = {"field": "n", "type": "quantitative", "title": "times", "axis": axis}
    y: Row = {"field": "pair", "type": "nominal", "sort": None, "title": "expected → predicted"}
    y["axis"] = {"labelOverlap": False, "grid": False}
    spec = {"data": {"values": values}, "mark": {"type": "bar", "color": SERIES[1]},
            "encoding": {"x": x, "y": y}}  # fmt: skip
    text = (
        f"{found.wrong:,} of {found.tokens:,} tokens are wrong; the {len(names)} most frequent "
        "kinds, the token that is expected first"
    )
    rows = tuple(zip(found.expected, found.predicted, found.n, strict=True))
    title, columns = "Which tokens are taken for which", ("expected", "predicted", "times")
    return make_chart("counts", title, f"{text}.", spec, columns, rows, 70 + 15 * len(rows))


def results_chart(names: Sequence[str], found: Shares) -> Chart:
    """Return the exact matches of several runs, each with its interval."""
    values = [
        {"run": name, "share": share, "low": low, "high": high}
        for name, share, low, high in zip(names, found.share, found.low, found.high, strict=True)
    ]
    least = min((*found.low, 1.0))
    x: Row = {"field": "share", "type": "quantitative", "title": "exact match"}
    x["scale"] = {"domain": [least if least > 0.5 else 0, 1], "nice": True, "zero": False}
    x["axis"] = {"format": ".0%" if least < 0.9 else ".2%", "tickCount": 4}
    y = {"field": "run", "type": "nominal", "sort": None, "title": None}
    color = {"field": "run", "type": "nominal", "scale": series(names), "legend": None}
    layers = [
        {"mark": {"type": "rule", "strokeWidth": 2},
         "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}}},
        {"mark": {"type": "point", "filled": True, "size": 60, "opacity": 1}, "encoding": {"x": x}},
    ]  # fmt: skip
    spec = {"data": {"values": values}, "layer": layers, "encoding": {"y": y, "color": color}}
    rows = tuple(zip(names, found.share, found.low, found.high, found.n, strict=True))
    columns = ("run", "exact match", "low", "high", "sequences")
    text = "Exact match on held-out sequences, predicted freely, each with its 95 % interval."
    return make_chart("shares", "Results", text, spec, columns, rows, 70 + 30 * len(names))
