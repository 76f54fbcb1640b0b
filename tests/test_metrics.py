"""Intervals of shares, and the counts of right tokens and sequences."""

from math import inf, log
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq_cli.metrics import (
    Tally,
    difference,
    difference_text,
    figure,
    lengths_text,
    matches,
    percent,
    percent_range,
    wilson_interval,
)

ENDS = ("exact_match_low", "exact_match_high")

steady = settings(derandomize=True, deadline=None, max_examples=150)


def ids(*rows):
    return np.array(rows, np.int32)


def tally_of(predicted, targets, log_likelihood=-1.0):
    tally = Tally()
    tally.add(ids(*predicted), ids(*targets), log_likelihood)
    return tally


@st.composite
def proportions(draw):
    trials = draw(st.integers(1, 10**7))
    return draw(st.integers(0, trials)), trials


@st.composite
def padded_batches(draw):
    n, n_out = draw(st.integers(1, 6)), draw(st.integers(1, 4))
    row = st.lists(st.integers(1, 3), min_size=n_out, max_size=n_out)
    predicted = draw(st.lists(row, min_size=n, max_size=n))
    targets = draw(st.lists(row, min_size=n, max_size=n))
    lengths = draw(st.lists(st.integers(1, n_out), min_size=n, max_size=n))
    lengths[0] = n_out
    for target, length in zip(targets, lengths, strict=True):
        target[length:] = [0] * (n_out - length)
    return predicted, targets


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high", "tolerance"),
    [
        (10_000, 10_000, 0.99961600, 1.0, 5e-8),
        (0, 10_000, 0.0, 0.00038400, 5e-8),
        (10, 10, 0.72246721, 1.0, 5e-8),
        (5, 10, 0.23659309, 0.76340691, 5e-8),
        # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I
        (81, 263, 0.2553, 0.3662, 5e-5),
        (0, 0, 0.0, 1.0, 0),
    ],
)
def test_wilson_interval_of_known_proportions(successes, trials, low, high, tolerance):
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=tolerance)


@pytest.mark.parametrize(
    ("ours", "theirs", "low", "high"),
    [
        # Newcombe 1998, "Interval estimation for the difference between independent proportions",
        # table II, method 10
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_differences_have_the_published_intervals(ours, theirs, low, high):
    first, second = (
        SimpleNamespace(
            exact_match=right / n, **dict(zip(ENDS, wilson_interval(right, n), strict=True))
        )
        for right, n in (ours, theirs)
    )
    above = difference(first, second)
    assert above == pytest.approx((ours[0] / ours[1] - theirs[0] / theirs[1], low, high), abs=5e-5)
    assert difference(second, first) == pytest.approx([-above[0], -above[2], -above[1]])


@pytest.mark.parametrize(
    ("above", "texts"),
    [
        ((0.2, 0.0524, 0.3339), ("+20", "+5 to +33")),
        ((-0.00004, -0.011, 0.008), ("+0.0", "-1.1 to +0.8")),
        ((-0.1, -0.1, -0.1), ("-10.00", "-10.00 to -10.00")),
        (None, ("", "")),
    ],
)
def test_a_difference_is_in_points_with_the_digits_of_its_interval(above, texts):
    assert difference_text(above) == texts


@pytest.mark.parametrize(
    ("successes", "trials", "share", "interval"),
    [
        (1, 2, "50%", "9% to 91%"),
        (5000, 10_000, "50.0%", "49.0% to 51.0%"),
        (9999, 10_000, "99.990%", "99.943% to 99.998%"),
        (10_000, 10_000, "100%", "99.962% to 100%"),
        (0, 10_000, "0%", "0% to 0.038%"),
        (3 * 10**6 - 1, 3 * 10**6, "99.99997%", "99.99981% to 99.99999%"),
    ],
)
def test_a_percentage_has_the_digits_of_its_interval(successes, trials, share, interval):
    ends = wilson_interval(successes, trials)
    assert percent(successes / trials, *ends) == share
    assert percent_range(*ends) == interval


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.27741, "0.277"), (0.0013641, "0.00136"), (0.00021, "2.1e-4"), (9.999e-7, "1e-6"),
     (0, "0"), (12.345, "12.3"), (2.0, "2"), (inf, "inf")],
)  # fmt: skip
def test_a_figure_has_three_digits(value, shown):
    assert figure(value) == shown


@pytest.mark.parametrize(
    ("accuracy", "words"),
    [
        ({2: 1, 3: 0.99, 4: 0.98, 5: 0.5, 6: 0.1},
         "at least 99% up to length 3, half wrong from length 5"),
        ({2: 1, 4: 0.6}, "at least 99% at length 2"),
        ({2: 0, 3: 1, 4: 1, 6: 0.3}, "at least 99% from length 3 to 4, half wrong from length 6"),
        ({1: 1, 2: 0.4, 3: 1, 4: 1, 5: 0.7, 6: 0, 7: 0.1},
         "at least 99% from length 3 to 4, half wrong from length 6"),
        ({1: 1, 2: 0, 4: 1, 5: 0.8}, "at least 99% at length 4"),
        ({2: 1, 3: 1}, "at least 99% at every length"),
        ({2: 0.98, 3: 0.1}, "below 99% at every length"),
    ],
)  # fmt: skip
def test_the_lengths_that_are_learned_are_named(accuracy, words):
    assert lengths_text(accuracy) == words


