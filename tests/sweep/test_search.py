"""A search finds the largest value that each seed learns, with few cells."""

from hypothesis import given
from hypothesis import strategies as st

from seq2seq_cli.sweep.search import PRECISION, Search


def run(search: Search, limits: dict[int, int]) -> int:
    """Search where each seed learns up to its limit; return the number of values tried."""
    tried = set()
    while (value := search.next()) is not None:
        assert value not in tried
        tried.add(value)
        search.add(value, {seed: value <= limit for seed, limit in limits.items()})
    return len(tried)


LIMITS = st.dictionaries(st.integers(0, 5), st.integers(0, 3000), min_size=1, max_size=4)


@given(LIMITS, st.integers(1, 60), st.none() | st.integers(1, 3000))
def test_the_largest_learned_value_of_each_seed_is_found(limits, least, most):
    search = Search(sorted(limits), least, most)
    run(search, limits)
    assert search.is_over
    for reach in search.reaches():
        limit = limits[reach.seed]
        if least > min(limit, limit if most is None else most):
            assert reach.value == 0
        elif most is not None and limit >= most:
            assert (reach.value, reach.at_least) == (most, True)
        else:
            assert reach.value <= limit < reach.value + max(1, PRECISION * reach.value) + 1
            assert not reach.at_least


@given(st.integers(1, 100_000))
def test_a_search_takes_few_cells(limit):
    assert run(Search([0], 1), {0: limit}) <= 2 * limit.bit_length() + 2


def test_a_value_that_cannot_be_trained_ends_the_growth():
    search = Search([0, 1], 4)
    for value in (4, 8):
        assert search.next() == value
        search.add(value, {0: True, 1: True})
    assert search.next() == 16
    search.refuse(16)
    assert search.is_over
    assert [(reach.value, reach.at_least) for reach in search.reaches()] == [(8, True), (8, True)]


def test_a_value_learned_beyond_a_failure_does_not_count():
    search = Search([0], 4)
    for value, learned in ((4, True), (6, False), (8, True)):
        search.add(value, {0: learned})
    assert search.next() == 5
    search.add(5, {0: True})
    assert [reach.value for reach in search.reaches()] == [5]
