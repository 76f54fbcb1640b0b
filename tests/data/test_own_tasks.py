"""A user's own tasks: imported because named, and checked."""

import json

import numpy as np
import pytest
from conftest import run_s2s

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
    found = sources.copy()
    found[(sources[:, 0] == 7) & (sources[:, 1] == 7), 0] = 9
    return found

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


def test_an_own_task_makes_targets(place):
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


@pytest.mark.parametrize(("name", "named"), [
    ("mine.py:wrong_shape", "should return"), ("mine.py:floats", "should be integers"),
    ("mine.py:zeros", "values go from 1"), ("mine.py:large", "values go from 1 to 8"),
    ("mine.py:fails", "it raised KeyError"), ("mine.py:none", "has no attribute 'none'"),
    ("mine.py:np", "is no function"), ("none.py:doubled", "there is no file none.py"),
])  # fmt: skip
def test_a_wrong_own_task_is_named(place, name, named):
    with pytest.raises(ConfigurationError, match=named):
        planned(name, n_in=3)


@pytest.mark.parametrize("n_in", [4, "4-5"])
def test_every_draw_of_an_own_task_is_checked(place, n_in):
    """A value outside the vocabulary that comes up now and then is found where it does."""
    stream = planned("mine.py:seldom", n_in=n_in).stream
    with pytest.raises(ConfigurationError, match=r"mine.py:seldom: for the source 7 7 .* 9: with"):
        stream.draw(Split.TRAIN, 0, 5000)


def test_an_own_task_whose_targets_grow_is_named(place):
    stream = planned("mine.py:longer", n_in=4).stream
    with pytest.raises(ConfigurationError, match=r"mine.py:longer: it returned a target of 6"):
        stream.draw(Split.TRAIN, 0, 5000)


def test_planning_one_task_leaves_no_trace_for_another(place):
    planned("mine.py:doubled", n_in=3)
    with pytest.raises(ConfigurationError, match="add --task mine.py:doubled"):
        find_task(TaskConfig(name="mine.py:doubled", n_in=3, cardinality=9))


def test_a_task_that_nobody_named_has_no_targets():
    task = TaskConfig(name="elsewhere.py:f", n_in=3, n_out=6, cardinality=9)
    assert longest_target(task, 3) == 6
    with pytest.raises(ConfigurationError, match="add --task elsewhere.py:f"):
        find_task(task)


def test_a_run_never_imports_its_task_by_itself(place):
    sizes = "--n-in 3 --cardinality 9 --units 8 --n-samples 640".split()
    run_s2s("train", "--task", "mine.py:doubled", *sizes, "-q", cwd=place)
    imported = (place / "imported").read_text()
    refused = run_s2s("evaluate", cwd=place, check=False)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "add --task mine.py:doubled" in refused.stderr
    assert len(run_s2s("predict", "1 2 3", cwd=place).stdout.split()) == 6
    run_s2s("inspect", cwd=place)
    run_s2s("runs", cwd=place)
    assert (place / "imported").read_text() == imported
    report = run_s2s("evaluate", "--task", "mine.py:doubled", "--json", cwd=place).stdout
    assert len(json.loads(report)["position_accuracy"]) == 6
    assert len((place / "imported").read_text()) == len(imported) + 1
