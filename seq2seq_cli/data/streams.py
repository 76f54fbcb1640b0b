"""Where pairs come from: generated for a task, custom training data, or a file to evaluate on.

A stream has rows under one seed and returns any of them at any time, so it has no state to save.
Rows are int32 arrays, padded at the end if lengths vary: sources (n, longest) and targets (n,
longest target), which include the end of sequence if the vocabulary has one.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.data.pairs import Pairs, Rows
from seq2seq_cli.data.sampling import (
    BLOCK,
    SPLITS,
    SourceSpace,
    Split,
    check_drawable,
    hash_ragged,
    report_half,
    split_codes,
)
from seq2seq_cli.data.tasks import Task
from seq2seq_cli.data.vocabulary import PADDING, Ids, Vocabulary, widen
from seq2seq_cli.errors import ConfigurationError, DataError

KEPT_BLOCKS = 8
"""Blocks of a generated stream that are kept, since the next draw often needs the same one."""

KEPT_IDS = 2**26
"""Maximum number of ids in the kept blocks: fewer blocks of long sources are kept."""

ENOUGH_HELD_OUT = 1000
"""Held-out custom pairs that are enough for validation or for the report."""


class GeneratedStream:
    """Sequences of a task, drawn by a pure function of seed, split and row.

    Each held-out source of a small space occurs once; it is not drawn.
    """

    def __init__(
        self, task: Task, config: TaskConfig, seed: int, space: SourceSpace | None = None
    ) -> None:
        self._task, self._config, self._seed = task, task.settle(config), seed
        self.space = space or SourceSpace.of(config)
        check_drawable(self.space.lengths)
        self._vocabulary = Vocabulary.of(self._config)
        kept = max(1, min(KEPT_BLOCKS, KEPT_IDS // (BLOCK * self.space.lengths.longest)))
        self._block = lru_cache(kept)(self.space.block)
        self._held_out = lru_cache(len(SPLITS))(self._enumerate)

    @property
    def longest(self) -> int:
        """The longest source."""
        return self.space.lengths.longest

    @cached_property
    def target_width(self) -> int:
        """The longest target, without its end, and at least 1."""
        return max(1, self._task.target_length(self.space.lengths, self._config))

    def length_counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the possible lengths, ascending, and their counts, (n,): all equally frequent."""
        lengths = np.array(self.space.possible_lengths)
        return lengths, np.ones_like(lengths)

    def target_columns(self, limits: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the target width, with the end, for sources up to each ascending limit, (n,)."""
        shortest = self.space.lengths.shortest
        lengths = self._task.target_lengths(shortest, limits.tolist(), self._config)
        return np.maximum(1, lengths) + int(self._vocabulary.has_end)

    def size(self, split: Split) -> int | None:
        """Return the number of held-out sources of a small space; None for any other."""
        if split is Split.TRAIN or not self.space.is_enumerable:
            return None
        return len(self._held_out(split))

    def draw(self, split: Split, start: int, n: int) -> tuple[Ids, Ids]:
        """Return rows `start .. start+n-1` of a split's stream."""
        if self.size(split) is None:
            sources = self.space.draw(split, self._seed, start, n, self._block)
        else:
            sources = self._held_out(split)[start : start + n]
        targets = self._task.targets(sources, self._config)
        if targets.shape[1] > self.target_width:
            raise ConfigurationError(
                f"task {self._task.name}: it returned a target of {targets.shape[1]} integers, and "
                f"at most {self.target_width} when it was tried: the number of columns should "
                "follow from the source's length alone; zeros fill a row's end"
            )
        padded = widen(targets, self.target_width)
        if not self._vocabulary.has_end and (padded[:, -1] == PADDING).any():
            raise ConfigurationError(
                f"task {self._task.name}: some targets are shorter than others, and none was when "
                "it was tried: set task.end_of_sequence = true"
            )
        return sources, self._vocabulary.end_targets(padded)

    def with_seed(self, seed: int) -> "GeneratedStream":
        """Return the stream under another seed and the same split."""
        return GeneratedStream(self._task, self._config, seed, self.space)

    def _enumerate(self, split: Split) -> Ids:
        """Return each source of a split once, in an order that is a pure function of the seed."""
        sources = self.space.enumerate(split)
        key = [self._seed, 2**33 + SPLITS.index(split)]
        return np.random.Generator(np.random.Philox(key=key)).permutation(sources)


class Subset(NamedTuple):
    """The rows of some pairs that are in one split."""

    pairs: Pairs
    rows: Rows


class CustomStream:
    """The user's pairs, shuffled again in each pass over them.

    The held-out pairs are in one fixed random order, so that any number of the first rows is a
    sample of all. Rows are padded to the configured lengths, which are those of the data.
    """

    def __init__(self, subsets: Mapping[Split, Subset], task: TaskConfig, seed: int) -> None:
        self._subsets, self._task, self._seed = subsets, task, seed
        self._vocabulary = Vocabulary.of(task)
        self._order = lru_cache(maxsize=4)(self._permutation)

    @property
    def longest(self) -> int:
        """The longest source."""
        return self._task.lengths.longest

    def length_counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the lengths of the sources to train on, ascending, and their counts, (n,)."""
        pairs, rows = self._subsets[Split.TRAIN]
        return np.unique(pairs.sources.lengths[rows], return_counts=True)

    def target_columns(self, limits: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the target width, with the end, for sources up to each ascending limit, (n,)."""
        pairs, rows = self._subsets[Split.TRAIN]
        order = np.argsort(pairs.sources.lengths[rows], kind="stable")
        lengths = pairs.sources.lengths[rows][order]
        longest = np.maximum.accumulate(pairs.targets.lengths[rows][order])
        widths = longest[np.searchsorted(lengths, limits, side="right") - 1]
        return widths + int(self._vocabulary.has_end)

    def size(self, split: Split) -> int:
        """Return the number of pairs of a split."""
        return len(self._subsets[split].rows)

    def draw(self, split: Split, start: int, n: int) -> tuple[Ids, Ids]:
        """Return rows `start .. start+n-1` of a split; another pass follows the last row."""
        pairs, rows = self._subsets[split]
        passes, positions = np.divmod(np.arange(start, start + n), len(rows))
        index = np.empty(n, np.int64)
        for number in np.unique(passes):
            mine = passes == number
            index[mine] = self._order(split, int(number))[positions[mine]]
        sources = pairs.sources.padded(rows[index], self.longest)
        targets = pairs.targets.padded(rows[index], self._task.n_out)
        return sources, self._vocabulary.end_targets(targets)

    def with_seed(self, seed: int) -> "CustomStream":
        """Return the same pairs, sharing their memory, under another seed."""
        return CustomStream(self._subsets, self._task, seed)

    def _permutation(self, split: Split, number: int) -> Rows:
        """Return the order of a pass: a pure function of the seed and the pass's number.

        The order of held-out pairs is the same for every seed and in every pass.
        """
        n = len(self._subsets[split].rows)
        key = [self._seed, 2**32 + number] if split is Split.TRAIN else [0, 2**31]
        return np.random.Generator(np.random.Philox(key=key)).permutation(n)


class GivenStream:
    """All pairs of a file in their order, for evaluation, whatever the split."""

    def __init__(self, pairs: Pairs, task: TaskConfig) -> None:
        self._pairs, self._vocabulary = pairs, Vocabulary.of(task)

    @property
    def longest(self) -> int:
        """The longest source in the file."""
        return self._pairs.sources.longest

    def size(self, split: Split) -> int:
        """Return the number of pairs."""
        return len(self._pairs)

    def draw(self, split: Split, start: int, n: int) -> tuple[Ids, Ids]:
        """Return rows `start .. start+n-1` of the file."""
        rows = np.arange(start, min(start + n, len(self._pairs)))
        targets = self._pairs.targets.padded(rows, self._pairs.targets.longest)
        sources = self._pairs.sources.padded(rows, self.longest)
        return sources, self._vocabulary.end_targets(targets)


TrainingStream = GeneratedStream | CustomStream
Stream = TrainingStream | GivenStream


def iterate_pairs(stream: Stream, split: Split, n_samples: int) -> Iterator[tuple[Ids, Ids]]:
    """Yield the first `n_samples` pairs of a split's stream, a block at a time."""
    for start in range(0, n_samples, BLOCK):
        yield stream.draw(split, start, min(BLOCK, n_samples - start))


def split_pairs(pairs: Pairs, validation: Pairs | None, origin: str) -> dict[Split, Subset]:
    """Return the pairs of each split.

    The held-out pairs are those of a second file or, without one, those whose source is held out
    by its hash, so that equal sources are never on both sides. Validation and report get half each,
    by another bit of the hash, if the halves are large enough; otherwise both get all. Raises
    DataError, naming `origin`, if there is nothing to train on, or nothing held out.
    """
    held = pairs if validation is None else validation
    hashes = hash_ragged(held.sources)
    if validation is None:
        codes = split_codes(hashes, custom=True)
        trained, rows = np.flatnonzero(codes == 0), np.flatnonzero(codes > 0)
    else:
        trained, rows = np.arange(len(pairs)), np.arange(len(validation))
    for name, chosen in (("training", trained), ("validation", rows)):
        if not len(chosen):
            raise DataError(
                f"{origin}: {len(pairs)} pairs leave none for {name}: give more, or set "
                "task.validation_data"
            )
    halves = report_half(hashes[rows], custom=True)
    watched, reported = rows[halves == 0], rows[halves == 1]
    if min(len(watched), len(reported)) < ENOUGH_HELD_OUT:
        watched = reported = rows
    return {
        Split.TRAIN: Subset(pairs, trained),
        Split.VALIDATION: Subset(held, watched),
        Split.TEST: Subset(held, reported),
    }
