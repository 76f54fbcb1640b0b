"""Where sequences come from: drawn anew for a task, or a file's pairs.

A stream gives any of its rows at any time, so there is no state of it to save. Its batches are
int32 arrays, padded at their ends where lengths vary: sources (n, longest) and targets
(n, longest target), which have their end of sequence if the vocabulary has one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.config import Lengths, TaskConfig
from seq2seq_cli.data.pairs import Pairs, Rows
from seq2seq_cli.data.sampling import BLOCK, SPLITS, SourceSpace, Split, check_drawable, split_codes
from seq2seq_cli.data.tasks import Task
from seq2seq_cli.data.vocabulary import PADDING, Ids, Vocabulary, widen
from seq2seq_cli.errors import ConfigurationError, DataError

LEAST_VALIDATION = 1000
"""Held-out pairs of own data that are enough for validation and for the report each."""

KEPT_BLOCKS = 8
"""Blocks of a generated stream that are kept, since the next draw often needs the same."""

KEPT_IDS = 2**26
"""Ids that they may have: of long sources fewer are kept."""


class Stream(Protocol):
    """A source of pairs, under one seed."""

    @property
    def longest(self) -> int:
        """The width of its sources."""

    def size(self, split: Split) -> int | None:
        """Return how many different rows a split has; None for any number."""

    def draw(self, split: Split, start: int, n: int) -> tuple[Ids, Ids]:
        """Return rows `start .. start+n-1` of a split's stream."""


class TrainingStream(Stream, Protocol):
    """A stream that can be trained on, in stages too."""

    def with_seed(self, seed: int) -> "TrainingStream":
        """Return the stream under another seed, of the same task or the same pairs."""

    def length_counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the lengths that sources to train on have, ascending, and how often, both (n,)."""

    def target_columns(self, limits: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the width of the targets, with their end, of sources of up to each length, (n,).

        The lengths ascend.
        """

    def stage(self, lengths: Lengths, n_out: int, distinct: int) -> Stream:
        """Return the stream of a curriculum's stage, with sources of these lengths.

        Where sequences are generated, a target has up to `n_out` integers if the task leaves that
        free, and each source is drawn from `distinct` integers; 0: all. Raises ConfigurationError
        where there is nothing to train on.
        """


def iterate_pairs(stream: Stream, split: Split, n_samples: int) -> Iterator[tuple[Ids, Ids]]:
    """Yield the first `n_samples` pairs of a split's stream, some at a time."""
    for start in range(0, n_samples, BLOCK):
        yield stream.draw(split, start, min(BLOCK, n_samples - start))


