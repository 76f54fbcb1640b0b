"""Sequences of a task, drawn anew."""

from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.data.sampling import BLOCK, SPLITS, SourceSpace, Split, check_drawable
from seq2seq_cli.data.tasks import Task
from seq2seq_cli.data.vocabulary import PADDING, Ids, Vocabulary, widen
from seq2seq_cli.errors import ConfigurationError

KEPT_BLOCKS = 8
"""Blocks of a generated stream that are kept, since the next draw often needs the same."""

KEPT_IDS = 2**26
"""Ids that they may have: of long sources fewer are kept."""


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

    def _enumerate(self, split: Split) -> Ids:
        """Return what a split has, each once, in an order that is a pure function of the seed."""
        sources = self.space.enumerate(split)
        key = [self._seed, 2**33 + SPLITS.index(split)]
        return np.random.Generator(np.random.Philox(key=key)).permutation(sources)
