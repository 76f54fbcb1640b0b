"""The steps on a page are those of the model when it decodes freely."""

import numpy as np
import pytest
from random_run import load_random

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.data.vocabulary import START, one_hot_encode
from seq2seq_cli.evaluation import Example
from seq2seq_cli.inference.greedy import predict_sequence
from seq2seq_cli.prediction import encode, predict
from seq2seq_cli.reports import steps as report_steps
from seq2seq_cli.reports.run import RunCharts
from seq2seq_cli.reports.steps import decoder_steps, probability

SOURCE = [3, 9, 14, 22, 7, 7]


def random_weights(task=None, **model):
    task = {"name": "copy", "n_in": 6, "n_out": 6, "cardinality": 23} | (task or {})
    settings = ModelConfig.model_validate({"units": 12} | model)
    return load_random(RunConfig(task=TaskConfig.model_validate(task), model=settings))


def steps_of(run, source=SOURCE, target=SOURCE):
    return decoder_steps(run, Example(source, target, []))


@pytest.mark.parametrize("model", [{}, {"attention": "dot"}, {"layers": 2, "bidirectional": True}])
def test_steps_are_those_of_the_tutorials_prediction(model):
    run = random_weights(**model)
    shown = steps_of(run)
    steps, n = shown["steps"], len(SOURCE)
    source = one_hot_encode([SOURCE], 23)
    probabilities = predict_sequence(run.encoder, run.decoder, source, n, 23)
    (predicted,) = predict(run, [SOURCE], attention=True)
    assert (shown["source"], shown["first"], shown["n"], len(steps)) == (SOURCE, 1, n, n)
    assert [step["chosen"] for step in steps] == list(map(str, predicted.target))
    assert [step["read"] for step in steps] == ["start", *map(str, predicted.target[:-1])]
    assert [step["expected"] for step in steps] == list(map(str, SOURCE))
    for t, step in enumerate(steps):
        best = np.argsort(-probabilities[t])[:5].tolist()
        best += [SOURCE[t]] * (SOURCE[t] not in best)
        names = [str(token) if token != START else "start" for token in best]
        assert step["ranked"] == [
            [name, probability(probabilities[t, token])]
            for name, token in zip(names, best, strict=True)
        ]
        if "attention" in model:
            weights = predicted.attention[t]
            assert [i for i, _ in step["attention"]] == [
                i for i, weight in enumerate(weights) if weight >= 0.01
            ]
            for i, share in step["attention"]:
                assert share == probability(weights[i], digits=0)


def test_without_attention_a_step_has_the_units_that_changed_most():
    run = random_weights()
    states = run.encoder.encode(np.array([SOURCE], np.int32))[0]
    np.testing.assert_allclose(states[-1].hidden[0], encode(run, [SOURCE])[0].hidden[-1])
    token = START
    for step in steps_of(run)["steps"]:
        before = states[-1].hidden[0]
        states = run.decoder.step(np.array([token], np.int32), states).states
        after = states[-1].hidden[0]
        most = np.argsort(-np.abs(after - before))[:5]
        assert [unit for unit, *_ in step["units"]] == (most + 1).tolist()
        for unit, old, new in step["units"]:
            assert (old, new) == pytest.approx((before[unit - 1], after[unit - 1]), abs=0.0051)
        token = int(step["chosen"])


def test_the_end_of_a_sequence_is_a_step():
    run = random_weights({"n_in": "1-9", "end_of_sequence": True})
    steps = steps_of(run, target=[5])["steps"]
    (predicted,) = predict(run, [SOURCE])
    tokens = [*map(str, predicted.target), *["end"] * predicted.finished]
    assert [step["chosen"] for step in steps] == tokens
    assert [step["expected"] for step in steps][:3] == ["5", "end", "nothing"][: len(steps)]
    for step in steps[:2]:
        assert step["expected"] in dict(step["ranked"])


@pytest.mark.parametrize(("wrong", "first"), [(0, 1), (3, 3), (5, 4)])
def test_long_targets_have_the_steps_around_the_first_wrong_token(wrong, first, monkeypatch):
    monkeypatch.setattr(report_steps, "MOST_STEPS", 3)
    run = random_weights()
    (predicted,) = predict(run, [SOURCE])
    target = [*predicted.target]
    target[wrong] = 22 if target[wrong] != 22 else 21
    shown = steps_of(run, target=target)
    assert (shown["first"], len(shown["steps"]), shown["n"]) == (first, 3, 6)
    wrong_steps = [step["chosen"] != step["expected"] for step in shown["steps"]]
    assert wrong_steps.index(True) == wrong + 1 - first
    assert sum(wrong_steps) == 1


def test_probabilities_are_never_none_or_all():
    shares = (0.0, 0.00009, 0.5, 0.9999, 0.99995, 1.0)
    shown = ["<0.01%", "<0.01%", "50.00%", "99.99%", ">99.99%", ">99.99%"]
    assert list(map(probability, shares)) == shown
    assert [probability(share, 0) for share in (0.001, 0.015, 0.98, 0.999)] == [
        "<1%", "2%", "98%", ">99%",
    ]  # fmt: skip


def test_wrong_predictions_are_stepped_through_first():
    charts = RunCharts(random_weights({"n_in": "1-2", "cardinality": 5}))
    titles = [sequence["title"] for sequence in charts.steps()]
    assert len(titles) == 4
    assert titles[0].startswith("wrong: ")
    assert titles == sorted(titles, key=lambda title: "wrong" not in title)
