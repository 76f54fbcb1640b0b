from math import inf, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq_cli.metrics import Tally, matches, wilson_interval

steady = settings(derandomize=True, deadline=None, max_examples=150)


def ids(*rows):
    return np.array(rows, np.int32)


@st.composite
def proportions(draw):
    trials = draw(st.integers(1, 10**7))
    return draw(st.integers(0, trials)), trials


@st.composite
def padded_batches(draw):
    n, n_out = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    value = st.integers(1, 3)
    row = st.lists(value, min_size=n_out, max_size=n_out)
    predicted = draw(st.lists(row, min_size=n, max_size=n))
    targets = draw(st.lists(row, min_size=n, max_size=n))
    lengths = draw(st.lists(st.integers(1, n_out), min_size=n, max_size=n))
    lengths[0] = n_out
    for target, length in zip(targets, lengths, strict=True):
        target[length:] = [0] * (n_out - length)
    return predicted, targets


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (10_000, 10_000, 0.99961600, 1.0),
        (0, 10_000, 0.0, 0.00038400),
        (0, 10, 0.0, 0.27753279),
        (10, 10, 0.72246721, 1.0),
        (5, 10, 0.23659309, 0.76340691),
    ],
)
def test_wilson_interval_of_known_proportions(successes, trials, low, high):
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-8)


def test_wilson_interval_of_the_example_in_the_literature():
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_wilson_interval_without_trials_knows_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)


