"""A sweep's description: its options and files are read as written, or refused."""

import re
from dataclasses import replace
from fractions import Fraction
from math import floor
from pathlib import Path

import pytest
from fake import describe
from hypothesis import given
from hypothesis import strategies as st

from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.settings import parse_value, resolve
from seq2seq_cli.sweep.description import (
    Sweep,
    Until,
    extend,
    parse_sweep,
    read_sweep,
    toml_value,
)
from seq2seq_cli.sweep.grid import Axis, Cell, Derivation, split_values, value_name
from seq2seq_cli.sweep.plan import Pace, plan_cells

VALUES = st.one_of(
    st.integers(-(2**62), 2**62),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12),
)


@given(st.lists(VALUES, min_size=1, max_size=5))
def test_written_values_are_read_back(values):
    text = ",".join(map(toml_value, values))
    assert [parse_value(part) for part in split_values(text)] == values


@given(st.text("a,[]{}\"'\\ ", max_size=20))
def test_splitting_loses_nothing(text):
    assert ",".join(split_values(text)) == text


@given(VALUES, VALUES)
def test_different_values_have_different_plain_names(one, other):
    assert (value_name(one) == value_name(other)) == (toml_value(one) == toml_value(other))
    assert re.fullmatch(r"[\w.+-]*", value_name(one), re.ASCII)


def test_the_longest_names_fit_a_folder_and_differ():
    many = {f"model.{'x' * 30}{number}": "v" * 50 for number in range(9)}
    one, other = (Cell(changes, {}, {}).name for changes in (many, many | {"model.last": 1}))
    assert len(one) < 200
    assert one != other


def test_names_need_no_quotes_and_ranges_are_texts():
    assert Axis.parse("model.attention=none, dot").values == ("none", "dot")
    assert Axis.parse("task.n_in=6,1-25").values == (6, "1-25")
    assert Axis.parse('task.data="a,b.csv",c.csv').values == ("a,b.csv", "c.csv")
    assert Cell({"task.n_in": "1-25", "model.units": 8}, {}, {}).name == "n_in-1-25-units-8"


@given(
    st.integers(1, 10**9),
    st.sampled_from("*/"),
    st.integers(1, 100_000).map(lambda cents: f"{cents / 100:.2f}"),
)
def test_derived_whole_numbers_are_rounded_down(value, sign, number):
    rule = Derivation.parse(f" task.n_out=task.n_in {sign} {number}")
    exact = Fraction(number) if sign == "*" else 1 / Fraction(number)
    derived = rule.value({"task.n_in": value})
    assert derived == floor(value * exact)
    assert type(derived) is int
    assert Derivation.parse(rule.text) == rule


def test_derived_fractions_are_not_rounded():
    rule = Derivation.parse("training.learning_rate = model.units * 0.0001")
    assert rule.value({}) == 0.0128


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"derive": ["task.n_out = task.n_in + 2"]}, "should be NAME = NAME"),
        ({"derive": ["task.n_out = __import__('os')"]}, "should be NAME = NAME"),
        ({"derive": ["task.n_out = task.n_in / 0"]}, "should not be 0"),
        ({"derive": ["task.n_outt = task.n_in / 2"]}, "did you mean task.n_out"),
        ({"derive": ["model.bidirectional = task.n_in / 2"]}, "takes no number"),
        ({"derive": ["task.n_in = task.n_out * 2"]}, "task.n_in is changed elsewhere too"),
        ({"derive": ["task.n_out = task.n_out * 2"]}, "task.n_out should be settled before it"),
        ({"grid": "task.n_in"}, "should be section.key=value"),
        ({"grid": "task.n_in=6,,7"}, "a value is missing"),
        ({"grid": "task.n_in=6,6"}, "6 is given 2 times"),
        ({"grid": "task.nin=6"}, "task.nin = .*: no such setting; did you mean task.n_in"),
        ({"grid": "training.seed=0,1"}, "seeds = N"),
        ({"grid": "task.data_sha256=a"}, "filled in"),
        ({"until": (0.99, "model.attention")}, "only settings with whole numbers"),
        ({"until": (0.99, "task.n_in"), "settings": ["task.n_in=1-5"], "grid": "model.units=8"},
         "task.n_in = '1-5': a search needs a whole number"),
        ({"until": (0.99, "task.n_in"), "one_factor": True}, "not one factor"),
        ({"until": (1.5, "task.n_in")}, "should be a share"),
        ({"until": (0.5, "task.nn")}, "no such setting"),
    ],
)  # fmt: skip
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        describe(*[options.pop("grid", "task.n_in=6,12")], **options).cells()


def test_a_grid_has_all_combinations_and_derived_settings():
    cells = describe(
        "task.n_in=6,12", "model.units=8,9", derive=["task.n_out = task.n_in / 2"]
    ).cells()
    assert [cell.name for cell in cells] == [
        "n_in-6-units-8", "n_in-6-units-9", "n_in-12-units-8", "n_in-12-units-9",
    ]  # fmt: skip
    assert cells[2].settings == {"task.n_in": 12, "model.units": 8, "task.n_out": 6}
    assert cells[2].derived == {"task.n_out": 6}


