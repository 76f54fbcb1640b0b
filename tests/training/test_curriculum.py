"""Lengths grown in stages: where they begin and end, and that a training follows them."""

import json

import numpy as np
import pytest
from tiny import assert_identical, tiny_config

from seq2seq_cli import train
from seq2seq_cli.config import ModelConfig, RunConfig, Stage, TaskConfig, TrainingConfig
from seq2seq_cli.errors import ConfigurationError, Interrupted
from seq2seq_cli.own_tasks import load_task
from seq2seq_cli.owndata import describe
from seq2seq_cli.sampling import Split, draw_pairs, held_out
from seq2seq_cli.streams import GeneratedStream, open_stream
from seq2seq_cli.training.curriculum import stages
from seq2seq_cli.training.events import Advanced, Compiling


def lengths(task, total, curriculum="auto"):
    return [(s.stop, s.task.n_in, s.task.n_out) for s in planned(task, total, curriculum)]


def planned(task, total, curriculum="auto"):
    training = TrainingConfig(curriculum=curriculum, n_samples=total, batch_size=1)
    return stages(RunConfig(task=task, training=training))


def test_the_automatic_curriculum_grows_to_the_full_length():
    task = TaskConfig(n_in=400, n_out=40)
    assert lengths(task, 1000) == [
        (200, 16, 8), (400, 40, 20), (600, 100, 40), (800, 250, 40), (1000, 400, 40),
    ]  # fmt: skip
    assert lengths(TaskConfig(), 1000) == [(1000, 6, 3)]
    varying = lengths(TaskConfig(name="copy", n_in="5-50"), 300)
    assert [n_in for _, n_in, _ in varying] == ["5-16", "5-40", "5-50"]
    assert lengths(task, 1000, "") == [(1000, 400, 40)]


def test_stages_of_ones_own_take_the_first_steps():
    own = [Stage(n_in=5, n_out=2, steps=10), Stage(n_in=9, steps=20)]
    task = TaskConfig(n_in=20, n_out=8)
    assert lengths(task, 100, own) == [(10, 5, 2), (30, 9, 8), (100, 20, 8)]
    short = [Stage(n_in=5, steps=10)]
    assert lengths(task, 100, short) == [(10, 5, 5), (100, 20, 8)]
    assert lengths(TaskConfig(name="sort", n_in=20), 100, short)[0] == (10, 5, 3)


def test_where_lengths_vary_they_do_in_each_stage():
    """So that targets end in each of them: the models are the same ones."""
    own = [Stage(n_in="2-5", steps=10), Stage(n_in=9, steps=10)]
    task = TaskConfig(name="copy", n_in="1-20")
    found = planned(task, 50, own)
    assert [stage.task.n_in for stage in found] == ["2-5", "9-9", "1-20"]
    assert {stage.task.n_features for stage in found} == {52}


@pytest.mark.parametrize(("own", "total", "named"), [
    ([Stage(n_in=5, n_out=6, steps=10)], 50, r"stage 0: task.n_out = 6: should be at most"),
    ([Stage(n_in=9, steps=10), Stage(n_in="5-9", steps=10)], 50, "stage 1: .* do not vary"),
    ([Stage(n_in=5, distinct=3, steps=10)], 50, "stage 0: distinct = 3: own data"),
    ([Stage(n_in=5, steps=30), Stage(n_in=9, steps=20)], 50, "stages take 50 steps .* has 50"),
])  # fmt: skip
def test_stages_that_do_not_fit_are_refused_before_anything_is_written(own, total, named, tmp_path):
    training = TrainingConfig(curriculum=own, n_samples=total * 64)
    data = "own.csv" if "own data" in named else ""
    config = RunConfig(task=TaskConfig(n_in=20, n_out=8, data=data), training=training)
    with pytest.raises(ConfigurationError, match=named):
        train(config, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_own_tasks_targets_are_tried_at_each_length(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def twice(sources):\n    return sources.repeat(2, axis=1)\n")
    load_task("mine.py:twice")
    task = TaskConfig(name="mine.py:twice", n_in="1-40", n_out=80)
    found = planned(task, 90)
    assert [(s.task.n_in, s.task.n_out) for s in found] == [("1-16", 32), ("1-40", 80)]
    for stage in found:
        sources, targets = draw_pairs(stage.task, Split.TRAIN, 0, 0, 9)
        assert (sources.shape[1], targets.shape[1]) == (stage.task.longest, stage.task.n_out + 1)


def test_own_pairs_are_taken_short_ones_first(tmp_path):
    lines = [
        json.dumps({"source": [1 + (i + j) % 9 for j in range(1 + i % 30)], "target": [1 + i % 9]})
        for i in range(900)
    ]
    (tmp_path / "own.jsonl").write_text("\n".join(lines))
    task = TaskConfig(data=str(tmp_path / "own.jsonl"))
    training = TrainingConfig(curriculum="auto", batch_size=32, n_samples=640)
    config, _ = describe(RunConfig(task=task, training=training), {"training.n_samples"})
    found = stages(config)
    assert [stage.task.n_in for stage in found] == ["1-16", "1-30"]
    stream = open_stream(config)
    short = stream.stage(found[0].task, 0)
    sources, _ = short.draw(Split.TRAIN, 0, 2000)
    assert sources.shape == (2000, 16)
    assert set((sources != 0).sum(axis=1)) == set(range(1, 17))
    held = stream.draw(Split.VALIDATION, 0, 60)[0]
    assert not (keys(np.pad(sources, ((0, 0), (0, 14)))) & keys(held))
    events = []
    model = ModelConfig(units=4)
    train(config.model_copy(update={"model": model}), tmp_path, progress=events.append)
    assert sum(isinstance(event, Compiling) for event in events) == 2


def keys(sources):
    return {tuple(row) for row in sources.tolist()}


def test_a_stage_of_few_distinct_integers_repeats_them():
    stage = GeneratedStream(TaskConfig(n_in=40, n_out=8), 0).stage(TaskConfig(n_in=40), 5)
    sources, targets = stage.draw(Split.TRAIN, 0, 3000)
    np.testing.assert_array_equal(targets, sources[:, :3][:, ::-1])
    counts = [len(set(row)) for row in sources.tolist()]
    assert max(counts) == 5
    assert min(counts) >= 2
    assert set(sources.ravel().tolist()) == set(range(1, 51))
    assert not held_out(sources).any()
    np.testing.assert_array_equal(stage.draw(Split.TRAIN, 1500, 9)[0], sources[1500:1509])
    with pytest.raises(ValueError, match="should be 0, or at least 2"):
        Stage(n_in=5, distinct=1, steps=1)


def test_a_training_follows_its_curriculum_and_resumes_within_it(tmp_path):
    own = [{"n_in": 2, "n_out": 1, "steps": 15}, {"n_in": 3, "distinct": 4, "steps": 15}]
    config = tiny_config(epochs=2, curriculum=own)
    events = []
    run = train(config, tmp_path, "whole", progress=events.append)
    assert run.config.training.curriculum[0].steps == 15
    assert sum(isinstance(event, Compiling) for event in events) == 3
    calls = [event.n_samples for event in events if isinstance(event, Advanced)]
    assert 15 * 16 in [sum(calls[:n]) for n in range(len(calls))]

    def stop(event, seen=[]):  # noqa: B006
        seen.append(isinstance(event, Compiling))
        if sum(seen) == 2 and isinstance(event, Advanced):
            raise Interrupted("interrupted")

    with pytest.raises(Interrupted):
        train(config, tmp_path, "part", progress=stop)
    train(config, tmp_path, "part", resume=True)
    assert_identical(tmp_path / "part", run.path)
