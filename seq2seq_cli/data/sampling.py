"""Reproducible streams of random sources; training and evaluation never share one.

A hash of the source decides, whatever the seed, whether the source may be trained on or is held out
(one in 16), and whether a held-out source is for validation or for the report. Block `i` of a
split's stream under seed `k` is a pure function of (k, split, i): there is no state to save, and
any part of a stream can be drawn again. Sources drawn on the wrong side are dropped, so each stream
is uniform over its side. If there are few sources, each held-out one is taken once, not drawn.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.config import Lengths, TaskConfig
from seq2seq_cli.data.pairs import Ragged
from seq2seq_cli.data.tasks.task import TASKS, SourceForm
from seq2seq_cli.data.vocabulary import PADDING, Ids
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.resources import Need, check

Hashes = NDArray[np.uint64]

BLOCK = 1024
"""Sources in a block of the training stream; streams are drawn in blocks."""

HELD_OUT_BLOCK = 32
"""Sources in a block of a held-out stream, which takes about as many draws as a training block."""

HELD_OUT_BITS = 4
"""A source is held out when this many bits of its hash are zero: one in 16."""

SMALLEST_SPLIT_SPACE = 10_000
"""With fewer sources than this there is no split, since a model could memorise both sides: every
stream has all of them, and reports say so."""

ENUMERABLE = 2**20
"""Up to this number of sources, each held-out one is taken once, in a random order."""

_LARGEST_DRAW = 4096


class Split(StrEnum):
    """The streams: for training, for validation during training, and for the report."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


SPLITS = list(Split)

Block = Callable[[Split, int, int], Ids]
"""Makes a block of a split's stream under a seed: (split, seed, index)."""


