"""Sources that are not uniform: their form, their number, and the split among them."""

from itertools import product

import numpy as np
import pytest
from splits import held_out

from seq2seq_cli.config import Lengths, TaskConfig
from seq2seq_cli.data.sampling import SMALLEST_SPLIT_SPACE, SourceSpace, Split
from seq2seq_cli.data.tasks import TASKS

FORMS = {name: task.form for name, task in TASKS.items() if task.form}


def every(name, n_in, cardinality):
    """Return all sources of a length, by trying every row of ids."""
    rows = set()
    for row in product(range(1, cardinality), repeat=n_in):
        half, mask = n_in // 2, cardinality - 1
        if name == "associative-recall":
            is_one = row[-1] in row[:-1:2]
        else:
            first, second = row[:half], row[half:]
            pairs = [pair for pair in zip(first, second, strict=True) if mask in pair]
            others = [pair for pair in zip(first, second, strict=True) if mask not in pair]
            is_one = row.count(mask) == 1 and len(pairs) == 1 and all(a == b for a, b in others)
        if is_one:
            rows.add(row)
    return rows


SMALL = [
    ("associative-recall", 3, 4),
    ("associative-recall", 5, 5),
    ("associative-recall", 7, 3),
    ("missing-duplicate", 2, 9),
    ("missing-duplicate", 4, 7),
    ("missing-duplicate", 6, 4),
]


def keys(sources):
    return {tuple(value for value in row if value) for row in sources.tolist()}


@pytest.mark.parametrize(("name", "n_in", "cardinality"), SMALL)
def test_the_sources_are_all_of_the_form_each_once(name, n_in, cardinality):
    space = SourceSpace.of(TaskConfig(name=name, n_in=n_in, cardinality=cardinality))
    expected = every(name, n_in, cardinality)
    assert space.size == len(expected)
    listed = space.enumerate(Split.TEST)
    assert len(listed) == len(expected)
    assert keys(listed) == expected
    drawn = space.draw(Split.TRAIN, 0, 0, 40 * len(expected))
    assert keys(drawn) == expected


@pytest.mark.parametrize("name", FORMS)
def test_sources_of_several_lengths_are_those_of_each(name):
    shortest = FORMS[name].shortest
    task = TaskConfig(name=name, n_in=f"{shortest}-{shortest + 4}", cardinality=5)
    expected = set().union(*(every(name, n, 5) for n in range(shortest, shortest + 5, 2)))
    space = SourceSpace.of(task)
    assert space.size == len(expected)
    assert keys(space.enumerate(Split.TRAIN)) == expected
    lengths = (space.draw(Split.TRAIN, 0, 0, 9000) != 0).sum(axis=1)
    counts = np.unique(lengths, return_counts=True)
    assert counts[0].tolist() == [shortest, shortest + 2, shortest + 4]
    assert (abs(counts[1] - 3000) < 300).all()  # each about as often


@pytest.mark.parametrize(("name", "n_in"), [("associative-recall", 7), ("missing-duplicate", 8)])
def test_no_source_is_on_both_sides(name, n_in):
    """It is the source whose hash decides, not the integers that it is made of."""
    space = SourceSpace.of(TaskConfig(name=name, n_in=n_in, cardinality=8))
    assert space.size >= SMALLEST_SPLIT_SPACE
    drawn = {split: space.draw(split, 3, 0, 4000) for split in Split}
    assert not held_out(drawn[Split.TRAIN]).any()
    for split in (Split.VALIDATION, Split.TEST):
        assert held_out(drawn[split]).all()
        assert not keys(drawn[split]) & keys(drawn[Split.TRAIN])


def test_the_split_begins_where_there_are_enough_sources():
    sizes = {}
    for n_in in range(2, 14, 2):
        space = SourceSpace.of(TaskConfig(name="missing-duplicate", n_in=n_in, cardinality=6))
        sizes[n_in] = space.size
        assert space.is_split == (space.size >= SMALLEST_SPLIT_SPACE)
    assert sizes == {n: 4 ** (n // 2) * n for n in range(2, 14, 2)}


@pytest.mark.parametrize("name", FORMS)
def test_lengths_are_every_second_one(name):
    form = FORMS[name]
    shortest = form.shortest
    assert list(form.lengths(Lengths(1, shortest + 5))) == [shortest, shortest + 2, shortest + 4]
    assert list(form.lengths(Lengths(shortest + 1, shortest + 4))) == [shortest + 2, shortest + 4]
    assert [form.fit(shortest + n) for n in (-1, 0, 1, 2, 3)] == [
        shortest, shortest, shortest, shortest + 2, shortest + 2,
    ]  # fmt: skip
    assert form.problem(Lengths(shortest, shortest + 2)) == ""
    assert form.problem(Lengths(shortest, shortest + 1)) == ""
    assert "integers" in form.problem(Lengths(shortest + 1, shortest + 1))
    assert "integers" in form.problem(Lengths(shortest - 1, shortest - 1))


@pytest.mark.parametrize("name", FORMS)
def test_the_number_of_long_sources_is_computed_at_once(name):
    n_in = 2_000_000 + FORMS[name].shortest % 2
    assert SourceSpace.of(TaskConfig(name=name, n_in=n_in)).is_split
