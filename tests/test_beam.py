"""Beam search: as wide as the vocabulary allows it is exact, and at width 1 it is greedy."""

import itertools

import numpy as np
import pytest

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.inference.beam import beam_search
from seq2seq_cli.inference.decoding import greedy
from seq2seq_cli.inference.layers import LstmWeights, fold_ids, fold_lstm, log_softmax
from seq2seq_cli.inference.network import Attention, Decoder, Encoder, EncoderLayer, Network

SOURCES = np.array([[1, 2, 3], [3, 3, 1], [2, 0, 0]], np.int32)


def network(varies=False, attention=False, seed=0, units=5):
    task = TaskConfig(n_in="1-3" if varies else 3, n_out=2, cardinality=4)
    generator = np.random.default_rng(seed)

    def array(*shape):
        return generator.normal(0, 1.5, shape).astype(np.float32)

    def lstm(inputs):
        weights = LstmWeights(array(inputs, 4 * units), array(units, 4 * units), array(4 * units))
        return fold_ids(fold_lstm(weights))

    looks = Attention(array(units, units), array(2 * units, units), array(units))
    decoder = Decoder(
        [lstm(task.n_features)], looks if attention else None, array(units, task.n_features),
        array(task.n_features),
    )  # fmt: skip
    run = type("Run", (), {"config": RunConfig(task=task, model=ModelConfig(units=units))})()
    return Network(run, Encoder([EncoderLayer(lstm(4))], attention), decoder)


def all_targets(model, row, steps):
    """Return every target of a source with its log probability, by trying them all."""
    task = model.config.task
    found = {}
    for tokens in itertools.product(range(task.n_features), repeat=steps):
        states, outputs = model.encoder.encode(SOURCES[row : row + 1])
        memory = model.decoder.remember(outputs)
        last, total, target = 0, 0.0, []
        for token in tokens:
            logits, states, _ = model.decoder.step(np.array([last], np.int32), states, memory)
            total += float(log_softmax(logits)[0, token])
            target.append(token)
            last = token
            if task.varies and token == task.end:
                break
        target += [0] * (steps - len(target))
        found[tuple(target)] = total
    return sorted(found.items(), key=lambda item: -item[1])


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_a_beam_as_wide_as_there_are_targets_is_exhaustive(varies, attention, seed):
    model, steps = network(varies, attention, seed), 3
    width = model.config.task.n_features**steps
    found = beam_search(model, SOURCES, steps, beam=width, top=5)
    for row in range(len(SOURCES)):
        wanted = all_targets(model, row, steps)[:5]
        ours = zip(found.tokens[row].tolist(), found.log_probabilities[row], strict=True)
        for (tokens, score), (target, total) in zip(ours, wanted, strict=True):
            assert score == pytest.approx(total, abs=1e-4)
            assert tuple(tokens) == target


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize("attention", [False, True])
def test_beam_one_is_greedy(varies, attention):
    model = network(varies, attention)
    found = beam_search(model, SOURCES, 4, 1, attention=attention)
    decoded = greedy(model, SOURCES, 4, attention=attention)
    np.testing.assert_array_equal(found.tokens[:, 0], decoded.tokens)
    np.testing.assert_allclose(
        found.log_probabilities[:, 0], decoded.log_probabilities.sum(axis=1), atol=1e-5
    )
    if attention:
        for row, tokens in enumerate(decoded.tokens):
            n = len(np.trim_zeros(tokens, "b")) if varies else 4
            np.testing.assert_allclose(
                found.attention[row, 0, :n], decoded.attention[row, :n], atol=1e-6
            )


@pytest.mark.parametrize("beam", [2, 3, 7])
def test_candidates_differ_and_stand_in_order(beam):
    found = beam_search(network(True, True), SOURCES, 4, beam, beam)
    for tokens, scores in zip(found.tokens, found.log_probabilities, strict=True):
        assert (np.diff(scores) <= 0).all()
        assert len({tuple(row) for row in tokens.tolist()}) == beam