def test_the_main_kind_of_error_is_named():
    targets = ids([1, 2, 9], [1, 2, 9], [1, 9, 0], [2, 1, 9], [1, 1, 9])
    predicted = ids([1, 2, 9], [1, 9, 0], [1, 1, 0], [2, 3, 9], [2, 2, 9])
    tally = Tally(end=9)
    tally.add(predicted, targets, -1.0, ids([5], [5], [5], [5], [5]))
    assert tally.errors == {"wrong_tokens": 2, "too_long": 1, "too_short": 1}
    error = "main error: wrong tokens (2 of 4), most wrong tokens at position 2"
    assert tally.verdict == ["not learned", error]
    tally.add(predicted[1:2], targets[1:2], -1.0, ids([5]))
    tally.add(predicted[1:2], targets[1:2], -1.0, ids([5]))
    assert tally.main_error.startswith("main error: too short (3 of 6)")
    tally = Tally()
    tally.add(ids([1], [2]), ids([1], [1]), -1.0, ids([5], [5]))
    assert tally.main_error == "main error: wrong tokens (1 of 1)"
    tally = Tally()
    tally.add(targets, targets, -1.0, targets)
    assert tally.verdict == ["learned", "at least 99% at every length"]


@steady
@given(proportions())
def test_only_all_is_100_percent(proportion):
    successes, trials = proportion
    for interval in ((0.0, 0.0), (0.0, 1.0), wilson_interval(successes, trials)):
        shown = float(percent(successes / trials, *interval).removesuffix("%"))
        assert (shown == 100, shown == 0) == (successes == trials, successes == 0)


@steady
@given(proportions(), st.sampled_from([1.0, 1.959963984540054, 2.576]))
def test_wilson_interval_solves_the_score_equation(proportion, z):
    successes, trials = proportion
    share = successes / trials
    low, high = wilson_interval(successes, trials, z)
    assert 0 <= low <= share <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            variance = end * (1 - end) / trials
            assert (share - end) ** 2 == pytest.approx(z * z * variance, rel=1e-4)
    mirrored = wilson_interval(trials - successes, trials, z)
    assert (1 - high, 1 - low) == pytest.approx(mirrored, abs=1e-12)


@steady
@given(padded_batches())
def test_a_tally_counts_as_plain_loops_do(batch):
    tally = tally_of(*batch)
    pairs = [[(p, t) for p, t in zip(*rows, strict=True) if t] for rows in zip(*batch, strict=True)]
    tokens = [p == t for row in pairs for p, t in row]
    exact = [all(p == t for p, t in row) for row in pairs]
    assert matches(*map(np.array, batch)).tolist() == exact
    assert (tally.exact, tally.n_samples) == (sum(exact), len(exact))
    assert tally.interval == wilson_interval(sum(exact), len(exact))
    assert tally.token_accuracy == pytest.approx(np.mean(tokens))
    for position, share in enumerate(tally.position_accuracy):
        right = [row[position][0] == row[position][1] for row in pairs if len(row) > position]
        assert share == pytest.approx(np.mean(right))


@pytest.mark.parametrize("longer_first", [True, False])
def test_batches_may_differ_in_length(longer_first):
    batches = [
        (ids([1, 2, 3]), ids([1, 2, 4]), -3.0, ids([5, 5])),
        (ids([1], [2]), ids([1], [2]), -2.0, ids([5, 5], [5, 0])),
    ]
    tally = Tally()
    for batch in batches if longer_first else reversed(batches):
        tally.add(*batch)
    assert tally.position_accuracy == [1.0, 1.0, 0.0]
    assert tally.token_accuracy == 0.8
    assert tally.exact_match == pytest.approx(2 / 3)
    assert tally.length_accuracy == {1: 1.0, 2: 0.5}
    assert tally.loss == 1.0


def test_without_tokens_there_is_no_accuracy():
    tally = tally_of([[1, 2, 3], [4, 5, 6]], [[1, 9, 0], [4, 0, 0]])
    assert tally.position_accuracy == [1.0, 0.0, None]
    empty = Tally()
    assert (empty.token_accuracy, empty.loss, empty.position_accuracy) == (None, None, [])


def test_the_loss_is_per_token_of_the_target():
    assert tally_of([[1, 2], [3, 4]], [[1, 2], [3, 0]], 3 * log(1 / 50)).loss == pytest.approx(
        log(50)
    )
    assert tally_of([[1]], [[2]], -inf).loss == inf


def test_predictions_may_be_longer_or_shorter_than_targets():
    tally = tally_of([[1, 2, 0], [1, 2, 3]], [[1, 2], [1, 2]])
    assert tally.exact == 1
    tally.add(ids([1], [1]), ids([1, 0], [1, 2]), -1.0)
    assert tally.exact == 2
    assert tally.position_accuracy == [1.0, 2 / 3]
