"""A run's charts show what it predicts, and what it computes when it predicts."""

from collections import Counter

import numpy as np
import pytest
from random_run import load_random

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.data.vocabulary import PADDING, START
from seq2seq_cli.evaluation import Example, evaluate
from seq2seq_cli.prediction import encode, predict
from seq2seq_cli.reports import run as report_run
from seq2seq_cli.reports.run import (
    SAMPLES_EACH,
    RunCharts,
    attention,
    decoder_states,
    encoder_states,
    principal_components,
    separation,
)


def random_weights(task=None, **model):
    task = {"name": "copy", "n_in": "1-9", "cardinality": 23} | (task or {})
    settings = ModelConfig.model_validate({"units": 12} | model)
    return load_random(RunConfig(task=TaskConfig.model_validate(task), model=settings))


def example_of(run, source):
    return Example(source, source, predict(run, [source])[0].target)


def values_of(chart):
    return np.array([row[1:] for row in chart.rows])


def test_confusions_are_counted_token_by_token(monkeypatch):
    monkeypatch.setattr("seq2seq_cli.reports.data.MOST_CONFUSIONS", 1000)
    run, expected = random_weights({"name": "reverse", "n_in": "1-3", "cardinality": 7}), Counter()

    def observe(_, targets, tokens):
        for target, predicted in zip(targets.tolist(), tokens.tolist(), strict=True):
            predicted += [PADDING] * len(target)
            expected.update(
                (a, b) for a, b in zip(target, predicted, strict=False) if a != PADDING and a != b
            )

    evaluation = evaluate(run, 1500, observe=observe)
    (chart,) = RunCharts(run, 1500).charts("confusions")
    names = {7: "end", PADDING: "nothing"}
    assert {tuple(pair): times for *pair, times in chart.rows} == {
        (names.get(a, str(a)), names.get(b, str(b))): times for (a, b), times in expected.items()
    }
    assert [row[2] for row in chart.rows] == sorted(expected.values(), reverse=True)
    n_tokens, n_wrong = evaluation.tally.all.sum(), expected.total()
    assert chart.text.startswith(f"{n_wrong:,} of {n_tokens:,} tokens are wrong")


def test_wrong_sequences_are_kept_and_shown_first():
    run = RunCharts(random_weights({"n_in": "1-2", "cardinality": 5}))
    tally = run.evaluation.tally
    assert len(run.wrong) == min(10, tally.n_samples - tally.exact) > 0
    assert all(example.target != example.predicted for example in run.wrong)
    first = {tuple(e.source) for e in run.evaluation.examples if e.target != e.predicted}
    assert first <= {tuple(example.source) for example in run.wrong}
    titles = [chart.title for chart in run.charts("decoder-states")]
    assert titles == sorted(titles, key=lambda title: "wrong" not in title)


def test_only_the_requested_chart_is_computed(monkeypatch):
    monkeypatch.setattr(report_run, "evaluate", None)
    (chart,) = RunCharts(random_weights(), lengths="2-4", n_each=20).charts("generalization")
    assert [row[0] for row in chart.rows] == [2, 3, 4]


def test_many_sequences_of_the_run_are_few_of_each_other_length():
    """A page of 10,000 sequences would take minutes with 10,000 of each length."""
    (chart,) = RunCharts(random_weights(), n_samples=2000).charts("generalization")
    assert max(row["sequences"] for row in chart.data) == SAMPLES_EACH