class GeneratedStream:
    """Sequences of a task, drawn by a pure function of seed, split and row.

    The rows that are held out of a small space are each there once.
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
        """The longest target, without its end; there is room for one integer at least."""
        return max(1, self._task.target_length(self.space.lengths, self._config))

    def length_counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the lengths of the sources, see TrainingStream: each is as frequent."""
        found = np.array(self.space.possible_lengths)
        return found, np.ones_like(found)

    def target_columns(self, limits: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the widths of targets, see TrainingStream."""
        shortest = self.space.lengths.shortest
        found = self._task.target_lengths(shortest, limits.tolist(), self._config)
        return np.maximum(1, found) + int(self._vocabulary.end is not None)

    def size(self, split: Split) -> int | None:
        """Return how many sources of a small space are held out; else there is no limit."""
        if split is Split.TRAIN or not self.space.is_enumerable:
            return None
        return len(self._held_out(split))

    def draw(self, split: Split, start: int, n: int) -> tuple[Ids, Ids]:
        """Return rows of a split's stream, see Stream."""
        if self.size(split) is None:
            sources = self.space.draw(split, self._seed, start, n, self._block)
        else:
            sources = self._held_out(split)[start : start + n]
        targets = self._task.targets(sources, self._config)
        if targets.shape[1] > self.target_width:
            raise ConfigurationError(
                f"task {self._task.name}: it returned a target of {targets.shape[1]} integers, and "
                f"{self.target_width} at the most when it was tried: how many columns there are "
                "should follow from the source's length alone; zeros fill a row's end"
            )
        padded = widen(targets, self.target_width)
        if self._task.own and self._vocabulary.end is None and (padded[:, -1] == PADDING).any():
            raise ConfigurationError(
                f"task {self._task.name}: some targets are shorter than others, and none was when "
                "it was tried: add --set task.end_of_sequence=true"
            )
        return sources, self._vocabulary.end_targets(padded)

    def with_seed(self, seed: int) -> "GeneratedStream":
        """Return the stream under another seed and the same split."""
        return GeneratedStream(self._task, self._config, seed, self.space)

    def stage(self, lengths: Lengths, n_out: int, distinct: int) -> "GeneratedStream":
        """Return the stream of other lengths under the same seed and the same split."""
        config = self._config.model_copy(update={"n_out": n_out})
        space = replace(self.space, lengths=lengths, distinct=distinct)
        space.check_trainable()
        return GeneratedStream(self._task, config, self._seed, space)

    def _enumerate(self, split: Split) -> Ids:
        """Return what a split has, each once, in an order that is a pure function of the seed."""
        sources = self.space.enumerate(split)
        key = [self._seed, 2**33 + SPLITS.index(split)]
        return np.random.Generator(np.random.Philox(key=key)).permutation(sources)


class Subset(NamedTuple):
    """Those of some pairs that are of one split."""

    pairs: Pairs
    rows: Rows


class OwnStream:
    """The pairs of a file, shuffled anew in each pass over them.

    What is held out stands in one fixed random order, so that any number of its first rows is a
    sample of all. Rows are padded to the configured lengths, which are those of the data.
    """

    def __init__(self, subsets: Mapping[Split, Subset], task: TaskConfig, seed: int) -> None:
        self._subsets, self._seed = subsets, seed
        self._longest, self._target_width = task.lengths.longest, task.n_out
        self._vocabulary = Vocabulary.of(task)
        self._task = task
        self._order = lru_cache(maxsize=4)(self._permutation)

    @property
    def longest(self) -> int:
        """The longest source."""
        return self._longest

    def length_counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the lengths of the sources that are trained on, see TrainingStream."""
        pairs, rows = self._subsets[Split.TRAIN]
        return np.unique(pairs.sources.lengths[rows], return_counts=True)

    def target_columns(self, limits: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the widths of targets, see TrainingStream."""
        pairs, rows = self._subsets[Split.TRAIN]
        order = np.argsort(pairs.sources.lengths[rows], kind="stable")
        lengths = pairs.sources.lengths[rows][order]
        longest = np.maximum.accumulate(pairs.targets.lengths[rows][order])
        found = longest[np.searchsorted(lengths, limits, side="right") - 1]
        return found + int(self._vocabulary.end is not None)

    @property
    def n_training(self) -> int:
        """How many pairs are trained on."""
        return len(self._subsets[Split.TRAIN].rows)

    def size(self, split: Split) -> int | None:
        """Return how many pairs a split has."""
        return len(self._subsets[split].rows)

    def draw(self, split: Split, start: int, n: int) -> tuple[Ids, Ids]:
        """Return rows of a split's stream, see Stream; training's pass over the file again."""
        pairs, chosen = self._subsets[split]
        passes, places = np.divmod(np.arange(start, start + n), len(chosen))
        index = np.empty(n, np.int64)
        for number in np.unique(passes):
            mine = passes == number
            index[mine] = self._order(split, int(number))[places[mine]]
        rows = chosen[index]
        targets = pairs.targets.padded(rows, self._target_width)
        return pairs.sources.padded(rows, self._longest), self._vocabulary.end_targets(targets)

    def with_seed(self, seed: int) -> "OwnStream":
        """Return the same pairs, which are held in memory once, under another seed."""
        return OwnStream(self._subsets, self._task, seed)

    def stage(self, lengths: Lengths, n_out: int, distinct: int) -> "OwnStream":
        """Return the pairs to train on whose sources have these lengths."""
        pairs, rows = self._subsets[Split.TRAIN]
        found = pairs.sources.lengths[rows]
        chosen = rows[(found >= lengths.shortest) & (found <= lengths.longest)]
        if not len(chosen):
            raise ConfigurationError(
                f"no pair that is trained on has a source of {lengths} integers: give other lengths"
            )
        longest_target = int(pairs.targets.lengths[chosen].max())
        task = self._task.model_copy(update={"n_in": lengths.setting, "n_out": longest_target})
        return OwnStream({Split.TRAIN: Subset(pairs, chosen)}, task, self._seed)

    def _permutation(self, split: Split, number: int) -> Rows:
        """Return the order of a pass: a pure function of the seed and the pass's number.

        That of what is held out is the same for every seed and in every pass.
        """
        n = len(self._subsets[split].rows)
        key = [self._seed, 2**32 + number] if split is Split.TRAIN else [0, 2**31]
        return np.random.Generator(np.random.Philox(key=key)).permutation(n)


class GivenStream:
    """All the pairs of a file, in their order, whatever the split; it is for evaluation."""

    def __init__(self, pairs: Pairs, task: TaskConfig) -> None:
        self._pairs, self._vocabulary = pairs, Vocabulary.of(task)

    @property
    def longest(self) -> int:
        """The longest source in the file."""
        return self._pairs.sources.longest

    def size(self, split: Split) -> int | None:
        """Return how many pairs there are."""
        return len(self._pairs)

    def draw(self, split: Split, start: int, n: int) -> tuple[Ids, Ids]:
        """Return rows of the file, see Stream."""
        rows = np.arange(start, min(start + n, len(self._pairs)))
        targets = self._pairs.targets.padded(rows, self._pairs.targets.longest)
        sources = self._pairs.sources.padded(rows, self.longest)
        return sources, self._vocabulary.end_targets(targets)


def split_pairs(pairs: Pairs, validation: Pairs | None, origin: str) -> dict[Split, Subset]:
    """Return what is trained on, what training watches and what is reported.

    What is held out is the pairs of a second file or, without one, those whose source is held out
    by its hash, so that equal sources are never on both sides. By another bit of the hash it is
    shared between validation and report where there is enough for both; else both have all of it.
    Raises DataError where there is nothing to train on, or nothing held out; `origin` names the
    file.
    """
    held = pairs if validation is None else validation
    if validation is None:
        codes = own_split_codes(pairs)
        trained, rows = np.flatnonzero(codes == 0), np.flatnonzero(codes > 0)
        halves = codes[rows]
    else:
        trained, rows = np.arange(len(pairs)), np.arange(len(validation))
        halves = np.zeros(len(rows), np.int64)
    for name, found in (("training", trained), ("validation", rows)):
        if not len(found):
            raise DataError(
                f"{origin}: {len(pairs)} pairs leave none for {name}: give more, or "
                "--validation-data"
            )
    watched, reported = rows[halves == 1], rows[halves == 2]
    if min(len(watched), len(reported)) < LEAST_VALIDATION:
        watched = reported = rows
    return {
        Split.TRAIN: Subset(pairs, trained),
        Split.VALIDATION: Subset(held, watched),
        Split.TEST: Subset(held, reported),
    }


def own_split_codes(pairs: Pairs) -> NDArray[np.int64]:
    """Return for each pair of own data the place of its split in SPLITS, (n,)."""
    return np.concatenate([split_codes(part, own=True) for part in pairs.sources.parts()])
