"""Each chart is drawn with a mark for each row, in the colours of a page or a file."""

import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

from seq2seq_cli.reports.charts import specification
from seq2seq_cli.reports.data import Chart
from seq2seq_cli.reports.pictures import IN_DARK, INK, SERIES, draw, draw_for_page
from seq2seq_cli.reports.style import Style


def curve(values, column="loss, nats per token", runs=("a",), label="training"):
    data = [
        {"run": run, "data": label, "sequences trained on": 64 * step, column: value}
        | ({"series": run[0]} if len(runs) > 1 else {})
        for run in runs
        for step, value in enumerate(values, 1)
    ]
    return Chart("curve", "Loss", "Loss over the sequences.", data)


def shares(at, low=0.5):
    keys = ("a", "b") if at == "run" else (1, 2)
    data = [
        {at: key, "exact match": 0.75, "low": low, "high": 1.0, "sequences": 16} for key in keys
    ]
    return Chart("shares", "Shares", "Shares, with intervals.", data, limit=1)


MAP = [{"row by column": "1", "a": 0.25, "b": 0.75}, {"row by column": "2", "a": 0.001, "b": -0.5}]
CHARTS = {
    "curve": curve([4.0, 1.0, 0.01]),
    "shares": shares("length"),
    "results": Chart("results", "Results", "Results.", shares("run").data),
    "counts": Chart(
        "counts", "Counts", "Counts.",
        [{"expected": "3", "predicted": "4", "times": 7},
         {"expected": "end", "predicted": "nothing", "times": 2}],
    ),
    "overlay": Chart(
        "overlay", "Overlay", "An overlay.",
        [{"run": run, "length": at, "exact match": 0.5, "series": f"{run} and 1 more"}
         for run in "ab" for at in (1, 2)],
    ),
    "map": Chart("map", "Hidden state, right: 1 2", "A map.", MAP),
    "points": Chart(
        "points", "Points", "Points.",
        [{"first": first, "component 1 (60%)": first / 3, "component 2 (30%)": 0.5}
         for first in (4, 9)],
    ),
    "grid": Chart(
        "grid", "Median exact match", "A grid.",
        [*MAP[:1], {"row by column": "3", "a": "", "b": 1.0}],
    ),
    "lines": Chart(
        "lines", "Lines", "Lines.",
        [{"others": "b.d = 1", "a.c": at, "seed": seed, "exact match": 0.5}
         for at in ("6", "12") for seed in (0, 1)],
    ),
}  # fmt: skip
MARKS = {
    "curve": ("line", 1), "shares": ("symbol", 2), "results": ("symbol", 2), "counts": ("rect", 2),
    "map": ("rect", 3), "points": ("symbol", 2), "grid": ("rect", 3), "lines": ("symbol", 4),
    "overlay": ("symbol", 4),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHARTS)
def test_a_chart_is_drawn_with_a_name_and_a_mark_for_each_row(kind):
    chart = CHARTS[kind]
    assert json.loads(json.dumps(specification(chart), allow_nan=False))
    svg = draw_for_page(chart, kind)
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert chart.title in root.get("aria-label")
    assert svg.count("aria-label=") == 1
    assert "graphics-" not in svg
    for colour in IN_DARK:
        assert f'"{colour}"' not in svg
    ids = re.findall(r' id="([^"]*)"', svg)
    assert all(one.startswith(f"{kind}-") for one in ids)
    assert all(f'id="{one}"' in svg for one in re.findall(r"url\(#([^)]*)\)", svg))
    mark, n = MARKS[kind]
    marks = re.findall(rf'<g class="mark-{mark} role-mark[^"]*"[^>]*>(.*?)</g>', svg)
    assert sum(group.count("<path") for group in marks) == n


