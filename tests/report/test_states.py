"""What is seen of a model inside is what it computes when it predicts."""

import numpy as np
import pytest
from random_run import load_random

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.data.vocabulary import START
from seq2seq_cli.evaluation import Example
from seq2seq_cli.prediction import encode, predict
from seq2seq_cli.report import states
from seq2seq_cli.report.states import (
    attention_map,
    decoder_map,
    encoder_components,
    principal_components,
)


def loaded(attention="none", **model):
    task = TaskConfig(name="copy", n_in="1-9", cardinality=23)
    settings = {"units": 12, "attention": attention} | model
    return load_random(RunConfig(task=task, model=ModelConfig.model_validate(settings)))


def example_of(run, source):
    return Example(source, source, predict(run, [source])[0].target)


def test_attention_is_that_of_the_prediction():
    run, source = loaded("dot"), [3, 9, 14, 22, 7]
    (prediction,) = predict(run, [source], attention=True)
    found = attention_map(run, example_of(run, source))
    np.testing.assert_array_equal(found.values, np.array(prediction.attention, np.float32))
    assert found.columns == ("1: 3", "2: 9", "3: 14", "4: 22", "5: 7")
    assert [label.split()[1] for label in found.rows] == list(map(str, prediction.target))


def test_of_many_tokens_some_stand_together(monkeypatch):
    monkeypatch.setattr(states, "MOST_CELLS", 3)
    run, source = loaded("dot"), [3, 9, 14, 22, 7]
    (prediction,) = predict(run, [source], attention=True)
    found, whole = attention_map(run, example_of(run, source)), np.array(prediction.attention)
    rows, columns = found.size
    assert columns == 2
    assert found.columns == ("1-2", "3-4", "5-5")
    for i, line in enumerate(found.values):
        for j, value in enumerate(line):
            block = whole[i * rows : (i + 1) * rows, j * columns : (j + 1) * columns]
            assert value == pytest.approx(block.max())


@pytest.mark.parametrize("model", [{}, {"layers": 2, "embedding": 5}, {"bidirectional": True}])
def test_decoder_states_are_those_step_by_step(model):
    run, source = loaded(**model), [3, 9, 14, 22]
    example = example_of(run, source)
    found = decoder_map(run, example, most_units=24)
    state, _ = run.encoder.encode(np.array([source], np.int32))
    tokens, hidden = [START, *example.predicted], []
    for token in tokens:
        step = run.decoder.step(np.array([token], np.int32), state)
        state = step.states
        hidden.append(state[-1].hidden[0])
    expected = np.array(hidden).T
    units = [int(unit) - 1 for unit in found.rows]
    assert units == sorted(units)
    steps = len(found.columns)
    assert steps in (len(example.predicted), len(tokens))
    np.testing.assert_allclose(found.values, expected[units][:, :steps], atol=1e-5)
    fewer = decoder_map(run, example, most_units=4)
    spread = np.ptp(expected[:, :steps], axis=1)
    kept = {int(unit) - 1 for unit in fewer.rows}
    assert min(spread[list(kept)]) >= max(spread[list(set(range(len(spread))) - kept)]) - 1e-6


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


def test_too_few_states_have_fewer_components():
    projected, explained = principal_components(np.ones((1, 4), np.float32))
    assert projected.tolist() == [[0, 0]]
    assert explained == (0, 0)
    projected, explained = principal_components(np.array([[1.0], [3.0]], np.float32))
    assert projected.tolist() == [[-1, 0], [1, 0]]
    assert explained == (1, 0)


def test_encoder_states_are_coloured_by_the_first_token():
    run, sources = loaded(layers=2), [[3, 9], [14], [22, 7, 8], [1, 1, 1, 1]]
    found = encoder_components(run, sources)
    assert found.first == (3, 14, 22, 1)
    hidden = np.array([one.hidden[-1] for one in encode(run, sources)], np.float32)
    expected, _ = principal_components(hidden)
    np.testing.assert_allclose(np.transpose([found.x, found.y]), expected, atol=1e-5)