def test_one_factor_changes_one_setting_at_a_time_and_has_its_base_once():
    cells = describe("task.n_in=6,12", "model.units=8,128", one_factor=True).cells()
    assert [cell.name for cell in cells] == ["base", "n_in-12", "units-8"]


def test_too_many_cells_are_refused_at_once():
    numbers = ",".join(map(str, range(1, 200)))
    with pytest.raises(ConfigurationError, match="39,601 cells"):
        describe(f"task.n_in={numbers}", f"model.units={numbers}").cells()


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
    assert parse_sweep(sweep.to_toml(), Path("sweep.toml")) == sweep


def test_a_file_may_name_its_base(tmp_path):
    (tmp_path / "base.toml").write_text("[model]\nunits = 7\n")
    text = 'base = "base.toml"\n[changes]\ntask.n_in = [6]\n"model.layers" = [1, 2]\n'
    (tmp_path / "sweep.toml").write_text(text)
    sweep = read_sweep(tmp_path / "sweep.toml")
    assert sweep.base == {"model.units": 7}
    assert [axis.key for axis in sweep.axes] == ["task.n_in", "model.layers"]


def test_paths_in_a_file_are_relative_to_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("maps").mkdir()
    Path("maps", "c,d.csv").touch()
    Path("maps", "sweep.toml").write_text(
        '[base]\ntask.validation_data = "a.txt,b.txt"\nmodel.pretrained_embedding = "/e.npy"\n'
        '[changes]\ntask.data = ["c,d.csv", "../e.csv"]\ntask.name = ["own.py:f", "copy"]\n'
    )
    sweep = read_sweep(Path("maps", "sweep.toml"))
    assert sweep.base == {
        "task.validation_data": "maps/a.txt,maps/b.txt",
        "model.pretrained_embedding": "/e.npy",
    }
    assert [axis.values for axis in sweep.axes] == [
        ("maps/c,d.csv", "maps/../e.csv"), ("maps/own.py:f", "copy"),
    ]  # fmt: skip
    assert sweep.custom_tasks() == ["maps/own.py:f"]
    assert parse_sweep(sweep.to_toml(), Path("runs/s/sweep.toml")) == sweep  # as it is saved


@pytest.mark.parametrize(
    ("text", "message"),
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
def test_wrong_files_are_refused(text, message):
    with pytest.raises(ConfigurationError, match=message):
        parse_sweep(text, Path("sweep.toml"))


def test_a_sweep_is_extended_by_values_and_seeds_alone():
    saved = describe("task.n_in=6,12")
    extended = extend(saved, None, ["task.n_in=12,24"], 3)
    assert extended.axes == (Axis("task.n_in", (6, 12, 24)),)
    assert extended.seeds == 3
    with pytest.raises(ConfigurationError, match="model.units: is not an axis"):
        extend(saved, None, ["model.units=8"], None)
    with pytest.raises(ConfigurationError, match="seeds = 1: the sweep already has 2"):
        extend(saved, None, [], 1)


def test_a_file_replaces_the_saved_description_and_seeds_are_added():
    saved = describe("task.n_in=6,12", seeds=1)
    described = describe("task.n_in=6,24", seeds=3)
    assert extend(saved, described, [], 2) == replace(described, seeds=2)
    assert extend(saved, described, [], None) == described
    assert extend(replace(saved, seeds=5), described, [], None).seeds == 5


def test_each_problem_is_reported_once_with_its_cells():
    with pytest.raises(ConfigurationError) as caught:
        plan_cells(describe("task.n_in=2,6,12", "model.units=8").cells(), 1)
    assert str(caught.value).splitlines() == [
        "task.n_out = 3: should be at most task.n_in, which is 2 (in n_in-2-units-8)"
    ]
    with pytest.raises(ConfigurationError, match="^training.epochs = 0: .*equal to 1$"):
        plan_cells(describe("task.n_in=6,12", settings=["training.epochs=0"]).cells(), 1)
    twins = describe("training.learning_rate=1,1.0", "task.n_in=6,7")
    names = "learning_rate-1-n_in-6 and learning_rate-1.0-n_in-6"
    with pytest.raises(ConfigurationError, match=f"{names} have the same settings"):
        plan_cells(twins.cells(), 1)
    with pytest.raises(ConfigurationError, match=r"model.units = 900000: .* \(in units-900000\)"):
        plan_cells(describe("model.units=8,900000").cells(), 3)  # more memory than there is


def test_a_cell_s_settings_are_those_of_set():
    settings = ["task.n_in=7", "model.units=9", "task.n_out=1"]
    (planned,) = plan_cells(describe(*settings[:2], settings=settings[2:]).cells(), 2)
    expected = resolve(settings=settings)
    assert planned.config.model == expected.model
    assert planned.config.task.n_in == 7
    assert planned.steps == 2 * expected.training.total_steps


def test_the_pace_is_corrected_by_measured_times():
    pace = Pace()
    assert pace.expected(10) == 10
    pace.learn(1000, 3000)
    assert 29 < pace.expected(10) < 30
    assert pace.left([10, 10, 10, 10], 2) == pace.expected(20)
    assert pace.left([10, 30], 2) == pace.expected(30)
    assert Pace(1).expected(10) > Pace(2).expected(10) == Pace(0).expected(10)