TITLES = {
    "curve": ["run: a; data: training; sequences trained on: 64; loss, nats per token: 4",
              "run: a; data: training; sequences trained on: 128; loss, nats per token: 1",
              "run: a; data: training; sequences trained on: 192; loss, nats per token: 0.01"],
    "shares": ["length: 1; exact match: 75%; from (95%): 50%; to (95%): 100%; sequences: 16",
               "length: 2; exact match: 75%; from (95%): 50%; to (95%): 100%; sequences: 16",
               "longest length in training: 1"],
    "results": ["run: a; exact match: 75%; from (95%): 50%; to (95%): 100%; sequences: 16",
                "run: b; exact match: 75%; from (95%): 50%; to (95%): 100%; sequences: 16"],
    "counts": ["expected: 3; predicted: 4; times: 7",
               "expected: end; predicted: nothing; times: 2"],
    "map": ["row: 1; column: a; hidden state: 0.25", "row: 1; column: b; hidden state: 0.75",
            "row: 2; column: b; hidden state: -0.5"],
    "points": ["first: 4; component 1 (60%): 1.33333; component 2 (30%): 0.5",
               "first: 9; component 1 (60%): 3; component 2 (30%): 0.5"],
    "grid": ["row: 1; column: a; median exact match: 25.00%",
             "row: 1; column: b; median exact match: 75.00%",
             "row: 3; column: b; median exact match: 100%"],
    "lines": [f"others: b.d = 1; a.c: {at}; seed: {seed}; exact match: 50.00%"
              for at in (6, 12) for seed in (0, 1)],
    "overlay": [f"run: {run}; length: {at}; exact match: 50.00%; series: {run} and 1 more"
                for run in "ab" for at in (1, 2)],
}  # fmt: skip


@pytest.mark.parametrize("kind", CHARTS)
def test_on_a_page_a_mark_has_its_values_as_its_title(kind):
    root = ElementTree.fromstring(draw_for_page(CHARTS[kind], kind))
    marks = root.findall(".//*[{*}title]")
    titles = [mark.findtext("{*}title") for mark in marks]
    assert list(dict.fromkeys(titles)) == TITLES[kind]
    assert all(mark.tag.endswith(("path", "line")) for mark in marks)
    assert b"<title" not in draw(CHARTS[kind], "svg", Style())


def test_a_long_curve_has_no_points_to_hover_over_but_those_drawn(monkeypatch):
    chart = curve([2.0] * 44)
    assert draw_for_page(chart, "curve").count("<title") == 44 + 15
    monkeypatch.setattr("seq2seq_cli.reports.pictures.MOST_HOVERED", 2)
    assert draw_for_page(chart, "curve").count("<title") == 15


