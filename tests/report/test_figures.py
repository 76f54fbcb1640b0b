"""The charts' data is what `evaluate --json` and the history say."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from random_run import load_random
from runs_to_see import record

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.data.vocabulary import PADDING, Vocabulary
from seq2seq_cli.evaluation import evaluate
from seq2seq_cli.generalization import evaluate_lengths
from seq2seq_cli.metrics import wilson_interval
from seq2seq_cli.report.figures import Observations, carried, learning_curve, shares
from seq2seq_cli.runs.history import Call


def observed(n_samples=1500, **task):
    config = RunConfig(task=TaskConfig(**task), model=ModelConfig(units=6))
    seen, batches = Observations(Vocabulary.of(config.task)), []

    def observe(*batch):
        seen.add(*batch)
        batches.append(batch)

    report = evaluate(load_random(config), n_samples, observe=observe)
    return report, seen, batches


@pytest.mark.parametrize(
    "task", [{"n_in": 3, "n_out": 2, "cardinality": 40}, {"name": "copy", "n_in": "1-4"}]
)
def test_shares_are_those_of_the_evaluation(task):
    report, seen, _ = observed(**task)
    positions, by_length = shares(seen.positions), shares(seen.lengths)
    assert list(positions.share) == report.position_accuracy
    assert dict(zip(by_length.at, by_length.share, strict=True)) == report.length_accuracy
    assert sum(by_length.n) == report.n_samples
    for found in (positions, by_length):
        for share, low, high, n in zip(found.share, found.low, found.high, found.n, strict=True):
            assert (low, high) == wilson_interval(round(share * n), n)
            assert low <= share <= high
    right = sum(share * n for share, n in zip(positions.share, positions.n, strict=True))
    assert right / sum(positions.n) == pytest.approx(report.token_accuracy)


def test_where_all_are_counted_a_share_is_exact():
    report, seen, _ = observed(n_in=2, n_out=1, cardinality=121)
    assert report.exact
    found = shares(seen.positions, report.exact)
    assert found.low == found.share == found.high
    assert shares({1: (0, 0)}).at == ()


def test_confusions_are_counted_token_by_token():
    report, seen, batches = observed(name="reverse", n_in="1-3", cardinality=7)
    expected = Counter()
    for _, targets, tokens in batches:
        for target, predicted in zip(targets.tolist(), tokens.tolist(), strict=True):
            predicted += [PADDING] * len(target)
            expected.update(
                (a, b) for a, b in zip(target, predicted, strict=False) if a != PADDING and a != b
            )
    found = seen.confusions(most=1000)
    names = {"end": 7, "nothing": PADDING}
    pairs = [
        tuple(names.get(token) or int(names.get(token, token)) for token in pair)
        for pair in zip(found.expected, found.predicted, strict=True)
    ]
    assert dict(zip(pairs, found.n, strict=True)) == expected
    assert list(found.n) == sorted(found.n, reverse=True)
    assert 1 - found.wrong / found.tokens == pytest.approx(report.token_accuracy)
    assert seen.confusions(3).n == found.n[:3]
    assert seen.confusions(3).wrong == found.wrong


def test_wrong_and_right_sequences_are_kept_apart():
    report, seen, _ = observed(name="copy", n_in="1-2", cardinality=5)
    assert len(seen.wrong) == min(10, round((1 - report.exact_match) * report.n_samples))
    assert all(example.target != example.predicted for example in seen.wrong)
    assert all(example.target == example.predicted for example in seen.right)
    assert set(map(str, report.examples)) <= set(map(str, [*seen.wrong, *seen.right]))
    assert seen.sources[: len(report.examples)] == [e.source for e in report.examples]


def test_a_curve_has_each_call_and_each_validation():
    training = TrainingConfig(batch_size=16, n_samples=160, epochs=2)
    calls = Call(4, 4, 3.0, 0.0, 0.01), Call(10, 6, 2.0, 0.25, 0.02)
    first = replace(record(1), n_samples=160, steps_done=10, calls=calls)
    second = replace(first, epoch=2, steps_done=20, calls=(Call(20, 10, 1.0, 0.5, 0.0),))
    curve = learning_curve("a", [first, second], training)
    assert curve.training.samples == (64, 160, 320)
    assert curve.training.loss == (3.0, 2.0, 1.0)
    assert curve.training.exact_match == (0.0, 0.25, 0.5)
    assert curve.training.learning_rate == (0.01, 0.02, 0.0)
    assert curve.held_out.samples == (160, 320)
    assert curve.held_out.loss == (1.25, 1.25)


def test_lengths_without_sources_are_left_out():
    config = RunConfig(task=TaskConfig(name="copy", n_in="1-3", cardinality=40))
    loaded = load_random(config.model_copy(update={"model": ModelConfig(units=4)}))
    curve = evaluate_lengths(loaded, [1, 2, 5], 50)
    found = carried(curve)
    there = [result for result in curve.lengths if result.exact_match is not None]
    assert list(found.at) == [result.length for result in there]
    assert list(found.share) == [result.exact_match for result in there]
    assert np.all(np.array(found.low) <= np.array(found.high))
