"""Every task as a stream: at one length and at several, in stages, with ends and without."""

import hashlib

import numpy as np
import pytest
from conftest import run_s2s

from seq2seq_cli import memory
from seq2seq_cli.config import (
    Lengths,
    RunConfig,
    StageConfig,
    TaskConfig,
    TrainingConfig,
)
from seq2seq_cli.data.batches import Batches
from seq2seq_cli.data.plan import prepare
from seq2seq_cli.data.sampling import Split
from seq2seq_cli.data.tasks import TASKS, longest_target
from seq2seq_cli.data.vocabulary import Vocabulary, lengths
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.selection import select_generated

ODD = {"associative-recall"}
"""Tasks whose sources have odd lengths."""


def planned(name, n_in, training=None, **settings):
    task = TaskConfig(name=name, n_in=n_in, cardinality=61, **settings)
    return prepare(RunConfig(task=task, training=training or TrainingConfig()))


def check(stream, config):
    """Check sources, targets and ends of a stream's rows."""
    task, vocabulary = TASKS[config.name], Vocabulary.of(config)
    for split in Split:
        sources, ended = stream.draw(split, 0, 100)
        targets = vocabulary.without_end(ended)
        n_in, n_out = lengths(sources), lengths(targets)
        plain = task.targets(sources, config)
        width = min(plain.shape[1], targets.shape[1])
        assert (targets[:, :width] == plain[:, :width]).all()
        assert not targets[:, width:].any()
        assert not plain[:, width:].any()
        limits = [longest_target(config, n) for n in n_in.tolist()]
        assert (lengths(ended) <= limits).all()
        if config.has_end:
            assert ((ended == config.cardinality).sum(axis=1) == 1).all()
            assert (ended[np.arange(len(ended)), n_out] == config.cardinality).all()
        else:
            assert n_out.tolist() == limits


@pytest.mark.parametrize("name", TASKS)
def test_sources_of_one_length(name):
    n_in = 7 if name in ODD else 8
    plan = planned(name, n_in)
    config = plan.config.task
    assert config.has_end == TASKS[name].ends_early
    assert (config.k is None) == (TASKS[name].number is None)
    assert (config.digit_order is None) == (TASKS[name].digit_order is None)
    check(plan.stream, config)
    sources, _ = plan.stream.draw(Split.TRAIN, 0, 100)
    assert sources.shape == (100, n_in)
    again = prepare(RunConfig.model_validate(plan.config.model_dump()), resumed=True)
    assert again.config == plan.config


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("curriculum", ["", "auto", "own"])
def test_sources_of_several_lengths_and_in_stages(name, curriculum):
    first = 3 if name in ODD else 2
    n_in = f"{first}-{first + 48}"
    own = [StageConfig(n_in=f"{first}-{first + 4}", distinct=3, steps=9)]
    stages = own if curriculum == "own" else curriculum
    training = TrainingConfig(curriculum=stages, n_samples=64 * 64)
    plan = planned(name, n_in, training)
    config = plan.config.task
    assert config.has_end
    check(plan.stream, config)
    possible = set(range(first, first + 49, 2 if TASKS[name].shape else 1))
    assert set(lengths(plan.stream.draw(Split.TRAIN, 0, 2000)[0])) == possible
    assert set(plan.stream.length_counts()[0]) == possible
    for stage in plan.stages:
        check(stage.stream, config)
    batches = Batches(plan.stages[-1].stream, plan.widths, plan.config)
    sources, targets = batches.draw(plan.stages[-1].stop - 1, 1)
    assert (sources.shape[1], targets.shape[1]) in plan.widths


@pytest.mark.parametrize("name", TASKS)
def test_the_automatic_curriculum_of_one_length(name):
    n_in = 59 if name in ODD else 60
    plan = planned(name, n_in, TrainingConfig(curriculum="auto"))
    found = [stage.stream.longest for stage in plan.stages]
    assert found == ([15, 39, 59] if name in ODD else [16, 40, 60])
    for stage in plan.stages:
        check(stage.stream, plan.config.task)


def test_a_stage_without_sources_is_refused():
    for name, n_in, stage, named in (
        ("missing-duplicate", 8, {"n_in": 5}, "stage 0: n_in = 5: .* 2, 4, 6"),
        ("histogram", 8, {"n_in": 70}, "stage 0: n_in = 70: .* at most 60"),
    ):
        training = TrainingConfig(curriculum=[StageConfig(**stage, steps=1)])
        with pytest.raises(ConfigurationError, match=named):
            planned(name, n_in, training)


def test_an_evaluation_at_lengths_without_sources_is_refused():
    config = planned("missing-duplicate", 8).config
    assert select_generated(config, 20, None, 12).n_samples == 20
    with pytest.raises(ConfigurationError, match="n_in = 5: sources of this task have 2, 4, 6"):
        select_generated(config, 20, None, 5)
    with pytest.raises(ConfigurationError, match="n_in = 61: histogram counts up to .* 60"):
        select_generated(planned("histogram", 8).config, 20, None, 61)


def test_targets_too_long_to_be_drawn_are_refused(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 10**9)
    with pytest.raises(ConfigurationError, match="task.n_in = 50000000: 1,024 drawn sources"):
        planned("repeat-copy", 50_000_000, k=1000)
    with pytest.raises(ConfigurationError, match="task.n_in = 2000: their targets of 2,000,000"):
        planned("repeat-copy", 2000, k=1000)


STREAMS = [
    ({}, "1e5a4f5def8353c6"),
    ({"name": "copy", "n_in": "1-25"}, "6ab8d6eb3905e050"),
    ({"name": "sort", "n_in": 10}, "03f4c753ffe0be5b"),
    ({"name": "reverse", "n_in": 4, "cardinality": 11}, "0e8976db1ee1e909"),
]


@pytest.mark.parametrize(("settings", "digest"), STREAMS)
def test_streams_are_those_of_earlier_versions(settings, digest):
    """Or a training that was begun with one would not go on as it would have."""
    stream = prepare(RunConfig(task=TaskConfig(**settings))).stream
    stage = stream.stage(Lengths(5, 5), 3, 4)
    found = hashlib.sha256()
    for drawn in (stream, stage):
        for split in Split:
            for rows in drawn.draw(split, 40, 60):
                found.update(np.ascontiguousarray(rows).tobytes())
    assert found.hexdigest()[:16] == digest


def test_a_task_whose_targets_may_be_empty_is_trained_evaluated_and_predicted(tmp_path):
    sizes = "--task filter --n-in 2 --cardinality 5 --units 24 --n-samples 12800".split()
    run_s2s("train", *sizes, "-q", "--set", "training.learning_rate=0.02", cwd=tmp_path)
    assert "end_of_sequence = true" in next(tmp_path.rglob("config.toml")).read_text()
    table = run_s2s("evaluate", "--min-accuracy", "1", cwd=tmp_path).stdout
    assert "all of them" in table
    lines = run_s2s("predict", "4 1", "1 4", cwd=tmp_path).stdout.splitlines()
    assert lines == ["", "4"]
    best = run_s2s("predict", "4 1", "--beam", "3", "--top", "2", cwd=tmp_path).stdout
    assert best.splitlines()[0].endswith("\t")
    assert '"target": []' in run_s2s("predict", "4 1", "--json", cwd=tmp_path).stdout
    (tmp_path / "own.csv").write_text("4 1,\n")
    run_s2s("evaluate", "--data", "own.csv", "--min-accuracy", "1", cwd=tmp_path)
