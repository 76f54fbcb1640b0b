"""Beam search is exact if it is wide enough, and greedy at width 1."""

import itertools

import numpy as np
import pytest

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.data.vocabulary import Vocabulary, one_hot_encode
from seq2seq_cli.inference.beam import beam_search, largest
from seq2seq_cli.inference.greedy import greedy, predict_sequence
from seq2seq_cli.inference.layers import LstmWeights, fold_ids, fold_lstm, log_softmax
from seq2seq_cli.inference.network import Attention, Decoder, Encoder, EncoderLayer, LoadedRun
from seq2seq_cli.prediction import predict

SOURCES = np.array([[1, 2, 3], [3, 3, 1], [2, 0, 0]], np.int32)


def network(varies=False, attention=False, seed=0, units=5):
    task = TaskConfig(n_in="1-3" if varies else 3, n_out=2, cardinality=4)
    generator = np.random.default_rng(seed)

    def array(*shape):
        return generator.normal(0, 1.5, shape).astype(np.float32)

    def lstm(inputs):
        weights = LstmWeights(array(inputs, 4 * units), array(units, 4 * units), array(4 * units))
        return fold_ids(fold_lstm(weights))

    looks = Attention(array(units, units), array(2 * units, units), array(units), array(4, 5) / 20)
    features = Vocabulary.of(task).n_features
    decoder = Decoder(
        [lstm(features)], looks if attention else None, array(units, features), array(features),
        None if varies else task.n_out,
    )  # fmt: skip
    run = type("Run", (), {"config": RunConfig(task=task, model=ModelConfig(units=units))})()
    return LoadedRun(run, Encoder([EncoderLayer(lstm(4))], attention), decoder)


def all_targets(model, row, steps):
    """Return every target of a source with its log probability, by trying them all."""
    vocabulary, totals = Vocabulary.of(model.config.task), {}
    for tokens in itertools.product(range(1, vocabulary.n_features), repeat=steps):
        states, outputs = model.encoder.encode(SOURCES[row : row + 1])
        memory = model.decoder.remember(outputs, None, np.array([steps]))
        last, total, target = 0, 0.0, []
        for t, token in enumerate(tokens):
            logits, states, _ = model.decoder.step(np.array([last], np.int32), states, memory, t)
            total += float(log_softmax(logits)[0, token])
            target.append(token)
            last = token
            if token == vocabulary.end:
                break
        target += [0] * (steps - len(target))
        totals[tuple(target)] = total
    cut = {target: vocabulary.has_end and vocabulary.end not in target for target in totals}
    return sorted(totals.items(), key=lambda item: (cut[item[0]], -item[1]))


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_a_beam_as_wide_as_the_number_of_targets_is_exhaustive(varies, attention, seed):
    model, steps = network(varies, attention, seed), 3
    width = Vocabulary.of(model.config.task).n_features ** steps
    result = beam_search(model, SOURCES, steps, beam=width, top=5)
    for row in range(len(SOURCES)):
        expected = all_targets(model, row, steps)[:5]
        ours = zip(result.tokens[row].tolist(), result.log_probabilities[row], strict=True)
        for (tokens, score), (target, total) in zip(ours, expected, strict=True):
            assert score == pytest.approx(total, abs=1e-4)
            assert tuple(tokens) == target


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize("attention", [False, True])
def test_beam_one_is_greedy(varies, attention):
    model = network(varies, attention)
    result = beam_search(model, SOURCES, 4, 1, attention=attention)
    decoded = greedy(model, SOURCES, 4, attention=attention)
    np.testing.assert_array_equal(result.tokens[:, 0], decoded.tokens)
    np.testing.assert_allclose(
        result.log_probabilities[:, 0], decoded.log_probabilities.sum(axis=1), atol=1e-5
    )
    if attention:
        for row, tokens in enumerate(decoded.tokens):
            n = np.count_nonzero(tokens)
            np.testing.assert_allclose(
                result.attention[row, 0, :n], decoded.attention[row, :n], atol=1e-6
            )