@steady
@given(proportions())
def test_wilson_interval_contains_the_share_and_stays_within_bounds(proportion):
    successes, trials = proportion
    low, high = wilson_interval(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1
    assert low < high


@steady
@given(proportions())
def test_wilson_interval_ends_solve_the_score_equation(proportion):
    successes, trials = proportion
    z = 1.959963984540054
    for end in wilson_interval(successes, trials):
        if 0 < end < 1:
            score = (successes / trials - end) ** 2
            assert score == pytest.approx(z * z * end * (1 - end) / trials, rel=1e-4)


@steady
@given(proportions())
def test_wilson_interval_of_the_failures_is_the_mirror(proportion):
    successes, trials = proportion
    low, high = wilson_interval(successes, trials)
    mirrored = wilson_interval(trials - successes, trials)
    assert (1 - high, 1 - low) == pytest.approx(mirrored, abs=1e-12)


def test_wilson_interval_grows_with_the_confidence_and_shrinks_with_trials():
    low, high = wilson_interval(50, 100)
    wider = wilson_interval(50, 100, z=2.576)
    narrower = wilson_interval(500, 1000)
    assert wider[0] < low < narrower[0] < narrower[1] < high < wider[1]


def test_match_demands_every_integer():
    predicted = ids([1, 2, 3], [1, 2, 4], [4, 2, 3])
    targets = ids([1, 2, 3], [1, 2, 3], [1, 2, 3])
    assert matches(predicted, targets).tolist() == [True, False, False]


def test_padding_of_the_target_is_not_demanded():
    assert matches(ids([1, 2, 7], [1, 7, 7]), ids([1, 2, 0], [1, 2, 0])).tolist() == [True, False]


def test_tally_of_a_known_batch():
    tally = Tally()
    tally.add(ids([1, 2, 3], [1, 9, 9], [5, 6, 7]), ids([1, 2, 3], [1, 2, 0], [9, 6, 7]), -4.0)
    assert tally.n_samples == 3
    assert tally.exact == 1
    assert tally.exact_match == pytest.approx(1 / 3)
    assert tally.token_accuracy == pytest.approx(6 / 8)
    assert tally.position_accuracy == pytest.approx([2 / 3, 2 / 3, 2 / 2])
    assert tally.loss == pytest.approx(4.0 / 8)
    assert tally.interval == wilson_interval(1, 3)


def test_padding_is_not_right_even_where_it_is_predicted():
    tally = Tally()
    tally.add(ids([1, 0], [1, 5]), ids([1, 0], [1, 2]), 0.0)
    assert tally.position_accuracy == [1.0, 0.0]
    assert tally.token_accuracy == pytest.approx(2 / 3)


@steady
@given(padded_batches())
def test_tally_counts_as_plain_loops_do(batch):
    predicted, targets = batch
    tally = Tally()
    tally.add(ids(*predicted), ids(*targets), -1.0)
    pairs = [
        [(p, t) for p, t in zip(*rows, strict=True) if t]
        for rows in zip(predicted, targets, strict=True)
    ]
    tokens = [p == t for row in pairs for p, t in row]
    assert tally.exact == sum(all(p == t for p, t in row) for row in pairs)
    assert tally.token_accuracy == pytest.approx(sum(tokens) / len(tokens))
    for position, share in enumerate(tally.position_accuracy):
        here = [row[position][0] == row[position][1] for row in pairs if len(row) > position]
        assert share == pytest.approx(sum(here) / len(here))


def test_batches_add_up_to_the_whole():
    generator = np.random.default_rng(0)
    predicted = generator.integers(1, 4, (50, 3), np.int32)
    targets = np.where(generator.random((50, 3)) < 0.8, predicted, predicted % 3 + 1)
    whole, parts = Tally(), Tally()
    whole.add(predicted, targets, -50.0)
    for start in range(0, 50, 20):
        rows = slice(start, start + 20)
        parts.add(predicted[rows], targets[rows], -float(len(targets[rows])))
    assert (parts.exact, parts.n_samples) == (whole.exact, whole.n_samples)
    assert parts.position_accuracy == whole.position_accuracy
    assert parts.loss == pytest.approx(whole.loss)
    assert 0 < whole.exact < 50


@pytest.mark.parametrize("longer_first", [True, False])
def test_batches_may_differ_in_length(longer_first):
    batches = [(ids([1, 2, 3]), ids([1, 2, 4]), -3.0), (ids([1]), ids([1]), -1.0)]
    tally = Tally()
    for batch in batches if longer_first else reversed(batches):
        tally.add(*batch)
    assert tally.position_accuracy == [1.0, 1.0, 0.0]
    assert tally.token_accuracy == 0.75
    assert tally.exact_match == 0.5
    assert tally.loss == 1.0


def test_loss_of_uniform_guesses_is_the_logarithm_of_their_number():
    tally = Tally()
    tally.add(ids([1, 2], [3, 4]), ids([1, 2], [3, 0]), 3 * log(1 / 50))
    assert tally.loss == pytest.approx(log(50))


def test_impossible_target_has_an_infinite_loss():
    tally = Tally()
    tally.add(ids([1]), ids([2]), -inf)
    assert tally.loss == inf


def test_tallies_do_not_share_their_counts():
    first, second = Tally(), Tally()
    first.add(ids([1]), ids([1]), 0.0)
    assert (second.n_samples, second.all.tolist()) == (0, [])


def test_no_token_no_accuracy():
    tally = Tally()
    tally.add(ids([1, 2, 3], [4, 5, 6]), ids([1, 9, 0], [4, 0, 0]), -3.0)
    assert tally.position_accuracy == [1.0, 0.0, None]
    assert tally.token_accuracy == pytest.approx(2 / 3)
    empty = Tally()
    assert (empty.token_accuracy, empty.loss, empty.position_accuracy) == (None, None, [])


def test_predictions_and_targets_may_differ_in_width():
    tally = Tally()
    # a longer prediction is wrong, and so is one that is too short
    tally.add(ids([1, 2, 0], [1, 2, 3]), ids([1, 2], [1, 2]), -1.0)
    assert tally.exact == 1
    tally.add(ids([1], [1]), ids([1, 0], [1, 2]), -1.0)
    assert tally.exact == 2
    assert tally.position_accuracy == [1.0, 2 / 3]
