"""Charts: plain dictionaries that are drawn, with the numbers that their tables have."""

import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

from seq2seq_cli.evaluation import Example
from seq2seq_cli.report.charts import (
    confusions_chart,
    curve_charts,
    results_chart,
    shares_chart,
)
from seq2seq_cli.report.drawing import draw, draw_for_page
from seq2seq_cli.report.figures import Confusions, LearningCurve, Series, Shares
from seq2seq_cli.report.maps import attention_chart, components_chart, decoder_chart
from seq2seq_cli.report.states import Components, Map
from seq2seq_cli.report.theme import IN_DARK, INK, SERIES

EXAMPLE = Example([4, 5], [5, 4], [5, 5])
TRAINED = Series((64, 128, 192), (4.0, 1.0, 0.01), (0.0, 0.5, 1.0), (0.001, 0.01, 0.0))
HELD_OUT = Series((192,), (0.02,), (0.875,), (0.0,))
CURVES = curve_charts([LearningCurve("a", TRAINED, HELD_OUT)])
SHARES = Shares((1, 2), (0.75, 1.0), (0.5, 0.9), (0.875, 1.0), (16, 16))
MAP = Map(EXAMPLE, ("1: 5", "2: 5"), ("1: 4", "2: 5"), ((0.25, 0.75), (0.001, -0.5)))
CHARTS = {
    **CURVES,
    "positions": shares_chart(SHARES, "position"),
    "carries": shares_chart(SHARES, "length", trained_to=1),
    "confusions": confusions_chart(Confusions(("3", "end"), ("4", "nothing"), (7, 2), 90, 9)),
    "attention": attention_chart(MAP),
    "decoder": decoder_chart(MAP),
    "encoder": components_chart(Components((0.5, -1.0), (2.0, 0.0), (4, 9), (0.6, 0.3))),
    "results": results_chart(["a", "b"], SHARES),
}


def values_of(spec) -> list[dict[str, object]]:
    """Return all rows of data in a specification."""
    if isinstance(spec, dict):
        found = spec.get("data", {}).get("values", []) if "data" in spec else []
        return [*found, *(row for value in spec.values() for row in values_of(value))]
    return [row for value in spec for row in values_of(value)] if isinstance(spec, list) else []


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_plain_and_has_what_its_table_has(name):
    chart = CHARTS[name]
    assert json.loads(json.dumps(chart.spec, allow_nan=False)) == chart.spec
    assert all(len(row) == len(chart.columns) for row in chart.rows)
    assert chart.text.endswith(".")
    drawn = {v for row in values_of(chart.spec) for v in row.values() if isinstance(v, float)}
    listed = {v for row in chart.rows for v in row if isinstance(v, float)}
    if chart.kind == "map":  # whose sign is a colour, and where what is next to zero is left out
        assert drawn == {abs(value) for value in listed if abs(value) >= 0.005}
    else:
        assert drawn - {1.5} == listed or name == "encoder"


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_drawn_with_a_name_and_no_label_for_each_cell(name):
    svg = draw_for_page(CHARTS[name], name)
    root = ElementTree.fromstring(svg)
    assert root.get("role") == "img"
    assert CHARTS[name].title in root.get("aria-label")
    assert svg.count("aria-label=") == 1
    assert "graphics-" not in svg
    for colour in IN_DARK:
        assert f'"{colour}"' not in svg
    ids = re.findall(r' id="([^"]*)"', svg)
    assert all(one.startswith(f"{name}-") for one in ids)
    assert all(f'id="{one}"' in svg for one in re.findall(r"url\(#([^)]*)\)", svg))


@pytest.mark.parametrize(
    ("suffix", "magic"), [("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_a_chart_is_a_file_of_each_format(suffix, magic):
    picture = draw(CHARTS["loss"], suffix)
    assert picture.startswith(magic)
    if suffix == "svg":
        text = picture.decode()
        assert SERIES[0] in text
        assert INK in text
        assert "var(" not in text


def test_each_mark_is_there():
    counts = {"attention": 3, "decoder": 3, "confusions": 2, "encoder": 2, "positions": 2}
    for name, n in counts.items():
        group = {"attention": "rect", "decoder": "rect", "confusions": "rect"}.get(name, "symbol")
        svg = draw_for_page(CHARTS[name], name)
        marks = re.findall(rf'<g class="mark-{group} role-mark[^"]*"[^>]*>(.*?)</g>', svg)
        assert sum(found.count("<path") for found in marks) == n, name


def test_losses_of_many_sizes_have_a_logarithmic_axis():
    scale = CURVES["loss"].spec["encoding"]["y"]["scale"]
    assert scale == {"type": "log", "domain": [0.01, 10.0]}
    alike = Series((64, 128), (4.0, 3.5), (0.0, 0.5), (0.1, 0.1))
    (chart, *_) = curve_charts([LearningCurve("a", alike, Series())]).values()
    assert "type" not in chart.spec["encoding"]["y"]["scale"]
    zero = Series((64, 128), (4.0, 0.0), (0.0, 0.5), (0.1, 0.1))
    (chart, *_) = curve_charts([LearningCurve("a", zero, Series())]).values()
    assert draw_for_page(chart, "loss")


def test_no_interval_lies_outside_its_chart():
    for low in (0.0, 0.4, 0.7, 0.97, 0.9996):
        found = Shares((1,), (1.0,), (low,), (1.0,), (9,))
        least, most = shares_chart(found, "position").spec["layer"][0]["encoding"]["y"]["scale"][
            "domain"
        ]
        assert least <= low
        assert most == 1


def test_runs_are_overlaid_each_in_its_colour():
    charts = curve_charts([LearningCurve(name, TRAINED, HELD_OUT) for name in "abcdefghij"])
    colour = charts["loss"].spec["encoding"]["color"]
    assert colour["scale"]["domain"] == list("abcdefghij")
    assert colour["scale"]["range"][:8] == list(SERIES)
    assert {row[0] for row in charts["loss"].rows} == set("abcdefghij")
