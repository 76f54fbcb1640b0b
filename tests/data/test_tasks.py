import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq_cli.config import Lengths, TaskConfig
from seq2seq_cli.data.tasks import TASKS, find_task, ignored_settings, problems
from seq2seq_cli.errors import ConfigurationError

PLAIN = {
    "reverse-prefix": lambda source, n_out: list(reversed(source[:n_out])),
    "reverse": lambda source, n_out: list(reversed(source)),
    "copy": lambda source, n_out: list(source),
    "sort": lambda source, n_out: sorted(source),
}
"""Each task again, independently, for one source as a list."""

KNOWN = {
    "reverse-prefix": [2, 9, 4],
    "reverse": [7, 4, 2, 9, 4],
    "copy": [4, 9, 2, 4, 7],
    "sort": [2, 4, 4, 7, 9],
}
"""The target of 4 9 2 4 7, with n_out = 3."""


@st.composite
def problems_to_solve(draw):
    n_in = draw(st.integers(1, 8))
    n_out = draw(st.integers(1, n_in))
    source = st.lists(st.integers(1, 30), min_size=n_in, max_size=n_in)
    return draw(st.lists(source, min_size=1, max_size=6)), n_out


def test_every_task_of_the_registry_is_stated_here_and_named_by_its_key():
    assert set(TASKS) == set(PLAIN) == set(KNOWN)
    assert all(task.name == name and task.summary for name, task in TASKS.items())


@pytest.mark.parametrize("name", TASKS)
@settings(derandomize=True, deadline=None, max_examples=40)
@given(example=problems_to_solve())
def test_targets_are_those_of_the_plain_statement(name, example):
    sources, n_out = example
    array = np.array(sources, np.int32)
    targets = TASKS[name].targets(array, n_out, 31)
    assert targets.tolist() == [PLAIN[name](source, n_out) for source in sources]
    assert array.tolist() == sources
    assert targets.dtype == np.int32
    assert targets.flags.c_contiguous
    assert targets.shape[1] == TASKS[name].target_length(Lengths.parse(len(sources[0])), n_out, 31)


@pytest.mark.parametrize(("name", "target"), KNOWN.items())
def test_target_of_a_known_source(name, target):
    assert TASKS[name].targets(np.array([[4, 9, 2, 4, 7]], np.int32), 3, 31).tolist() == [target]


@pytest.mark.parametrize("name", TASKS)
def test_targets_change_with_n_out_exactly_where_the_task_takes_it(name):
    lengths = {TASKS[name].target_length(Lengths(6, 6), n_out, 51) for n_out in (1, 3, 6)}
    assert lengths == ({1, 3, 6} if TASKS[name].takes_n_out else {6})


@pytest.mark.parametrize("name", TASKS)
def test_find_task_returns_the_configured_one(name):
    assert find_task(TaskConfig(name=name)) is TASKS[name]


def test_prefix_of_the_whole_source_is_allowed_and_a_longer_one_is_not():
    assert problems(TaskConfig(n_in=4, n_out=4)) == []
    wrong = TaskConfig(n_in=4, n_out=5)
    (line,) = problems(wrong)
    assert "task.n_out = 5" in line
    assert "task.n_in" in line
    assert "4" in line
    with pytest.raises(ConfigurationError, match=r"task\.n_out = 5"):
        find_task(wrong)


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if not task.takes_n_out])
def test_an_n_out_of_no_effect_is_refused_and_one_that_is_right_is_not(name):
    (line,) = ignored_settings(TaskConfig(name=name, n_in=4, n_out=2))
    assert "task.n_out = 2: the targets of" in line
    assert problems(TaskConfig(name=name, n_in=4, n_out=2)) == []  # a saved run's still opens
    assert ignored_settings(TaskConfig(name=name, n_in=4, n_out=4)) == []
    assert ignored_settings(TaskConfig(name=name, n_in=4)) == []


def test_misspelled_task_is_told_the_close_one():
    with pytest.raises(ConfigurationError, match=r"task\.name = 'revrse'.*did you mean reverse\?"):
        find_task(TaskConfig(name="revrse"))


def test_unknown_task_is_told_all_there_are():
    (line,) = problems(TaskConfig(name="xyzzy"))
    assert "task.name = 'xyzzy'" in line
    assert all(name in line for name in TASKS)


def test_tasks_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TASKS["copy"].name = "other"
