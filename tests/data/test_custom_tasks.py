"""Custom tasks: imported because they are named, and checked."""

import json
import sys

import numpy as np
import pytest

from seq2seq_cli.config import RunConfig, TaskConfig
from seq2seq_cli.data.plan import prepare
from seq2seq_cli.data.sampling import Split
from seq2seq_cli.data.tasks import find_task, longest_target
from seq2seq_cli.errors import ConfigurationError

CODE = """
import numpy as np
with open("imported", "a") as file:
    file.write("x")

def doubled(sources):
    return np.repeat(sources, 2, axis=1)

def wrong_shape(sources):
    return sources[0]

def floats(sources):
    return sources * 0.5

def zeros(sources):
    return sources * 0

def large(sources):
    return sources + 100

def fails(sources):
    raise KeyError("mine")

def seldom(sources):
    targets = sources.copy()
    targets[(sources[:, :3] == [1, 8, 1]).all(axis=1), 0] = 9
    return targets

def early(sources):
    return np.where(np.cumsum(sources == 8, axis=1) > 0, 0, sources)

def middle(sources):
    return np.where(sources == 8, 0, sources)

def later(sources):
    targets = sources.copy()
    targets[(sources[:, :3] == 8).all(axis=1), 3:] = 0
    return targets

def rest(sources):
    return sources[:, 1:]

def longer(sources):
    return np.repeat(sources, 1, axis=1) if len(sources) < 100 else sources[:, [0, 0, 1, 1, 2, 3]]
"""


def planned(name, **settings):
    return prepare(RunConfig(task=TaskConfig(name=name, cardinality=9, **settings)))


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(CODE)
    return tmp_path


def test_a_custom_task_makes_targets(place):
    plan = planned("mine.py:doubled", n_in=3)
    assert plan.config.task.n_out == 6
    sources, targets = plan.stream.draw(Split.TRAIN, 0, 5)
    np.testing.assert_array_equal(targets, np.repeat(sources, 2, axis=1))
    sources, targets = planned("mine.py:doubled", n_in="1-3").stream.draw(Split.TRAIN, 0, 50)
    for source, target in zip(sources, targets, strict=True):
        values = [value for value in source.tolist() if value]
        assert target.tolist() == [v for v in values for _ in range(2)] + [9] + [0] * (
            6 - 2 * len(values)
        )


@pytest.mark.parametrize(("n_in", "lengths"), [(4, [4]), ("2-5", [2, 3, 4, 5])])
def test_a_custom_task_is_tried_once_for_each_length(place, n_in, lengths):
    (place / "counted.py").write_text(
        "calls = []\ndef same(sources):\n    calls.append(sources.shape[1])\n    return sources\n"
    )
    plan = planned("counted.py:same", n_in=n_in)
    for stream in (plan.stream, plan.with_seed(5).stream):
        assert stream.target_width == max(lengths)
    assert sys.modules["custom_task_counted"].calls == lengths


@pytest.mark.parametrize(("name", "named"), [
    ("mine.py:wrong_shape", "should return"), ("mine.py:floats", "should be integers"),
    ("mine.py:zeros", "values go from 1"), ("mine.py:large", "values go from 1 to 8"),
    ("mine.py:fails", "it raised KeyError"), ("mine.py:none", "there is no none in mine.py"),
    ("mine.py:np", "is not a function"), ("none.py:doubled", "there is no file none.py"),
])  # fmt: skip
def test_a_wrong_custom_task_is_named(place, name, named):
    with pytest.raises(ConfigurationError, match=named):
        planned(name, n_in=3)


@pytest.mark.parametrize("n_in", [4, "4-5"])
def test_every_draw_of_a_custom_task_is_checked(place, n_in):
    """A rare value outside the vocabulary is reported when it is drawn."""
    stream = planned("mine.py:seldom", n_in=n_in).stream
    with pytest.raises(
        ConfigurationError, match=r"mine.py:seldom: for the source 1 8 1 .* 9: with"
    ):
        stream.draw(Split.TRAIN, 0, 5000)


def test_a_custom_task_with_growing_targets_is_refused(place):
    stream = planned("mine.py:longer", n_in=4).stream
    with pytest.raises(ConfigurationError, match=r"mine.py:longer: it returned a target of 6"):
        stream.draw(Split.TRAIN, 0, 5000)


