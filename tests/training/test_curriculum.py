"""Lengths grown in stages: where they begin and end, and that a training follows them."""

import pytest
from tiny import assert_identical, tiny_config

from seq2seq_cli import train
from seq2seq_cli.config import RunConfig, Stage, TaskConfig, TrainingConfig
from seq2seq_cli.errors import Interrupted
from seq2seq_cli.training.curriculum import stages
from seq2seq_cli.training.events import Advanced, Compiling


def lengths(task, total, curriculum="auto"):
    config = RunConfig(task=task, training=TrainingConfig(curriculum=curriculum))
    return [(s.stop, s.task.n_in, s.task.n_out) for s in stages(config, total)]


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
    assert lengths(task, 25, own) == [(10, 5, 2), (25, 20, 8)]


def test_a_training_follows_its_curriculum_and_resumes_within_it(tmp_path):
    own = [{"n_in": 2, "n_out": 1, "steps": 15}, {"n_in": 3, "n_out": 2, "steps": 15}]
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
