"""Reproducible streams of random sequences; training and evaluation never share a source.

Block `i` of a split's stream under seed `k` is a pure function of (k, split, i): there is no state
to save, and any part of a stream can be made again. A hash of the source decides, for every seed
alike, whether it may be trained on or is held out for validation and test (one in 16). Whatever
is drawn on the wrong side is dropped, so each stream is uniform over its side.
"""

from collections.abc import Iterator
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.tasks import get_task
from seq2seq_cli.vocabulary import PADDING, Floats, Ids, end_sequences, one_hot_encode, shift_right

Hashes = NDArray[np.uint64]

BLOCK = 1024
"""Sequences in a block, the unit in which streams are drawn."""

HELD_OUT_BITS = 4
"""A source is held out when this many bits of its hash are zero: one in 16."""

SMALLEST_SPLIT_SPACE = 10_000
"""With fewer sources than this there is no split: both sides would be too small to be told apart
from memorised ones, so every stream draws from all of them and reports say so."""

MOST_WATCHED = 10_000
LEAST_WATCHED = 1000
WATCHED_INTEGERS = 1_000_000
"""A training watches, and reports at its end, MOST_WATCHED held-out sequences; of long ones fewer,
so that there are about as many integers in all."""

_LARGEST_DRAW = 4096


class Split(StrEnum):
    """The streams: what is trained on, what training watches, and what is reported."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


def is_split(config: TaskConfig) -> bool:
    """Tell whether the space of sources is large enough to hold some of them out."""
    values = config.cardinality - 1
    # Beyond some lengths the space is large whatever the cardinality: no need for huge powers.
    lengths = range(config.shortest, min(config.longest, config.shortest + 64) + 1)
    return bool(sum(values ** min(length, 64) for length in lengths) >= SMALLEST_SPLIT_SPACE)


def hash_sequences(sequences: Ids) -> Hashes:
    """Return a 64-bit hash of each sequence (n, steps), which padding does not change; (n,).

    It is multilinear (Carter and Wegman 1979) with a SplitMix64 finaliser.
    """
    positions = np.arange(1, sequences.shape[1] + 1, dtype=np.uint64)
    factors = _mix(positions * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)
    return _mix((sequences.astype(np.uint64) * factors).sum(axis=1, dtype=np.uint64))


def held_out(sources: Ids, own: bool = False) -> NDArray[np.bool_]:
    """Tell for each source (n, n_in) whether it is reserved for evaluation; shape (n,).

    `own` data is split by other bits of the hash: its pairs may have been generated, and then none
    is held out by the first ones.
    """
    hashes = hash_sequences(sources)
    if own:
        hashes <<= np.uint64(HELD_OUT_BITS)
    return np.asarray(hashes >> np.uint64(64 - HELD_OUT_BITS) == 0)


def watched_samples(config: TaskConfig) -> int:
    """Return how many held-out sequences a training is judged by."""
    by_integers = WATCHED_INTEGERS // (config.longest + config.n_out)
    return min(MOST_WATCHED, max(LEAST_WATCHED, by_integers))


def draw_sources(
    config: TaskConfig, split: Split, seed: int, start: int, n: int, distinct: int = 0
) -> Ids:
    """Return rows `start .. start+n-1` of a split's stream of sources, int32 (n, n_in).

    With `distinct`, at least 2, each source is drawn from so many random integers, or fewer, so
    that it repeats itself more often.
    """
    first, last = start // BLOCK, (start + n - 1) // BLOCK
    blocks = [_block(config, split, seed, index, distinct) for index in range(first, last + 1)]
    return np.concatenate(blocks)[start - first * BLOCK :][:n]


def draw_pairs(
    config: TaskConfig, split: Split, seed: int, start: int, n: int, distinct: int = 0
) -> tuple[Ids, Ids]:
    """Return rows of a split's stream as sources (n, n_in) and targets (n, target length).

    Where lengths vary, both are padded to the longest there is, and targets end with the end of
    sequence. For `distinct` see `draw_sources`.
    """
    task, sources = get_task(config), draw_sources(config, split, seed, start, n, distinct)
    if not config.varies:
        return sources, task.targets(sources, config.n_out)
    targets = task.padded_targets(sources, config.n_out)
    missing = task.target_length(config.longest, config.n_out) - targets.shape[1]
    return sources, end_sequences(np.pad(targets, ((0, 0), (0, missing))), config.end)


def iterate_pairs(
    config: TaskConfig, split: Split, seed: int, n_samples: int
) -> Iterator[tuple[Ids, Ids]]:
    """Yield the first `n_samples` pairs of a split's stream, a block at a time."""
    for start in range(0, n_samples, BLOCK):
        yield draw_pairs(config, split, seed, start, min(BLOCK, n_samples - start))


