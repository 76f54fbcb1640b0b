import inspect
import re
from collections import Counter
from itertools import accumulate, groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq_cli.config import Lengths, TaskConfig
from seq2seq_cli.data.tasks import TASKS, Level, find_task, ignored_settings, problems
from seq2seq_cli.data.vocabulary import unpad
from seq2seq_cli.errors import ConfigurationError


def number(digits, base):
    return sum((digit - 1) * base**exponent for exponent, digit in enumerate(reversed(digits)))


def add(source, p):
    half = (len(source) + 1) // 2
    parts, big = (source[:half], source[half:]), p.digit_order == "big-endian"
    total = sum(number(part if big else part[::-1], p.n_values) for part in parts)
    digits = [total // p.n_values**exponent % p.n_values + 1 for exponent in range(half + 1)]
    return digits[::-1] if big else digits


def pairs_swapped(source):
    pairs = [source[i : i + 2] for i in range(0, len(source), 2)]
    return [value for pair in pairs for value in (pair[::-1] if len(pair) == 2 else pair)]


def runs(source, longest):
    values = []
    for value, run in groupby(source):
        left = len(list(run))
        while left:
            values += [value, min(left, longest)]
            left -= values[-1]
    return values


def copy_beside(source):
    position = source.index(max(source))
    half = len(source) // 2
    return [
        (source[:half] + source[half:])[position - half if position >= half else position + half]
    ]


PLAIN = {
    "reverse-prefix": lambda source, p: list(reversed(source[: p.n_out])),
    "reverse": lambda source, p: list(reversed(source)),
    "copy": lambda source, p: list(source),
    "sort": lambda source, p: sorted(source),
    "duplicate": lambda source, p: source + source,
    "repeat-copy": lambda source, p: source * p.k,
    "odds-first": lambda source, p: source[0::2] + source[1::2],
    "rotate": lambda source, p: source[p.k % len(source) :] + source[: p.k % len(source)],
    "swap-pairs": lambda source, p: pairs_swapped(source),
    "shift-values": lambda source, p: [
        value + p.k if value + p.k <= p.n_values else value + p.k - p.n_values for value in source
    ],
    "prefix-sum": lambda source, p: [
        total % p.n_values + 1 for total in accumulate(value - 1 for value in source)
    ],
    "running-max": lambda source, p: list(accumulate(source, max)),
    "histogram": lambda source, p: [source.count(value) for value in source],
    "mode": lambda source, p: [min(Counter(source).items(), key=lambda it: (-it[1], it[0]))[0]],
    "addition": add,
    "modular-addition": lambda source, p: [sum(value - 1 for value in source) % p.n_values + 1],
    "parity": lambda source, p: [1 + len([value for value in source if value % 2 == 0]) % 2],
    "unique": lambda source, p: list(dict.fromkeys(source)),
    "filter": lambda source, p: [value for value in source if value > source[0]],
    "selective-copy": lambda source, p: [value for value in source if value > p.k],
    "run-length": lambda source, p: runs(source, p.n_values),
    "associative-recall": lambda source, p: [
        dict(zip(source[:-1:2], source[1::2], strict=True))[source[-1]]
    ],
    "missing-duplicate": lambda source, p: copy_beside(source),
}
"""Each task again, independently, for one source as a list."""

EXAMPLE = re.compile(r"^ +(\d[\d ]*?) -> ?([\d ]*?)(?:  \((\w+) = ([\w-]+)\))?$", re.MULTILINE)


def shaped(name, source, position, cardinality):
    """Return a source of the form that the task has, from any one."""
    if name == "associative-recall":
        pairs = (source * 3)[: max(2, len(source) // 2 * 2)]
        return [*pairs, pairs[position % (len(pairs) // 2) * 2]]
    if name == "missing-duplicate":
        row = [min(value, cardinality - 2) for value in source] * 2
        row[position % len(row)] = cardinality - 1
        return row
    return source


@st.composite
def configured(draw, name):
    """Draw a task's settings, and sources of one length for it."""
    task = TASKS[name]
    n_in = draw(st.integers(1, 8))
    cardinality = draw(st.integers(max(task.least_cardinality, n_in + 1 if task.counts else 2), 31))
    source = st.lists(st.integers(1, cardinality - 1), min_size=n_in, max_size=n_in)
    sources = draw(st.lists(source, min_size=1, max_size=6))
    sources = [shaped(name, row, draw(st.integers(0, 99)), cardinality) for row in sources]
    options = {}
    if task.number:
        most = task.number.maximum(cardinality - 1)
        options["k"] = draw(st.none() | st.integers(1, min(most, 12)))
    if task.digit_order:
        options["digit_order"] = draw(st.sampled_from([None, "big-endian", "little-endian"]))
    n_in = len(sources[0])
    n_out = draw(st.integers(1, n_in))
    return TaskConfig(
        name=name, n_in=n_in, n_out=n_out, cardinality=cardinality, **options
    ), sources


def test_every_task_of_the_registry_is_stated_here_and_named_by_its_key():
    assert set(TASKS) == set(PLAIN)
    assert all(task.name == name and task.summary for name, task in TASKS.items())
    assert {task.level for task in TASKS.values()} == set(Level)


@pytest.mark.parametrize("name", TASKS)
@settings(derandomize=True, deadline=None, max_examples=60)
@given(data=st.data())
def test_targets_are_those_of_the_plain_statement(name, data):
    config, sources = data.draw(configured(name))
    task = find_task(config)
    array = np.array(sources, np.int32)
    targets = task.targets(array, config)
    parameters = task.parameters(config)
    expected = [PLAIN[name](source, parameters) for source in sources]
    assert list(unpad(targets)) == expected
    assert array.tolist() == sources
    assert targets.dtype == np.int32
    assert targets.flags.c_contiguous
    assert targets.max(initial=1) < config.cardinality
    assert targets.shape[1] == task.target_length(Lengths.parse(len(sources[0])), config)
    if not task.ends_early:
        assert (targets > 0).all()


@pytest.mark.parametrize("name", TASKS)
@settings(derandomize=True, deadline=None, max_examples=15)
@given(data=st.data())
def test_sources_of_several_lengths_have_the_targets_that_each_has_alone(name, data):
    """Padding changes no target, and counts in none."""
    config, first = data.draw(configured(name))
    alike = {"k": config.k, "digit_order": config.digit_order, "cardinality": config.cardinality}
    second = [shaped(name, row, 1, config.cardinality) for row in ([1, 1, 1], [1] * 5, [1])]
    if TASKS[name].counts:
        second = [row[: config.cardinality - 1] for row in second]
    sources = first + second
    longest = max(map(len, sources))
    config = config.model_copy(update={"n_in": f"1-{longest}" if longest > 1 else 1} | alike)
    padded = np.array([row + [0] * (longest - len(row)) for row in sources], np.int32)
    parameters = TASKS[name].parameters(config)
    targets = list(unpad(TASKS[name].targets(padded, config)))
    assert targets == [PLAIN[name](row, parameters) for row in sources]


@pytest.mark.parametrize("name", TASKS)
def test_the_examples_of_a_docstring_are_true(name):
    """There are two at least, and the docstring names who has written of the task."""
    task = TASKS[name]
    examples = EXAMPLE.findall(inspect.getdoc(task.function))
    assert len(examples) >= 2
    assert re.search(r"(19|20)\d\d", task.function.__doc__)
    for source, target, key, value in examples:
        options = {key: int(value) if value.isdigit() else value} if key else {}
        config = TaskConfig(name=name, **{"cardinality": 11, "n_in": len(source.split())} | options)
        ids = np.array([source.split()], np.int32)
        (predicted,) = unpad(task.targets(ids, config))
        assert predicted == [int(value) for value in target.split()], (source, target)
        assert PLAIN[name](ids[0].tolist(), task.parameters(config)) == predicted


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
    n_in = 5 if name == "associative-recall" else 4
    right = TASKS[name].target_length(Lengths(n_in, n_in), TaskConfig(name=name))
    (line,) = ignored_settings(TaskConfig(name=name, n_in=n_in, n_out=right + 2))
    assert f"task.n_out = {right + 2}: the targets of" in line
    assert re.search(rf" {right} integers?: remove it", line)
    assert problems(TaskConfig(name=name, n_in=n_in, n_out=2)) == []  # a saved run's still opens
    assert ignored_settings(TaskConfig(name=name, n_in=n_in, n_out=right)) == []
    assert ignored_settings(TaskConfig(name=name, n_in=n_in)) == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (
            {"name": "copy", "k": 2},
            "task.k = 2: it has no effect, since only repeat-copy, rotate.* take it",
        ),
        (
            {"name": "sort", "digit_order": "big-endian"},
            "digit_order = .*only addition takes it: remove it",
        ),
        ({"name": "mine.py:f", "k": 2}, "task.k = 2: it has no effect"),
        ({"data": "pairs.csv", "k": 2}, "task.k = 2: it has no effect"),
    ],
)
def test_a_setting_of_other_tasks_is_refused_by_name(options, named):
    (line,) = ignored_settings(TaskConfig(**options))
    assert re.search(named, line)
    config = TaskConfig(**options)
    assert problems(config) == []  # a saved run's still opens


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"name": "shift-values", "k": 50}, "task.k = 50: shift-values takes 1 to 49"),
        ({"name": "shift-values", "cardinality": 2}, "task.cardinality = 2: .* at least 3"),
        ({"name": "selective-copy", "k": 51}, "task.k = 51: selective-copy takes 1 to 49"),
        ({"name": "repeat-copy", "k": 1001}, "task.k = 1001: repeat-copy takes 1 to 1,000"),
        ({"name": "parity", "cardinality": 2}, "task.cardinality = 2: parity needs at least 3"),
        ({"name": "addition", "cardinality": 2}, "task.cardinality = 2: addition needs"),
        ({"name": "histogram", "n_in": 8, "cardinality": 8}, "task.n_in = 8: .* at most 7"),
        ({"name": "histogram", "n_in": "2-51"}, "task.n_in = '2-51': .* at most 50"),
        ({"name": "missing-duplicate", "n_in": 7}, "task.n_in = 7: .* 2, 4, 6... integers"),
        ({"name": "associative-recall", "n_in": 1}, "task.n_in = 1: .* 3, 5, 7... integers"),
        ({"name": "unique", "end_of_sequence": False}, "task.end_of_sequence = false: some"),
    ],
)
def test_settings_that_a_task_cannot_have_are_refused_with_the_remedy(options, named):
    (line,) = problems(TaskConfig(**options))
    assert re.search(named, line)
    with pytest.raises(ConfigurationError, match=named):
        find_task(TaskConfig(**options))


@pytest.mark.parametrize("name", TASKS)
def test_the_defaults_of_a_tasks_settings_are_allowed_at_every_cardinality(name):
    task = TASKS[name]
    n_in = {"associative-recall": 3, "missing-duplicate": 2}.get(name, 1)
    for cardinality in range(2, 9):
        config = TaskConfig(name=name, n_in=n_in, n_out=1, cardinality=cardinality)
        is_allowed = cardinality >= task.least_cardinality
        assert bool(problems(config)) != is_allowed
        if is_allowed:
            assert problems(task.settle(config)) == []


def test_an_unknown_task_is_refused_with_the_known_ones():
    (line,) = problems(TaskConfig(name="xyzzy"))
    assert line.startswith("task.name = 'xyzzy': ")
    assert all(name in line for name in TASKS)
    with pytest.raises(ConfigurationError, match=r"task\.name = 'revrse'.*did you mean reverse\?"):
        find_task(TaskConfig(name="revrse"))