def test_the_targets_of_a_custom_task_may_end_early_and_be_empty(place):
    plan = planned("mine.py:early", n_in=4)
    config = plan.config.task
    assert (config.n_out, config.has_end) == (4, True)
    sources, targets = plan.stream.draw(Split.TRAIN, 0, 500)
    assert targets.shape == (500, 5)
    for source, target in zip(sources.tolist(), targets.tolist(), strict=True):
        values = source[: source.index(8)] if 8 in source else source
        assert target == values + [9] + [0] * (4 - len(values))
    assert (targets[:, 0] == 9).any()
    assert longest_target(config, 4) >= 5
    assert not planned("mine.py:doubled", n_in=4).config.task.has_end
    with pytest.raises(ConfigurationError, match=r"end_of_sequence = false: some targets of mine"):
        planned("mine.py:early", n_in=4, end_of_sequence=False)
    again = prepare(RunConfig.model_validate(plan.config.model_dump()), resumed=True)
    assert again.config == plan.config


def test_a_custom_task_that_seldom_ends_early_needs_an_end(place):
    with pytest.raises(ConfigurationError, match="set task.end_of_sequence = true"):
        planned("mine.py:later", n_in=4).stream.draw(Split.TRAIN, 0, 5000)
    plan = planned("mine.py:later", n_in=4, end_of_sequence=True)
    _, targets = plan.stream.draw(Split.TRAIN, 0, 5000)
    assert (targets[:, 3] == 9).any()


def test_zeros_of_a_custom_task_are_at_the_end_of_a_row_only(place):
    with pytest.raises(ConfigurationError, match="it returned 0: .* 0 fills the end of a row"):
        planned("mine.py:middle", n_in=4)


def test_a_custom_task_may_have_no_targets_for_short_sources(place):
    plan = planned("mine.py:rest", n_in="1-4")
    sources, targets = plan.stream.draw(Split.TRAIN, 0, 100)
    assert targets.shape == (100, 4)
    assert (targets[(sources != 0).sum(axis=1) == 1] == [9, 0, 0, 0]).all()
    with pytest.raises(ConfigurationError, match="every target was empty"):
        planned("mine.py:rest", n_in=1)


def test_a_planned_custom_task_is_not_found_by_its_name(place):
    planned("mine.py:doubled", n_in=3)
    with pytest.raises(ConfigurationError, match="task mine.py:doubled is custom code"):
        find_task(TaskConfig(name="mine.py:doubled", n_in=3, cardinality=9))


@pytest.mark.usefixtures("compiled_once")
def test_a_run_never_imports_its_task(place, s2s_here):
    sizes = "--n-in 3 --cardinality 9 --units 8 --n-samples 640".split()
    s2s_here("train", "--task", "mine.py:doubled", *sizes, "-q")
    imported = (place / "imported").read_text()
    refused = s2s_here("evaluate", check=False)
    assert refused.returncode == 2
    assert "add --task mine.py:doubled" in refused.stderr
    assert len(s2s_here("predict", "1 2 3").stdout.split()) == 6
    s2s_here("inspect")
    s2s_here("runs")
    assert (place / "imported").read_text() == imported
    report = s2s_here("evaluate", "--task", "mine.py:doubled", "--json").stdout
    assert len(json.loads(report)["position_accuracy"]) == 6
    assert len((place / "imported").read_text()) == len(imported) + 1


@pytest.mark.parametrize("options", [[], ["--dry-run"], ["--resume"], ["--set", "model.units=9"]])
def test_a_file_does_not_name_custom_code(place, s2s_here, options):
    (place / "mine.toml").write_text('[task]\nname = "mine.py:doubled"\nn_in = 3\n')
    refused = s2s_here("train", "--config", "mine.toml", *options, check=False)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "add --task mine.py:doubled" in refused.stderr
    assert not (place / "imported").exists()


@pytest.mark.parametrize(
    "named", [["--task", "mine.py:doubled"], ["--set", "task.name=mine.py:doubled"]]
)
def test_custom_code_is_run_when_the_command_line_names_it(place, s2s_here, named):
    (place / "mine.toml").write_text('[task]\nname = "mine.py:doubled"\nn_in = 3\n')
    s2s_here("train", "--config", "mine.toml", *named, "--dry-run")
    assert (place / "imported").exists()