@pytest.mark.parametrize("beam", [2, 3, 7])
@pytest.mark.parametrize("seed", range(4))
def test_candidates_differ_and_finished_ones_come_first(beam, seed):
    result = beam_search(network(True, True, seed), SOURCES, 4, beam, beam)
    end = 4
    for tokens, scores, finished in zip(
        result.tokens, result.log_probabilities, result.finished, strict=True
    ):
        real = np.isfinite(scores)
        assert finished.tolist() == sorted(finished, reverse=True)
        assert (finished[real] == (tokens[real] == end).any(axis=1)).all()
        for group in (finished, real & ~finished):
            assert (np.diff(scores[group]) <= 0).all()
        assert len({tuple(row) for row in tokens[real].tolist()}) == real.sum()


def biased(varies=True, **biases):
    """Return a network whose output bias makes some ids likely, whatever the source."""
    model = network(varies)
    model.decoder.bias[:] = 0
    model.decoder.kernel[:] *= 0.01
    for name, value in biases.items():
        model.decoder.bias[int(name[2:])] = value
    return model


@pytest.mark.parametrize("varies", [False, True])
def test_id_0_is_never_chosen(varies):
    model = biased(varies, id0=20, id2=10)
    decoded = greedy(model, SOURCES, 3)
    assert decoded.tokens.tolist() == [[2, 2, 2]] * 3
    # Its probability is the model's own: little, since id 0 has nearly all.
    assert (decoded.log_probabilities < -8).all()
    result = beam_search(model, SOURCES, 3, 4, 4)
    assert (result.tokens[:, 0] == 2).all() or varies
    assert len({tuple(row) for row in result.tokens[0].tolist()}) == 4
    one = one_hot_encode([[1, 2, 3]], 4)
    features = Vocabulary.of(model.config.task).n_features
    fed = []
    step = model.decoder

    def decoder(inputs):
        fed.append(int(inputs[0].argmax()))
        return step(inputs)

    predict_sequence(model.encoder, decoder, one, 3, features)
    assert fed == [0, 2, 2]


@pytest.mark.parametrize("decode", [greedy, lambda *arguments: beam_search(*arguments, 3)])
@pytest.mark.parametrize("varies", [False, True])
def test_each_row_is_decoded_up_to_its_limit(decode, varies):
    model = biased(varies, id2=9, id4=-20) if varies else biased(varies, id2=9)
    result = decode(model, SOURCES, np.array([3, 1, 2]))
    tokens = result.tokens.reshape(3, 3)
    assert tokens.tolist() == [[2, 2, 2], [2, 0, 0], [2, 2, 0]]
    assert result.finished.ravel().tolist() == [not varies] * 3
    for row, limit in enumerate([3, 1, 2]):
        alone = decode(model, SOURCES[row : row + 1], limit)
        assert alone.tokens.reshape(-1).tolist() == tokens[row, :limit].tolist()
        assert alone.log_probabilities.sum() == pytest.approx(
            result.log_probabilities[row].sum(), abs=1e-5
        )


def test_a_target_that_ends_is_finished_and_a_cut_one_is_not():
    ending, going = biased(id4=9), biased(id1=9)
    assert greedy(ending, SOURCES, 3).finished.all()
    predictions = predict(ending, [[1, 2]]) + predict(going, [[1, 2]])
    assert [(p.target, p.finished) for p in predictions] == [([], True), ([1, 1, 1], False)]
    best = predict(going, [[1, 2]], beam=6, top=6)
    assert [p.finished for p in best] == sorted((p.finished for p in best), reverse=True)
    assert len({tuple(p.target) for p in best}) == len(best)


def test_likelihoods_are_those_of_teacher_forcing_whatever_is_predicted():
    model = biased(id1=2, id4=1)
    targets = np.array([[3, 2, 4], [1, 4, 0], [2, 1, 4]], np.int32)
    result = greedy(model, SOURCES, [2, 4, 1], targets)
    for row, target in enumerate(targets):
        states, _ = model.encoder.encode(SOURCES[row : row + 1])
        last = 0
        for t, token in enumerate(target[target != 0].tolist()):
            logits, states, _ = model.decoder.step(np.array([last], np.int32), states)
            last = token
            assert result.likelihoods[row, t] == pytest.approx(
                log_softmax(logits)[0, token], abs=1e-5
            )


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_the_largest_are_those_of_a_stable_sort(k):
    generator = np.random.default_rng(0)
    for values in (generator.normal(size=(40, 9)), generator.integers(0, 3, (40, 9))):
        values = values.astype(np.float32)
        values[generator.random(values.shape) < 0.5] = -np.inf
        expected = np.argsort(-values, axis=1, kind="stable")[:, :k]
        np.testing.assert_array_equal(largest(values, k), expected)
