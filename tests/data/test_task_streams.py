"""Every task as a stream: at one length and at several, with ends and without."""

import hashlib

import numpy as np
import pytest

from seq2seq_cli import resources
from seq2seq_cli.config import RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.data.batches import Batches
from seq2seq_cli.data.plan import prepare
from seq2seq_cli.data.sampling import Split
from seq2seq_cli.data.tasks import TASKS, longest_target
from seq2seq_cli.data.vocabulary import Vocabulary, lengths
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.evaluation_data import held_out_sequences

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
def test_sources_of_several_lengths(name):
    first = 3 if name in ODD else 2
    training = TrainingConfig(n_samples=64 * 64)
    plan = planned(name, f"{first}-{first + 48}", training)
    config = plan.config.task
    assert config.has_end
    check(plan.stream, config)
    possible = set(range(first, first + 49, 2 if TASKS[name].form else 1))
    assert set(lengths(plan.stream.draw(Split.TRAIN, 0, 2000)[0])) == possible
    assert set(plan.stream.length_counts()[0]) == possible
    batches = Batches(plan.stream, plan.widths, plan.config)
    sources, targets = batches.draw(training.total_steps - 1, 1)
    assert (sources.shape[1], targets.shape[1]) in plan.widths


def test_an_evaluation_at_lengths_without_sources_is_refused():
    config = planned("missing-duplicate", 8).config
    assert held_out_sequences(config, 20, None, 12).n_samples == 20
    with pytest.raises(ConfigurationError, match="n_in = 5: sources of this task have 2, 4, 6"):
        held_out_sequences(config, 20, None, 5)
    with pytest.raises(ConfigurationError, match="n_in = 61: histogram counts up to .* 60"):
        held_out_sequences(planned("histogram", 8).config, 20, None, 61)


def test_targets_too_long_to_be_drawn_are_refused(monkeypatch):
    monkeypatch.setattr(resources, "available_memory", lambda: 10**9)
    with pytest.raises(ConfigurationError, match="task.n_in = 50000000: 1,024 drawn sources"):
        planned("repeat-copy", 50_000_000, k=1000)
    with pytest.raises(ConfigurationError, match="task.n_in = 2000: their targets of 2,000,000"):
        planned("repeat-copy", 2000, k=1000)


STREAMS = [
    ({}, "38c9f6d9e5621cf2"),
    ({"name": "copy", "n_in": "1-25"}, "eccfbb2b068a843c"),
    ({"name": "sort", "n_in": 10}, "3410040736239c06"),
    ({"name": "reverse", "n_in": 4, "cardinality": 11}, "45b2bc1cdf7f83f1"),
]


@pytest.mark.parametrize(("settings", "digest"), STREAMS)
def test_streams_are_those_of_earlier_versions(settings, digest):
    """Otherwise a stopped training would resume with other sequences."""
    stream = prepare(RunConfig(task=TaskConfig(**settings))).stream
    digester = hashlib.sha256()
    for split in Split:
        for rows in stream.draw(split, 40, 60):
            digester.update(np.ascontiguousarray(rows).tobytes())
    assert digester.hexdigest()[:16] == digest


def test_empty_targets_are_trained_evaluated_and_predicted(tmp_path, s2s_here):
    sizes = "--task filter --n-in 2 --cardinality 5 --units 24 --n-samples 12800".split()
    s2s_here("train", *sizes, "-q", "--set", "training.learning_rate=0.02")
    assert "end_of_sequence = true" in next(tmp_path.rglob("config.toml")).read_text()
    assert "all 16 sequences" in s2s_here("evaluate", "--min-accuracy", "1").stdout
    assert s2s_here("predict", "4 1", "1 4").stdout.splitlines() == ["", "4"]
    best = s2s_here("predict", "4 1", "--beam", "3", "--top", "2").stdout
    assert best.splitlines()[0].endswith("\t")
    assert '"target": []' in s2s_here("predict", "4 1", "--json").stdout
    (tmp_path / "pairs.csv").write_text("4 1,\n")
    s2s_here("evaluate", "--data", "pairs.csv", "--min-accuracy", "1")