def test_attention_is_that_of_the_prediction_and_long_sequences_share_cells(monkeypatch):
    run, source = random_weights(attention="dot"), [3, 9, 14, 22, 7]
    (prediction,) = predict(run, [source], attention=True)
    whole = np.array(prediction.attention)
    chart = attention(run, example_of(run, source))
    np.testing.assert_allclose(values_of(chart), whole, atol=1e-4)
    assert chart.columns == ("predicted by source", "1:3", "2:9", "3:14", "4:22", "5:7")
    assert chart.text.endswith("A wrong token is marked with !.")
    for (label, *_), (i, token) in zip(chart.rows, enumerate(prediction.target), strict=True):
        assert label == f"{i + 1}:{token}{'!' * (source[i : i + 1] != [token])}"
    right = attention(run, Example(source, prediction.target, prediction.target))
    assert "!" not in f"{right.rows}{right.text}"
    monkeypatch.setattr(report_run, "MOST_CELLS", 3)
    chart = attention(run, example_of(run, source))
    assert chart.columns[1:] == ("1-2", "3-4", "5-5")
    size = -(-len(whole) // 3)
    for i, line in enumerate(values_of(chart)):
        for j, value in enumerate(line):
            block = whole[i * size : (i + 1) * size, j * 2 : (j + 1) * 2]
            assert value == pytest.approx(block.max(), abs=1e-4)


def test_the_title_of_a_sequence_says_whether_it_is_right_only_if_that_is_known():
    run, sequence = random_weights(attention="dot"), [3, 9, 14]
    (chart,) = RunCharts(run, sequence=sequence).charts("attention")
    right = predict(run, sequence)[0].target == sequence
    assert chart.title == f"Attention, {'right' if right else 'wrong'}: 3 9 14"
    run = random_weights({"name": "some.py:function"}, attention="dot")
    (chart,) = RunCharts(run, sequence=sequence).charts("attention")
    assert chart.title == "Attention, 3 9 14"


@pytest.mark.parametrize("model", [{}, {"layers": 2, "embedding": 5}, {"bidirectional": True}])
def test_decoder_states_are_those_step_by_step(model, monkeypatch):
    run, source = random_weights(**model), [3, 9, 14, 22]
    example = example_of(run, source)
    chart = decoder_states(run, example)
    state, _ = run.encoder.encode(np.array([source], np.int32))
    tokens, hidden = [START, *example.predicted], []
    for token in tokens:
        step = run.decoder.step(np.array([token], np.int32), state)
        state = step.states
        hidden.append(state[-1].hidden[0])
    steps = len(chart.columns) - 1
    for i, token in enumerate(example.predicted):
        assert chart.columns[i + 1] == f"{i + 1}:{token}{'!' * (source[i : i + 1] != [token])}"
    assert steps in (len(example.predicted), len(tokens))
    expected = np.array(hidden).T[:, :steps]
    units = [int(row[0]) - 1 for row in chart.rows]
    assert units == sorted(units)
    np.testing.assert_allclose(values_of(chart), expected[units], atol=1e-4)
    monkeypatch.setattr(report_run, "MOST_UNITS", 4)
    spread = np.ptp(expected, axis=1)
    kept = [int(row[0]) - 1 for row in decoder_states(run, example).rows]
    assert len(kept) == 4
    assert min(spread[kept]) >= max(np.delete(spread, kept)) - 1e-6


def test_components_are_those_of_the_covariance():
    generator = np.random.default_rng(1)
    values = (generator.normal(size=(200, 6)) * [5, 3, 1, 1, 1, 1]).astype(np.float32)
    projected, explained = principal_components(values)
    variances, axes = np.linalg.eigh(np.cov(values.T))
    np.testing.assert_allclose(np.var(projected, axis=0, ddof=1), variances[:-3:-1], rtol=1e-3)
    np.testing.assert_allclose(explained, variances[:-3:-1] / variances.sum(), rtol=1e-3)
    for number in range(2):
        axis = axes[:, -1 - number]
        expected = (values - values.mean(axis=0)) @ axis * np.sign(axis[np.abs(axis).argmax()])
        np.testing.assert_allclose(projected[:, number], expected, atol=1e-3)
    projected, explained = principal_components(np.ones((1, 4), np.float32))
    assert (projected.tolist(), explained) == ([[0, 0]], [0, 0])
    projected, explained = principal_components(np.array([[1.0], [3.0]], np.float32))
    assert (projected.tolist(), explained) == ([[-1, 0], [1, 0]], [1, 0])


@pytest.mark.parametrize("colour", ["first token", "last token", "length"])
def test_encoder_states_are_coloured_by_what_tells_them_apart(colour, monkeypatch):
    generator = np.random.default_rng(0)
    lengths = generator.integers(2, 6, 60)
    sources = [generator.integers(1, 6, length).tolist() for length in lengths]
    values = {
        "first token": [source[0] for source in sources],
        "last token": [source[-1] for source in sources],
        "length": lengths.tolist(),
    }[colour]
    hidden = np.array([[value * 1.0, value % 2, 0] for value in values], np.float32)
    monkeypatch.setattr(report_run, "encode_arrays", lambda *_: (hidden[:, None], None))
    chart = encoder_states(None, sources)
    assert chart.columns[0] == colour
    assert [row[0] for row in chart.rows] == values
    assert f"coloured by the source's {colour}" in chart.text


def test_separation_is_zero_by_chance_and_one_between_equal_points():
    points = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    many = np.random.default_rng(1).integers(0, 100, 400).tolist()
    assert abs(separation(points, many)) < 0.1
    assert separation(np.repeat(points[:4], 5, axis=0), np.repeat(range(4), 5)) == pytest.approx(1)
    assert separation(points, [1] * 400) == separation(points, range(400)) == 0
    assert separation(points[:1], [1]) == separation(np.zeros((4, 2)), [1, 1, 2, 2]) == 0


def test_encoder_states_are_those_of_the_model():
    run, sources = random_weights(layers=2), [[3, 9], [14], [22, 7, 8], [1, 1, 1, 1]]
    chart = encoder_states(run, sources)
    hidden = np.array([one.hidden[-1] for one in encode(run, sources)], np.float32)
    expected, _ = principal_components(hidden)
    np.testing.assert_allclose(values_of(chart), expected, atol=1e-4)
