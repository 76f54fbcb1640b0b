"""Batches of like length: the same rows in an epoch, few widths, whatever is asked for at once."""

import json
from itertools import combinations

import numpy as np
import pytest

from seq2seq_cli.config import RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.data import batches
from seq2seq_cli.data.batches import Batches, plan_widths
from seq2seq_cli.data.plan import prepare
from seq2seq_cli.data.sampling import Split
from seq2seq_cli.data.tasks import CustomTask
from seq2seq_cli.data.vocabulary import lengths, widen


def configured(task, **training):
    settings = {"n_samples": 6400, "batch_size": 16, "epochs": 2, "seed": 3} | training
    return RunConfig(task=TaskConfig(**task), training=TrainingConfig(**settings))


def steps_of(plan, sizes=(1,)):
    """Yield each step's batch, drawn by calls of these sizes in turn."""
    config = plan.config
    drawing = Batches(plan.stream, plan.widths, config)
    size, step, call = config.training.batch_size, 0, 0
    while step < config.training.total_steps:
        steps = min(sizes[call % len(sizes)], config.training.total_steps - step)
        sources, targets = drawing.draw(step, steps)
        for part in zip(np.split(sources, len(sources) // size),
                        np.split(targets, len(targets) // size), strict=True):  # fmt: skip
            yield part
            step += 1
        call += 1


def rows_of(parts, plan):
    """Return the pairs of some batches, in a canonical order."""
    longest = plan.widths[-1]
    pairs = [
        np.concatenate([widen(s, longest.n_in), widen(t, longest.n_out)], axis=1) for s, t in parts
    ]
    rows = np.concatenate(pairs)
    return rows[np.lexsort(rows.T)]


VARYING = {"name": "reverse", "n_in": "1-25", "cardinality": 30}


def test_an_epoch_has_the_rows_of_its_stream():
    plan = prepare(configured(VARYING))
    assert len(plan.widths) > 2
    steps = list(steps_of(plan))
    training = plan.config.training
    for epoch in range(2):
        mine = steps[epoch * training.epoch_steps :][: training.epoch_steps]
        n = training.epoch_steps * training.batch_size
        whole = plan.stream.draw(Split.TRAIN, epoch * n, n)
        np.testing.assert_array_equal(rows_of(mine, plan), rows_of([whole], plan))
    assert not np.array_equal(steps[0][0], plan.stream.draw(Split.TRAIN, 0, 16)[0])


def test_a_batch_is_no_wider_than_necessary():
    plan = prepare(configured(VARYING))
    columns = 0
    for sources, targets in steps_of(plan):
        width = (sources.shape[1], targets.shape[1])
        assert width in plan.widths
        needed = (lengths(sources).max(), lengths(targets).max())
        fitting = [w for w in plan.widths if w.n_in >= needed[0] and w.n_out >= needed[1]]
        assert width == fitting[0]
        columns += sum(width)
    assert columns < 0.7 * plan.config.training.total_steps * sum(plan.widths[-1])


def test_the_batch_of_a_step_does_not_depend_on_the_calls():
    plan = prepare(configured(VARYING))
    one_by_one = list(steps_of(plan))
    for sizes in ((7,), (100,), (1, 32, 5)):
        for mine, other in zip(one_by_one, steps_of(plan, sizes), strict=True):
            for ours, theirs in zip(mine, other, strict=True):
                np.testing.assert_array_equal(ours, theirs)
    other_seed = prepare(configured(VARYING, seed=4))
    assert any(
        not np.array_equal(mine[0], other[0])
        for mine, other in zip(one_by_one, steps_of(other_seed), strict=True)
    )


def test_a_single_long_source_widens_one_batch_an_epoch(tmp_path):
    generator = np.random.default_rng(0)
    pairs = [generator.integers(1, 20, generator.integers(1, 26)).tolist() for _ in range(2000)]
    pairs[1000] = generator.integers(1, 20, 2000).tolist()
    lines = [json.dumps({"source": source, "target": source[:3]}) for source in pairs]
    (tmp_path / "own.jsonl").write_text("\n".join(lines) + "\n")
    config = RunConfig(task=TaskConfig(data=str(tmp_path / "own.jsonl")))
    plan = prepare(config)
    assert plan.stream.length_counts()[0].max() == 2000  # it is not held out
    assert [width.n_in for width in plan.widths] == [25, 2000]
    wide = [sources.shape[1] for sources, _ in steps_of(plan)]
    assert sorted(wide) == [25] * (len(wide) - 1) + [2000]


@pytest.mark.parametrize(
    ("task", "training"),
    [
        ({"n_in": 6, "n_out": 3, "cardinality": 51}, {"n_samples": 10**7}),
        (VARYING, {"n_samples": 64}),  # a second program would take longer
    ],
)
def test_batches_are_not_sorted_where_it_does_not_pay(task, training):
    plan = prepare(configured(task, **training))
    assert len(plan.widths) == 1
    drawn = Batches(plan.stream, plan.widths, plan.config).draw(2, 3)
    for ours, theirs in zip(drawn, plan.stream.draw(Split.TRAIN, 32, 48), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("price", [1, 60, 400, 10**9])
def test_the_widths_are_the_best_ones(monkeypatch, price):
    monkeypatch.setattr(batches, "PROGRAM_COLUMNS", price)
    monkeypatch.setattr(batches, "MOST_WIDTHS", 4)
    plan = prepare(configured({"name": "reverse", "n_in": "3-11", "cardinality": 30}))
    steps = plan.config.training.total_steps

    def total(chosen):
        columns = [min(n for n in chosen if n >= length) * 2 + 1 for length in range(3, 12)]
        return np.mean(columns) * steps + price * len(chosen)

    every = [(*some, 11) for number in range(4) for some in combinations(range(3, 11), number)]
    widths = [width.n_in for width in plan_widths(plan.stream, plan.config)]
    assert total(widths) == pytest.approx(min(map(total, every)))
    assert len(widths) == {1: 4, 10**9: 1}.get(price, len(widths))


def test_a_custom_task_is_tried_once_per_length():
    tried = []

    def steps(sources, parameters):
        tried.append(sources.shape[1])
        return np.ones((len(sources), 3 if sources.shape[1] == 2 else 1), np.int32)

    task = CustomTask("steps", "", steps)
    assert task.target_lengths(1, [1, 4, 9], TaskConfig(cardinality=30)) == [1, 3, 3]
    assert tried == list(range(1, 10))


def test_the_targets_widths_are_those_of_all_sources_up_to_a_length(tmp_path):
    generator = np.random.default_rng(0)
    pairs = [generator.integers(1, 20, generator.integers(1, 9, 2).max()).tolist()
             for _ in range(200)]  # fmt: skip
    targets = [generator.integers(1, 20, generator.integers(1, 9)).tolist() for _ in pairs]
    lines = [json.dumps({"source": s, "target": t}) for s, t in zip(pairs, targets, strict=True)]
    (tmp_path / "own.jsonl").write_text("\n".join(lines) + "\n")
    stream = prepare(RunConfig(task=TaskConfig(data=str(tmp_path / "own.jsonl")))).stream
    sources, ended = stream.draw(Split.TRAIN, 0, stream.size(Split.TRAIN))
    counted, _ = stream.length_counts()
    expected = [lengths(ended[lengths(sources) <= n]).max() for n in counted]
    assert len(set(expected)) > 1
    np.testing.assert_array_equal(stream.target_columns(counted), expected)
