"""Greedy decoding: targets change no token, and their likelihoods are returned too."""

from dataclasses import replace

import numpy as np
import pytest
from random_run import load_random

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.data.vocabulary import PADDING, shift_right
from seq2seq_cli.inference.beam import beam_search
from seq2seq_cli.inference.greedy import greedy
from seq2seq_cli.inference.layers import log_softmax

LIMIT = 6


def loaded(varies, **model):
    task = TaskConfig(name="reverse", n_in="2-7" if varies else 5, cardinality=9)
    run = load_random(RunConfig(task=task, model=ModelConfig(units=8, **model)), seed=3)
    if varies:
        run.decoder.bias[-1] += 3  # so that some targets end within their limit
    return run


def draw(run, n=40):
    generator = np.random.default_rng(5)
    shortest, longest = run.config.task.lengths
    sources = generator.integers(1, 9, (n, longest), np.int32)
    sources[np.arange(longest) >= generator.integers(shortest, longest + 1, n)[:, None]] = PADDING
    return sources


def forced_likelihoods(run, sources, targets):
    """Return the targets' log-likelihoods, computed step by step."""
    states, outputs = run.encoder.encode(sources)
    memory, likelihoods = run.decoder.remember(outputs, sources, np.full(len(sources), LIMIT)), []
    for t, (fed, tokens) in enumerate(zip(shift_right(targets).T, targets.T, strict=True)):
        logits, states, _ = run.decoder.step(fed, states, memory, t)
        likelihoods.append(log_softmax(logits)[np.arange(len(tokens)), tokens])
    return np.stack(likelihoods, 1)


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize(
    "model", [{}, {"layers": 2}, {"attention": "dot"},
              {"attention": "dot", "bidirectional": True, "embedding": 3}]
)  # fmt: skip
def test_targets_do_not_influence_the_tokens(varies, model):
    run = loaded(varies, **model)
    sources = draw(run)
    alone = greedy(run, sources, LIMIT)
    assert not varies or alone.finished.sum() > 3
    some_wrong = alone.tokens.copy()
    some_wrong[::3, 1] = some_wrong[::3, 1] % 8 + 1
    shorter, longer = alone.tokens[:, :3].copy(), np.pad(alone.tokens, ((0, 0), (0, 2)))
    longer[::4, LIMIT:] = 2
    for targets in (alone.tokens, some_wrong, shorter, longer):
        result = greedy(run, sources, LIMIT, targets)
        np.testing.assert_array_equal(result.tokens, alone.tokens)
        np.testing.assert_array_equal(result.finished, alone.finished)
        np.testing.assert_allclose(result.log_probabilities, alone.log_probabilities, atol=1e-5)
        real = targets != PADDING
        np.testing.assert_allclose(
            result.likelihoods[real], forced_likelihoods(run, sources, targets)[real], atol=1e-5
        )


def test_right_rows_are_not_decoded_step_by_step(monkeypatch):
    run = loaded(True, attention="dot")
    sources = draw(run)
    alone, decoder = greedy(run, sources, LIMIT), type(run.decoder)
    rows = np.flatnonzero(alone.finished)
    assert len(rows) > 3
    batches, step = [], decoder.step
    monkeypatch.setattr(
        decoder, "step", lambda self, t, *rest: batches.append(len(t)) or step(self, t, *rest)
    )  # fmt: skip
    targets = alone.tokens[rows]
    greedy(run, sources[rows], LIMIT, targets)
    assert batches == []
    targets[1, 0] = targets[1, 0] % 8 + 1
    greedy(run, sources[rows], LIMIT, targets)
    assert set(batches) == {1}


@pytest.mark.parametrize("beam", [0, 1, 3])
def test_rows_that_have_ended_are_dropped(monkeypatch, beam):
    run = loaded(True, attention="dot")
    sources = draw(run, 400)
    limits = np.full(400, 2)
    limits[7] = 60  # a runaway
    run.decoder.bias[-1] = -20
    decoder, batches = type(run.decoder), []
    step = decoder.step
    monkeypatch.setattr(
        decoder, "step", lambda self, t, *rest: batches.append(len(t)) or step(self, t, *rest)
    )  # fmt: skip
    decode = (lambda *a, **k: beam_search(*a, beam, **k)) if beam else greedy
    together = decode(run, sources, limits, attention=True)
    assert batches == [400 * max(1, beam)] * 2 + [max(1, beam)] * 58
    alone = decode(run, sources[7:8], 60, attention=True)
    np.testing.assert_array_equal(together.tokens[7], alone.tokens[0])
    np.testing.assert_allclose(together.attention[7], alone.attention[0], atol=1e-6)
    others = decode(run, sources[:7], 2)
    np.testing.assert_array_equal(together.tokens[:7, ..., :2], others.tokens)
    assert not together.tokens[:7, ..., 2:].any()


def test_weights_of_attention_are_those_without_targets():
    run = loaded(True, attention="dot")
    sources = draw(run)
    alone = greedy(run, sources, LIMIT, attention=True)
    result = greedy(run, sources, LIMIT, alone.tokens, attention=True)
    np.testing.assert_allclose(result.attention, alone.attention, atol=1e-6)
    assert not result.attention[:, 0][sources == PADDING].any()
    # The rest of a weight is before and after the source.
    sums = result.attention.sum(axis=2)[:, 0]
    assert (sums <= 1 + 1e-5).all()
    assert sums.min() < 0.99
    by_content = loaded(True, attention="dot", attention_radius=0)
    sums = greedy(by_content, sources, LIMIT, attention=True).attention.sum(axis=2)[:, 0]
    np.testing.assert_allclose(sums, 1, atol=1e-5)


@pytest.mark.parametrize("fixed", [False, True])
def test_a_row_has_the_same_targets_next_to_rows_of_other_lengths(fixed):
    """Positions are those of each source and target, whatever it is padded to."""
    model = ModelConfig(units=6, attention="dot", bidirectional=True)
    run = load_random(RunConfig(task=TaskConfig(n_in="1-6", n_out=3, cardinality=9), model=model))
    if fixed:
        run = replace(run, decoder=replace(run.decoder, target_length=3))
    sources, limits = draw(run), np.arange(40) % LIMIT + 1
    together = greedy(run, sources, limits, attention=True)
    for row in range(5):
        source = sources[row : row + 1, : np.count_nonzero(sources[row])]
        alone = greedy(run, source, limits[row : row + 1], attention=True)
        n_out, n_in = alone.attention.shape[1:]
        np.testing.assert_array_equal(together.tokens[row, :n_out], alone.tokens[0])
        np.testing.assert_allclose(
            together.attention[row, :n_out, :n_in], alone.attention[0], atol=1e-5
        )
