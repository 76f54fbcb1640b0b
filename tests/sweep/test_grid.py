"""A sweep's description: what is parsed is what was meant, and what makes no sense is refused."""

import re
from dataclasses import replace
from fractions import Fraction
from math import floor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.settings import parse_value, resolve
from seq2seq_cli.sweep.cells.derivation import Derivation
from seq2seq_cli.sweep.cells.description import Sweep, Until, parse_sweep, toml_value, with_options
from seq2seq_cli.sweep.cells.grid import Axis, cell_name, split_values, value_name
from seq2seq_cli.sweep.cells.plan import plan_cells
from seq2seq_cli.sweep.session import extend

HERE = Path("sweep.toml")
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12)
PLAIN = st.one_of(
    st.integers(-(2**62), 2**62), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.one_of(PLAIN, TEXT)


def options(*grid, derive=(), settings=(), seeds=None, until=None, one_factor=False):
    return with_options(Sweep(), None, settings, grid, derive, one_factor, seeds, until)


@given(st.lists(VALUES, min_size=1, max_size=5))
def test_values_that_are_written_out_are_read_back(values):
    text = ",".join(map(toml_value, values))
    assert [parse_value(part) for part in split_values(text)] == values


@given(st.text("a,[]{}\"'\\ ", max_size=20))
def test_splitting_loses_nothing(text):
    assert ",".join(split_values(text)) == text


@given(VALUES, VALUES)
def test_different_values_have_different_plain_names(one, other):
    same = value_name(one) == value_name(other)
    assert same == (toml_value(one) == toml_value(other))
    assert re.fullmatch(r"[\w.+-]*", value_name(one), re.ASCII)


def test_the_longest_names_fit_a_folder_and_differ():
    many = {f"model.{'x' * 30}{number}": "v" * 50 for number in range(9)}
    one, other = cell_name(many), cell_name(many | {"model.last": 1})
    assert len(one) < 200
    assert one != other


def test_names_need_no_quotes_and_ranges_stay_texts():
    assert Axis.parse("model.attention=none, dot").values == ("none", "dot")
    assert Axis.parse("task.n_in=6,1-25").values == (6, "1-25")
    assert Axis.parse('task.data="a,b.csv",c.csv').values == ("a,b.csv", "c.csv")
    assert cell_name({"task.n_in": "1-25", "model.attention": "dot"}) == "n_in-1-25-attention-dot"


@given(
    st.integers(1, 10**9),
    st.sampled_from("*/"),
    st.integers(1, 100_000).map(lambda cents: f"{cents / 100:.2f}"),
)
def test_what_follows_is_rounded_down(value, sign, number):
    rule = Derivation.parse(f" task.n_out=task.n_in {sign} {number}")
    exact = Fraction(number) if sign == "*" else 1 / Fraction(number)
    found = rule.value({"task.n_in": value})
    assert found == floor(value * exact)
    assert type(found) is int
    assert Derivation.parse(rule.text) == rule


def test_what_takes_numbers_with_a_point_is_not_rounded():
    rule = Derivation.parse("training.learning_rate = model.units * 0.0001")
    assert rule.value({}) == 0.0128


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("task.n_out = task.n_in + 2", "should be NAME = NAME"),
        ("task.n_out = __import__('os')", "should be NAME = NAME"),
        ("task.n_out = task.n_in / 0", "should not be 0"),
        ("task.n_outt = task.n_in / 2", "did you mean task.n_out"),
        ("model.attention = task.n_in / 2", "model.attention takes no number"),
        ("model.bidirectional = task.n_in / 2", "takes no number"),
    ],
)
def test_rules_that_make_no_sense_are_refused(text, told):
    with pytest.raises(ConfigurationError, match=told):
        Derivation.parse(text)