@dataclass(frozen=True)
class SourceSpace:
    """All sources of some lengths, and how they are drawn.

    `is_split` is the run's: an evaluation at other lengths holds out what the run holds out. With a
    `form`, sources are built from the integers drawn, and only some lengths are possible.
    """

    cardinality: int
    lengths: Lengths
    is_split: bool
    form: SourceForm | None = None

    @classmethod
    def of(cls, task: TaskConfig, lengths: Lengths | None = None) -> "SourceSpace":
        """Return the sources of a run's task, or those of other `lengths` under the same split."""
        form = TASKS[task.name].form if task.name in TASKS and not task.data else None
        whole = cls(task.cardinality, task.lengths, is_split=False, form=form)
        is_split = whole.size >= SMALLEST_SPLIT_SPACE
        return cls(task.cardinality, lengths or task.lengths, is_split, form)

    @property
    def n_values(self) -> int:
        """The number of values to draw from."""
        return self.cardinality - 1 - (self.form.reserved if self.form else 0)

    @property
    def possible_lengths(self) -> range:
        """The lengths that sources have."""
        shortest, longest = self.lengths
        return self.form.lengths(self.lengths) if self.form else range(shortest, longest + 1)

    @property
    def size(self) -> int:
        """The number of sources; any number above ENUMERABLE if there are more."""
        size = 0
        for length in self.possible_lengths:
            if self.form:
                size += self.form.count(self.form.fit(min(length, 128)), self.n_values)
            else:
                size += self.n_values ** min(length, 64)
            if size > ENUMERABLE:
                break
        return size

    @property
    def is_enumerable(self) -> bool:
        """Whether each held-out source is taken once instead of drawn."""
        return self.size <= ENUMERABLE

    def check_trainable(self) -> None:
        """Raise ConfigurationError if all sources are held out or a block exceeds the memory."""
        check_drawable(self.lengths)
        if self.size <= BLOCK and not len(self.enumerate(Split.TRAIN)):
            raise ConfigurationError(
                f"all {self.size} sources of {self.lengths} integers from {self.cardinality - 1} "
                "values are held out for evaluation: make them longer"
            )

    def enumerate(self, split: Split) -> Ids:
        """Return every source of a split once, int32 (n, longest), shorter ones first.

        Without a split these are all sources; there are at most ENUMERABLE.
        """
        longest = self.lengths.longest
        parts = [np.empty((0, longest), np.int32)]
        for length in self.possible_lengths:
            for sources in self._every(length):
                rows = np.full((len(sources), longest), PADDING, np.int32)
                rows[:, :length] = sources
                mine = split_codes(hash_sequences(rows)) == SPLITS.index(split)
                parts.append(rows[mine] if self.is_split else rows)
        return np.concatenate(parts)

    def _every(self, length: int) -> Iterator[Ids]:
        """Yield every source of a length, in parts."""
        values, form = self.n_values, self.form
        n_drawn = form.n_drawn(length) if form else length
        n_positions = form.n_positions(length) if form else 1
        powers = values ** np.arange(n_drawn - 1, -1, -1)
        n_rows = max(1, 2**16 // n_positions)
        for start, stop in pairwise([*range(0, values**n_drawn, n_rows), values**n_drawn]):
            drawn = (np.arange(start, stop)[:, None] // powers % values + 1).astype(np.int32)
            if form:
                positions = np.tile(np.arange(n_positions), len(drawn))
                rows = form.build(
                    np.repeat(drawn, n_positions, axis=0), positions, self.cardinality
                )
                yield np.unique(rows, axis=0)
            else:
                yield drawn

    def draw(self, split: Split, seed: int, start: int, n: int, block: Block | None = None) -> Ids:
        """Return rows `start .. start+n-1` of a split's stream, int32 (n, longest).

        `block` makes the blocks, for example from a cache; the default is the method `block`.
        """
        size, make = self.block_size(split), block or self.block
        first, last = start // size, (start + n - 1) // size
        blocks = [make(split, seed, index) for index in range(first, last + 1)]
        return np.concatenate(blocks)[start - first * size :][:n]

    def block_size(self, split: Split) -> int:
        """Return the number of sources in a block of a split's stream."""
        return HELD_OUT_BLOCK if self.is_split and split is not Split.TRAIN else BLOCK

    def block(self, split: Split, seed: int, index: int) -> Ids:
        """Return block `index` of a split's stream, int32 (block size, longest)."""
        code, size = SPLITS.index(split), self.block_size(split)
        # Drawing advances the counter's low words; the highest word distinguishes the blocks.
        generator = np.random.Generator(
            np.random.Philox(key=[seed, code], counter=[0, 0, 0, index])
        )
        if not self.is_split:
            return self._random(generator, size)
        held_out = 2.0**-HELD_OUT_BITS
        share = held_out / 2 if code else 1 - held_out
        parts: list[Ids] = []
        missing = size
        while missing > 0:
            drawn = self._random(generator, min(_LARGEST_DRAW, int(missing / share * 1.03) + 16))
            parts.append(drawn[split_codes(hash_sequences(drawn)) == code])
            missing -= len(parts[-1])
        return np.concatenate(parts)[:size]

    def _random(self, generator: np.random.Generator, rows: int) -> Ids:
        longest = self.lengths.longest
        sources = generator.integers(1, self.n_values + 1, (rows, longest), np.int32)
        if self.form:
            return self.form.draw(generator, sources, self.possible_lengths, self.cardinality)
        if self.lengths.vary:
            n_in = generator.integers(self.lengths.shortest, longest + 1, rows)
            sources[np.arange(longest) >= n_in[:, None]] = PADDING
        return sources


def check_drawable(lengths: Lengths, longest_target: int = 0) -> None:
    """Raise ConfigurationError if a block of such sequences exceeds the memory."""
    settings = {"task.n_in": lengths.longest}
    taken = 20 * BLOCK * lengths.longest  # an id, and two products of 8 bytes for its hash
    targets = f"their targets of {longest_target:,} integers"
    check(
        [
            Need(f"{BLOCK:,} drawn sources", taken, settings),
            Need(targets, 4 * BLOCK * longest_target, settings),
        ]
    )


def hash_sequences(sequences: Ids) -> Hashes:
    """Return a 64-bit hash of each sequence (n, steps); padding does not change it; (n,).

    It is multilinear (Carter and Wegman 1979) with a SplitMix64 finaliser.
    """
    products = sequences.astype(np.uint64) * _factors(sequences.shape[1])
    return _mix(products.sum(axis=1, dtype=np.uint64))


def hash_ragged(sequences: Ragged) -> Hashes:
    """Return the same hash of each sequence, (n,)."""
    starts = np.repeat(sequences.offsets[:-1], sequences.lengths)
    positions = np.arange(len(sequences.values)) - starts
    products = sequences.values.astype(np.uint64) * _factors(sequences.longest)[positions]
    sums = np.pad(np.cumsum(products), (1, 0))
    return _mix(np.diff(sums[sequences.offsets]))  # right even where the sums overflow


def split_codes(hashes: Hashes, custom: bool = False) -> NDArray[np.int64]:
    """Return the index in SPLITS of each source's split, from the hash of the source, (n,).

    `custom` data is split by other bits of the hash: its pairs may be from one split of a generated
    task, and then the first bits would put them all in the same split.
    """
    if custom:
        held_out = (hashes << np.uint64(HELD_OUT_BITS)) >> np.uint64(64 - HELD_OUT_BITS) == 0
    else:
        held_out = hashes >> np.uint64(64 - HELD_OUT_BITS) == 0
    return np.where(held_out, 1 + report_half(hashes, custom), 0)


def report_half(hashes: Hashes, custom: bool = False) -> NDArray[np.int64]:
    """Return 1 for held-out sources of the report and 0 for those of the validation, (n,)."""
    return ((hashes >> np.uint64(int(custom))) & np.uint64(1)).astype(np.int64)


def _factors(width: int) -> Hashes:
    """Return the odd factor of each position, (width,)."""
    positions = np.arange(1, width + 1, dtype=np.uint64)
    return _mix(positions * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)


def _mix(values: Hashes) -> Hashes:
    """Spread every input bit over all output bits: the finaliser of SplitMix64 (Steele 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
