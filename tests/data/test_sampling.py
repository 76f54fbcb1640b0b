import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from splits import held_out

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.data.sampling import (
    BLOCK,
    SMALLEST_SPLIT_SPACE,
    SourceSpace,
    Split,
)
from seq2seq_cli.data.streams import GeneratedStream, iterate_pairs
from seq2seq_cli.data.tasks import find_task
from seq2seq_cli.data.tutorial import generate_sequence, get_dataset
from seq2seq_cli.errors import ConfigurationError

steady = settings(derandomize=True, deadline=None, max_examples=25)

SEEDS = st.integers(0, 2**63 - 1)
SPLITS = st.sampled_from(Split)
EVALUATION = [Split.VALIDATION, Split.TEST]

SIZES = [(6, 51), (4, 11), (1, 20_001), (14, 3), (2, 1000), (25, 51), (3, 1_000_000)]
"""(n_in, cardinality) with a split, the smallest space of sources among them."""

SMALL = [(1, 2), (1, 10_000), (13, 2), (3, 21), (13, 3)]
"""(n_in, cardinality) with too few sources to split."""


def task(n_in=6, cardinality=51, **others):
    return TaskConfig(n_in=n_in, n_out=1, cardinality=cardinality, **others)


def is_split(config):
    return SourceSpace.of(config).is_split


def draw_sources(config, split, seed, start, n):
    return SourceSpace.of(config).draw(split, seed, start, n)


def stream_of(config, seed):
    return GeneratedStream(find_task(config), config, seed)


def rows(sources):
    return {tuple(row) for row in sources.tolist()}


@steady
@given(SEEDS, SPLITS, st.integers(0, 5 * BLOCK), st.integers(1, 2 * BLOCK))
def test_any_part_of_a_stream_can_be_drawn_by_itself(seed, split, start, n):
    part = draw_sources(task(), split, seed, start, n)
    whole = draw_sources(task(), split, seed, 0, start + n)
    assert part.shape == (n, 6)
    assert part.dtype == np.int32
    np.testing.assert_array_equal(part, whole[start:])


def test_seeds_splits_and_blocks_all_differ():
    drawn = [
        draw_sources(task(), split, seed, start, 20).tobytes()
        for split, seed, start in itertools.product(Split, (0, 1, 2**63 - 1), (0, BLOCK, 2 * BLOCK))
    ]
    assert len(set(drawn)) == len(drawn)


@pytest.mark.parametrize(("n_in", "cardinality"), SIZES)
def test_training_and_evaluation_never_share_a_source(n_in, cardinality):
    config = task(n_in, cardinality)
    assert is_split(config)
    trained = draw_sources(config, Split.TRAIN, 3, 0, 3000)
    assert not held_out(trained).any()
    for split in EVALUATION:
        evaluated = draw_sources(config, split, 3, 0, 3000)
        assert held_out(evaluated).all()
        assert rows(trained).isdisjoint(rows(evaluated))


@pytest.mark.parametrize("split", EVALUATION)
def test_evaluation_under_one_seed_shares_nothing_with_training_under_another(split):
    config = task(4, 11)
    evaluated = rows(draw_sources(config, split, 0, 0, 5000))
    for seed in range(1, 5):
        assert evaluated.isdisjoint(rows(draw_sources(config, Split.TRAIN, seed, 0, 5000)))


@pytest.mark.parametrize(("n_in", "cardinality"), SIZES + SMALL)
@pytest.mark.parametrize("split", Split)
def test_values_are_those_of_the_vocabulary(n_in, cardinality, split):
    sources = draw_sources(task(n_in, cardinality), split, 5, 0, 2000)
    assert sources.shape == (2000, n_in)
    assert sources.min() >= 1
    assert sources.max() <= cardinality - 1


@pytest.mark.parametrize("split", Split)
def test_every_value_is_about_equally_frequent_at_every_position(split):
    sources = draw_sources(task(6, 11), split, 0, 0, 20_000)
    for column in sources.T:
        counts = np.bincount(column, minlength=11)
        assert counts[0] == 0
        np.testing.assert_allclose(counts[1:], 2000, atol=300)


@pytest.mark.parametrize(("n_in", "cardinality"), SIZES)
def test_one_in_sixteen_is_held_out_at_every_size(n_in, cardinality):
    sources = np.random.default_rng(1).integers(1, cardinality, (40_000, n_in), np.int32)
    assert held_out(sources).mean() == pytest.approx(1 / 16, abs=0.01)


def test_the_side_depends_on_every_position():
    sources = np.random.default_rng(2).integers(1, 51, (20_000, 6), np.int32)
    for position in range(6):
        changed = sources.copy()
        changed[:, position] = changed[:, position] % 50 + 1
        share = (held_out(sources) & held_out(changed)).mean()
        assert share == pytest.approx(1 / 256, abs=0.003)


def test_the_side_depends_on_the_order():
    sources = np.random.default_rng(3).integers(1, 51, (5000, 6), np.int32)
    assert (held_out(sources) != held_out(sources[:, ::-1])).any()