@pytest.mark.parametrize(
    ("grid", "told"),
    [
        ("task.n_in", "should be section.key=value"),
        ("task.n_in=", "a value is missing"),
        ("task.n_in=6,,7", "a value is missing"),
        ("task.n_in=6,6", "6 is given 2 times"),
        ("task.nin=6", "task.nin = .*: no such setting; did you mean task.n_in"),
        ("training.seed=0,1", "seeds = N"),
        ("task.data_sha256=a", "filled in"),
    ],
)
def test_axes_that_make_no_sense_are_refused(grid, told):
    with pytest.raises(ConfigurationError, match=told):
        options(grid)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"derive": ["task.n_in = task.n_out * 2"]}, "task.n_in is changed elsewhere too"),
        ({"derive": ["task.n_out = task.n_out * 2"]}, "task.n_out should be settled before it"),
        ({"until": (0.99, "model.attention")}, "only settings with whole numbers"),
        ({"until": (0.99, "task.n_in"), "settings": ["task.n_in=1-5"], "grid": ["model.units=8"]},
         "task.n_in = '1-5': a search needs a whole number"),
        ({"until": (0.99, "task.n_in"), "one_factor": True}, "not one factor"),
        ({"until": (1.5, "task.n_in")}, "should be a share"),
        ({"until": (0.5, "task.nn")}, "no such setting"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(given, told):
    grid = given.pop("grid", ["task.n_in=6,12"])
    with pytest.raises(ConfigurationError, match=told):
        options(*grid, **given).cells()


def test_nothing_to_change_is_refused():
    with pytest.raises(ConfigurationError, match="give a file, a grid or until"):
        options()


def test_a_grid_has_all_combinations_and_what_follows():
    sweep = options("task.n_in=6,12", "model.units=8,9", derive=["task.n_out = task.n_in / 2"])
    cells = sweep.cells()
    assert [cell.name for cell in cells] == [
        "n_in-6-units-8", "n_in-6-units-9", "n_in-12-units-8", "n_in-12-units-9",
    ]  # fmt: skip
    assert cells[2].given == {"task.n_in": 12, "model.units": 8, "task.n_out": 6}
    assert cells[2].derived == {"task.n_out": 6}


def test_one_factor_changes_one_setting_at_a_time_and_has_its_base_once():
    cells = options("task.n_in=6,12", "model.units=8,128", one_factor=True).cells()
    assert [cell.name for cell in cells] == ["base", "n_in-12", "units-8"]


def test_a_grid_too_large_to_be_meant_is_refused_at_once():
    numbers = ",".join(map(str, range(1, 200)))
    sweep = options(f"task.n_in={numbers}", f"model.units={numbers}")
    with pytest.raises(ConfigurationError, match="39,601 cells"):
        sweep.cells()


@given(st.lists(st.integers(1, 99), min_size=1, unique=True), st.integers(1, 9), st.booleans())
def test_a_saved_description_is_read_back(values, seeds, one_factor):
    sweep = Sweep(
        {"model.attention": "dot", "training.clip_norm": 1.0},
        (Axis("task.n_in", tuple(values)), Axis("training.learning_rate", (0.1, 1e-05))),
        (Derivation.parse("task.n_out = task.n_in / 2"),),
        one_factor,
        seeds,
        None if one_factor else Until(share=0.99, setting="task.n_in"),
    )
    assert parse_sweep(sweep.to_toml(), HERE) == sweep


def test_a_file_may_name_its_base(tmp_path):
    (tmp_path / "base.toml").write_text("[model]\nunits = 7\n")
    text = 'base = "base.toml"\n[changes]\ntask.n_in = [6]\n"model.layers" = [1, 2]\n'
    sweep = parse_sweep(text, tmp_path / "sweep.toml")
    assert sweep.base == {"model.units": 7}
    assert [axis.key for axis in sweep.axes] == ["task.n_in", "model.layers"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sedes = 3", "sweep.toml: sedes = 3: Extra inputs"),
        ("seeds = 0", "seeds = 0: .*greater than or equal to 1"),
        ('design = "all"', "design = 'all'"),
        ("[changes]\ntask.n_in = 6", "changes.task.n_in = 6: should be a list"),
        ("[changes\n", "not valid TOML"),
        ('derive = ["x"]', "derived setting 'x'"),
        ('until = { share = 2.0, setting = "task.n_in" }', "until.share"),
    ],
)
def test_wrong_files_are_refused(text, told):
    with pytest.raises(ConfigurationError, match=told):
        parse_sweep(text, HERE)


def test_a_sweep_is_extended_by_values_and_seeds_alone():
    sweep = options("task.n_in=6,12", seeds=2)
    further = sweep.extended([Axis.parse("task.n_in=12,24")], 3)
    assert further.axes == (Axis("task.n_in", (6, 12, 24)),)
    assert further.seeds == 3
    assert {cell.name for cell in sweep.cells()} < {cell.name for cell in further.cells()}
    with pytest.raises(ConfigurationError, match="model.units: is not an axis"):
        sweep.extended([Axis.parse("model.units=8")], None)
    with pytest.raises(ConfigurationError, match="seeds = 1: the sweep already has 2"):
        sweep.extended([], 1)


def test_what_is_wrong_with_any_cell_is_told_once_with_its_cells():
    cells = options("task.n_in=2,6,12", "model.units=8").cells()
    with pytest.raises(ConfigurationError) as caught:
        plan_cells(cells, 1)
    assert str(caught.value).splitlines() == [
        "task.n_out = 3: should be at most task.n_in, which is 2 (in n_in-2-units-8)"
    ]
    with pytest.raises(ConfigurationError, match="^training.epochs = 0: .*equal to 1$"):
        plan_cells(options("task.n_in=6,12", settings=["training.epochs=0"]).cells(), 1)


def test_a_cell_that_needs_more_memory_than_there_is_is_refused_beforehand():
    cells = options("model.units=8,900000").cells()
    with pytest.raises(ConfigurationError, match=r"model.units = 900000: .* \(in units-900000\)"):
        plan_cells(cells, 3)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 300))
def test_a_cells_settings_are_checked_as_those_of_set(n_in, units):
    sweep = options(f"task.n_in={n_in}", f"model.units={units}", settings=["task.n_out=1"])
    (planned,) = plan_cells(sweep.cells(), 2)
    expected = resolve(settings=[f"task.n_in={n_in}", f"model.units={units}", "task.n_out=1"])
    assert planned.config.model == expected.model
    assert planned.config.task.n_in == n_in
    assert planned.steps == 2 * expected.training.total_steps


def test_a_file_takes_the_place_of_what_is_saved_and_seeds_are_added(tmp_path):
    saved = options("task.n_in=6,12", seeds=1)
    described = options("task.n_in=6,24", seeds=3)
    assert extend(saved, described, [], 2) == replace(described, seeds=2)
    assert extend(saved, described, [], None) == described
    assert extend(replace(saved, seeds=5), described, [], None).seeds == 5
    with pytest.raises(ConfigurationError, match="seeds = 1: the sweep already has 2"):
        extend(replace(saved, seeds=2), described, [], 1)