@pytest.mark.parametrize(
    ("suffix", "magic"), [("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_a_chart_is_written_in_each_format(suffix, magic):
    picture = draw(CHARTS["curve"], suffix, Style())
    assert picture.startswith(magic)
    if suffix == "svg":
        text = picture.decode()
        assert SERIES[0] in text
        assert INK in text
        assert "var(" not in text


def test_losses_of_many_magnitudes_have_a_logarithmic_axis():
    def scale(values):
        return specification(curve(values))["encoding"]["y"]["scale"]

    assert scale([4.0, 1.0, 0.01]) == {"type": "log", "domain": [0.01, 10.0]}
    assert "type" not in scale([4.0, 3.5])
    assert "type" not in scale([4.0, 0.0])


def test_axes_include_all_intervals():
    for low in (0.0, 0.4, 0.7, 0.97, 0.9996, 1.0):
        layer = specification(shares("position", low))["layer"]
        least, most = layer[0]["encoding"]["y"]["scale"]["domain"]
        assert least <= low
        assert least < most == 1


def test_axes_and_legends_are_named_in_words():
    rows = [{"model.units by task.n_in": "8", "6": 0.5, "12": 1.0}]
    grid = specification(Chart("grid", "Median exact match", "A grid.", rows))
    axes = grid["encoding"]
    assert (axes["x"]["title"], axes["y"]["title"]) == ("integers in a source", "units per layer")
    legend = grid["layer"][0]["encoding"]["opacity"]["legend"]
    assert legend["title"] == "median exact match"
    rows = [{"others": "", "training.n_samples": at, "seed": 0, "exact match": 0.5} for at in "12"]
    lines = specification(Chart("lines", "Lines", "Lines.", rows))
    assert lines["encoding"]["x"]["title"] == "sequences per epoch"
    assert specification(curve([1.0]))["encoding"]["y"]["title"] == "loss, nats per token"
    attention = specification(Chart("map", "Attention, right: 1 2", "A map.", MAP))
    assert attention["encoding"]["opacity"]["legend"]["title"] == "attention"
    svg = draw(Chart("map", "Attention, right: 1 2", "A map.", MAP), "svg", Style()).decode()
    assert all(f">{title}</text>" in svg for title in ("row", "column", "attention"))


def test_seeds_whose_calls_differ_have_a_smooth_median():
    """Otherwise the line would jump between the seeds that have a call at each point."""
    svg = draw(
        Chart("curve", "Loss", "Loss.", [
            {"run": run, "data": "training", "sequences trained on": x, "loss": y, "series": "a"}
            for run, high, at in (("a", 8.0, (0, 2, 4)), ("b", 4.0, (0, 1, 3, 4)))
            for x, y in ((x, high - x) for x in at)
        ]), "svg", Style(),
    ).decode()  # fmt: skip
    (line,) = drawn(svg, "line")
    heights = [float(y) for y in re.findall(r"[ML][\d.]+,([\d.]+)", line["d"])]
    assert len(heights) == 5
    assert heights == pytest.approx([heights[0] + i * (heights[1] - heights[0]) for i in range(5)])


def test_many_names_below_an_axis_are_turned_and_whole():
    names = [f"task-number-{number}" for number in range(20)]
    row = {"model.attention_radius by task.name": "0", **dict.fromkeys(names, 1.0)}
    svg = draw(Chart("grid", "Median exact match", "A grid.", [row]), "svg", Style()).decode()
    assert all(f">{name}</text>" in svg for name in names)
    assert ">positions up to which attention learns where to look</text>" in svg


def drawn(svg, mark):
    """Return the attributes of the marks of a kind, without those of the legend."""
    groups = re.findall(rf'<g class="mark-{mark} role-mark[^"]*"[^>]*>(.*?)</g>', svg)
    paths = [path for group in groups for path in re.findall(r"<path[^>]*>", group)]
    return [dict(re.findall(r'([\w-]+)="([^"]*)"', path)) for path in paths]


def test_series_differ_in_colour_dashes_and_shapes():
    svg = draw(curve([4.0, 1.0], runs="abcdefgh"), "svg", Style()).decode()
    lines, points = drawn(svg, "line"), drawn(svg, "symbol")
    assert len({line["stroke"] for line in lines}) == len(lines) == 8
    assert len({line.get("stroke-dasharray") for line in lines}) == 8
    assert len({point["d"] for point in points}) == 8
    assert {point["fill"] for point in points} == set(SERIES)


def test_seeds_are_their_median_with_a_band():
    svg = draw(
        Chart("curve", "Loss", "Loss.", [
            {"run": run, "data": "training", "sequences trained on": x, "loss": loss, "series": "a"}
            for run, loss in (("a", 1.0), ("b", 1.5), ("c", 4.0)) for x in (0, 1)
        ]), "svg", Style(),
    ).decode()  # fmt: skip
    (line,), (area,) = drawn(svg, "line"), drawn(svg, "area")
    heights = [
        sorted({float(y) for y in re.findall(r"[ML][\d.]+,([\d.]+)", one["d"])})
        for one in (line, area)
    ]
    ((median,), (most, least)) = heights
    assert (least - median) / (least - most) == pytest.approx(0.5 / 3, abs=0.01)


@pytest.mark.parametrize(("n", "shown"), [(20, 20), (44, 15)])
@pytest.mark.parametrize("runs", ["a", "ab"])
def test_of_many_validations_some_are_points(n, shown, runs):
    training = curve([2.0] * n, runs=runs)
    validation = curve([1.0] * n, runs=runs, label="validation")
    chart = Chart("curve", "Loss", "Loss.", training.data + validation.data)
    points = drawn(draw(chart, "svg", Style()).decode(), "symbol")
    assert len(points) == shown * len(runs)
    positions = [float(point["transform"][10:].split(",")[0]) for point in points]
    lines = drawn(draw(chart, "svg", Style()).decode(), "line")
    last = max(float(x) for x in re.findall(r"L([\d.]+),", lines[0]["d"]))
    assert max(positions) == pytest.approx(last, abs=0.01)


def test_a_training_of_one_call_is_a_point():
    data = curve([2.0]).data + curve([1.0], label="validation").data
    chart = Chart("curve", "Loss", "Loss.", data)
    assert len(drawn(draw(chart, "svg", Style()).decode(), "symbol")) >= 2


def test_more_series_than_colours_are_drawn():
    svg = draw(curve([4.0, 1.0], runs="abcdefghij"), "svg", Style()).decode()
    assert all(colour in svg for colour in SERIES)


@pytest.mark.parametrize(
    ("title", "labels"),
    [("Attention, wrong: 3", ["25%", "50%", "75%", "100%"]),
     ("Hidden state, wrong: 3", ["0.25", "0.50", "0.75", "1.00"])],
)  # fmt: skip
def test_a_maps_legend_has_the_unit_of_its_values(title, labels):
    svg = draw_for_page(Chart("map", title, "A map.", MAP), "map")
    assert [label for label in labels if f">{label}</text>" in svg] == labels