@steady
@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=30), st.integers(1, 20))
def test_padding_does_not_change_the_side(source, padding):
    plain = np.array([source], np.int32)
    padded = np.pad(plain, ((0, 0), (0, padding)))
    assert held_out(plain).tolist() == held_out(padded).tolist()


def test_side_of_a_source_does_not_depend_on_its_batch():
    sources = np.random.default_rng(4).integers(1, 51, (300, 6), np.int32)
    alone = [bool(held_out(source[None])[0]) for source in sources]
    assert held_out(sources).tolist() == alone
    assert any(alone)


def test_split_begins_with_the_smallest_space():
    assert SMALLEST_SPLIT_SPACE == 10_000
    assert is_split(task(1, 10_001))
    assert not is_split(task(1, 10_000))
    assert is_split(task(4, 11))
    assert not is_split(task(4, 10))
    assert is_split(task(1000, 1_000_000))


@pytest.mark.parametrize(("n_in", "cardinality"), SMALL)
def test_small_spaces_are_not_split_and_every_stream_draws_from_all(n_in, cardinality):
    config = task(n_in, cardinality)
    assert not is_split(config)
    for split in Split:
        sources = draw_sources(config, split, 0, 100, 2500)
        np.testing.assert_array_equal(sources[:7], draw_sources(config, split, 0, 100, 7))
    if (cardinality - 1) ** n_in > 100:
        evaluated = held_out(draw_sources(config, Split.TEST, 0, 0, 2000))
        trained = held_out(draw_sources(config, Split.TRAIN, 0, 0, 2000))
        assert evaluated.any()
        assert not evaluated.all()
        assert trained.any()


def test_only_source_of_the_smallest_space():
    stream = stream_of(task(1, 2), 9)
    assert [array.tolist() for array in stream.draw(Split.TRAIN, 0, 3)] == [[[1]] * 3] * 2
    assert stream.size(Split.TEST) == 1
    assert [array.tolist() for array in stream.draw(Split.TEST, 0, 3)] == [[[1]]] * 2


@pytest.mark.parametrize("n_samples", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
def test_iterated_batches_make_up_the_stream(n_samples):
    batches = list(iterate_pairs(stream_of(task(), 1), Split.TEST, n_samples))
    assert all(0 < len(sources) == len(targets) <= BLOCK for sources, targets in batches)
    whole = stream_of(task(), 1).draw(Split.TEST, 0, n_samples)
    for part, expected in zip(zip(*batches, strict=True), whole, strict=True):
        np.testing.assert_array_equal(np.concatenate(part), expected)


def test_iterating_draws_one_block_at_a_time():
    batches = iterate_pairs(stream_of(task(), 0), Split.TRAIN, 10**15)
    sources, _ = next(batches)
    np.testing.assert_array_equal(sources, draw_sources(task(), Split.TRAIN, 0, 0, BLOCK))


def test_dataset_is_that_of_the_tutorial():
    arrays = get_dataset(6, 3, 51, 200, seed=1)
    assert [array.shape for array in arrays] == [(200, 6, 51), (200, 3, 51), (200, 3, 51)]
    assert all(array.dtype == np.float32 for array in arrays)
    assert all((array.sum(axis=-1) == 1).all() for array in arrays)
    sources, shifted, targets = (array.argmax(axis=-1) for array in arrays)
    assert targets.tolist() == [source[:3][::-1] for source in sources.tolist()]
    assert shifted.tolist() == [[0, *target[:-1]] for target in targets.tolist()]
    assert sources.min() >= 1
    assert not held_out(sources.astype(np.int32)).any()


@pytest.mark.parametrize(
    "sizes",
    [(0, 1, 51, 5), (6, 0, 51, 5), (6, 3, 1, 5), (6, 3, 51, 0), (6, 3, 51, -2000), (6, 3, 51, 1.5)],
)
def test_dataset_refuses_wrong_sizes(sizes):
    with pytest.raises(ConfigurationError, match=r" = (0|1|-2000|1\.5): should be"):
        get_dataset(*sizes)
    with pytest.raises(ConfigurationError, match="n_out = 4"):
        get_dataset(3, 4, 51, 5)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [((-1, 51), "length = -1"), ((6, 1), "n_unique = 1"), ((6, 2**40), "n_unique = 10995"),
     ((1.5, 51), "length = 1.5"), ((6, 51, -1), "seed = -1")],
)  # fmt: skip
def test_a_sequence_refuses_wrong_sizes(arguments, name):
    with pytest.raises(ConfigurationError, match=f"^{name}.*: should be an integer from"):
        generate_sequence(*arguments)


def test_the_tutorials_functions_draw_anew_unless_seeded():
    assert set(generate_sequence(5000, 51, seed=0).tolist()) == set(range(1, 51))
    for draw in (
        lambda seed: generate_sequence(20, 51, seed),
        lambda seed: get_dataset(6, 3, 51, 5, seed)[0],
    ):
        drawn = [draw(seed).tobytes() for seed in (0, 0, 1, None, None)]
        assert drawn[0] == drawn[1]
        assert len(set(drawn)) == 4