def generate_sequence(length: int, n_unique: int, seed: int | None = None) -> Ids:
    """Return `length` random integers in 1 .. n_unique-1, int32 (length,).

    The tutorial's function, section "Scalable Sequence-to-Sequence Problem". Without a seed each
    call draws anew.
    """
    return np.random.default_rng(seed).integers(1, n_unique, length, np.int32)


def get_dataset(
    n_in: int, n_out: int, cardinality: int, n_samples: int, seed: int | None = None
) -> tuple[Floats, Floats, Floats]:
    """Return encoded sources, shifted targets and targets of the tutorial's task.

    The shapes are (n_samples, n_in, cardinality) and twice (n_samples, n_out, cardinality), all
    one-hot float32. The sources come from the training side of the split. Without a seed each
    call draws anew. Raises ConfigurationError where n_out > n_in, ValueError for sizes below 1.
    """
    config = TaskConfig(n_in=n_in, n_out=n_out, cardinality=cardinality)
    entropy = int(np.random.default_rng().integers(2**63)) if seed is None else seed
    sources, targets = draw_pairs(config, Split.TRAIN, entropy, 0, n_samples)
    shifted = shift_right(targets)
    return (
        one_hot_encode(sources, cardinality),
        one_hot_encode(shifted, cardinality),
        one_hot_encode(targets, cardinality),
    )


def _block(config: TaskConfig, split: Split, seed: int, index: int, distinct: int) -> Ids:
    """Return block `index` of a stream, int32 (BLOCK, longest)."""
    key = [seed, list(Split).index(split)]
    # The counter's lowest words run while drawing; its highest one sets the blocks apart.
    generator = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, index]))
    if not is_split(config):
        return _draw(generator, config, BLOCK, distinct)
    wanted = split is not Split.TRAIN
    share = 2.0**-HELD_OUT_BITS if wanted else 1 - 2.0**-HELD_OUT_BITS
    parts: list[Ids] = []
    missing = BLOCK
    while missing > 0:
        rows = min(_LARGEST_DRAW, int(missing / share * 1.03) + 16)
        drawn = _draw(generator, config, rows, distinct)
        parts.append(drawn[held_out(drawn) == wanted])
        missing -= len(parts[-1])
    return np.concatenate(parts)[:BLOCK]


def _draw(generator: np.random.Generator, config: TaskConfig, rows: int, distinct: int) -> Ids:
    """Return random sources, int32 (rows, longest), padded where their lengths vary."""
    width = distinct or config.longest
    sources = generator.integers(1, config.cardinality, (rows, width), np.int32)
    if distinct:
        chosen = generator.integers(0, distinct, (rows, config.longest))
        sources = np.take_along_axis(sources, chosen, axis=1)
    if config.shortest < config.longest:
        lengths = generator.integers(config.shortest, config.longest + 1, rows)
        sources[np.arange(config.longest) >= lengths[:, None]] = PADDING
    return sources


def _mix(values: Hashes) -> Hashes:
    """Spread every input bit over all output bits: the finaliser of SplitMix64 (Steele 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
