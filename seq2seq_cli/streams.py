"""Where a training's sequences come from: drawn anew for a task, or a file's pairs.

A stream gives any of its rows at any time, so there is no state of it to save. Its batches are
int32 arrays, padded at their ends where lengths vary: sources (n, longest) and targets
(n, longest target), which then end with the end of sequence.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.config import RunConfig, TaskConfig
from seq2seq_cli.errors import ConfigurationError, DataError
from seq2seq_cli.files import hash_data, read_pairs
from seq2seq_cli.pairs import Pairs, Rows
from seq2seq_cli.sampling import Split, draw_pairs, held_out
from seq2seq_cli.vocabulary import Ids, end_sequences


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

    def stage(self, task: TaskConfig, distinct: int) -> Stream:
        """Return the stream of a curriculum's stage: this task, of smaller lengths.

        Where sequences are generated, each source is drawn from `distinct` integers; 0: all.
        """


class GeneratedStream:
    """Sequences of a task, drawn by a pure function of seed, split and row."""

    def __init__(self, task: TaskConfig, seed: int, distinct: int = 0) -> None:
        self.task = task
        self._seed = seed
        self._distinct = distinct

    @property
    def longest(self) -> int:
        """The task's longest source."""
        return self.task.longest

    def size(self, split: Split) -> int | None:
        """Return None: there are as many as are asked for."""
        return None

    def draw(self, split: Split, start: int, n: int) -> tuple[Ids, Ids]:
        """Return rows of a split's stream, see Stream."""
        return draw_pairs(self.task, split, self._seed, start, n, self._distinct)

    def stage(self, task: TaskConfig, distinct: int) -> "GeneratedStream":
        """Return the stream of another task under the same seed."""
        return GeneratedStream(task, self._seed, distinct)


class Part(NamedTuple):
    """Those of a file's pairs that are one side of a split."""

    pairs: Pairs
    rows: Rows


class OwnStream:
    """The pairs of a file, shuffled anew in each pass over them; test has those of validation.

    Rows are padded to the task's longest source, and to the longest target of all parts.
    """

    def __init__(self, parts: Mapping[Split, Part], task: TaskConfig, seed: int) -> None:
        self._parts, self._task, self._seed = parts, task, seed
        self._width = max(int(p.pairs.targets.lengths[p.rows].max()) for p in parts.values())
        self._order = lru_cache(maxsize=2)(self._permutation)

    @property
    def longest(self) -> int:
        """The longest source of the configuration, which was made for the file."""
        return self._task.longest

    def size(self, split: Split) -> int | None:
        """Return how many pairs a split has."""
        return len(self._part(split).rows)

    def draw(self, split: Split, start: int, n: int) -> tuple[Ids, Ids]:
        """Return rows of a split's stream, see Stream; training's pass over the file again."""
        pairs, chosen = self._part(split)
        wanted = np.arange(start, start + n)
        if split is Split.TRAIN:
            passes, places = np.divmod(wanted, len(chosen))
            index = np.empty(n, np.int64)
            for number in np.unique(passes):
                mine = passes == number
                index[mine] = self._order(int(number))[places[mine]]
        else:
            index = wanted % len(chosen)
        rows = chosen[index]
        sources = pairs.sources.padded(rows, self._task.longest)
        return sources, end_sequences(pairs.targets.padded(rows, self._width), self._task.end)

    def stage(self, task: TaskConfig, distinct: int) -> "OwnStream":
        """Return the pairs to train on whose sources are at most as long as this task's.

        Where there are none it is all pairs.
        """
        pairs, rows = self._parts[Split.TRAIN]
        short = rows[pairs.sources.lengths[rows] <= task.longest]
        if not len(short):
            return self
        return OwnStream({Split.TRAIN: Part(pairs, short)}, task, self._seed)

    def _part(self, split: Split) -> Part:
        return self._parts[Split.VALIDATION if split is Split.TEST else split]

    def _permutation(self, number: int) -> Rows:
        """Return the order of a pass: a pure function of the seed and the pass's number."""
        generator = np.random.Generator(np.random.Philox(key=[self._seed, 2**32 + number]))
        return generator.permutation(len(self._parts[Split.TRAIN].rows))


class GivenStream:
    """All the pairs of a file, in their order, whatever the split; it is for evaluation."""

    def __init__(self, pairs: Pairs, task: TaskConfig) -> None:
        self._pairs, self._task = pairs, task

    @property
    def longest(self) -> int:
        """The longest source in the file."""
        return self._pairs.sources.longest

    def size(self, split: Split) -> int | None:
        """Return how many pairs there are."""
        return len(self._pairs)

    def draw(self, split: Split, start: int, n: int) -> tuple[Ids, Ids]:
        """Return rows of the file, see Stream."""
        rows = np.arange(start, start + n)
        targets = self._pairs.targets.padded(rows)
        if self._task.varies:
            targets = end_sequences(targets, self._task.end)
        return self._pairs.sources.padded(rows), targets


def split_pairs(pairs: Pairs, validation: Pairs | None, origin: str) -> dict[Split, Part]:
    """Return what is trained on and what is held out.

    It is the pairs of a second file or, without one, those whose source is held out by its hash, so
    that equal sources are never on both sides. Raises DataError where either has none; `origin`
    names the file.
    """
    if validation is None:
        held = held_out_rows(pairs)
        parts = {
            Split.TRAIN: Part(pairs, np.flatnonzero(~held)),
            Split.VALIDATION: Part(pairs, np.flatnonzero(held)),
        }
    else:
        parts = {
            Split.TRAIN: Part(pairs, np.arange(len(pairs))),
            Split.VALIDATION: Part(validation, np.arange(len(validation))),
        }
    for split, part in parts.items():
        if not len(part.rows):
            raise DataError(
                f"{origin}: {len(pairs)} pairs leave none for {split}: give more, or "
                "--validation-data"
            )
    return parts


def held_out_rows(pairs: Pairs) -> NDArray[np.bool_]:
    """Tell for each pair whether its source is held out from training, (n,) booleans."""
    return np.concatenate([held_out(part, own=True) for part in pairs.sources.parts()])


def open_stream(config: RunConfig) -> TrainingStream:
    """Return the stream of a configuration.

    Raises DataError and StorageError for a bad file, ConfigurationError where it is not the one
    that the configuration was made for.
    """
    task, seed = config.task, config.training.seed
    if not task.data:
        return GeneratedStream(task, seed)
    found = hash_data(task.data)
    if task.data_sha256 not in ("", found):
        raise ConfigurationError(
            f"task.data = {task.data!r}: the file is not the one that the run was begun with "
            f"(SHA-256 {found[:12]}..., and it was {task.data_sha256[:12]}...)"
        )
    pairs = read_pairs(task.data, task.cardinality)
    validation = None
    if task.validation_data:
        validation = read_pairs(task.validation_data, task.cardinality)
    return OwnStream(split_pairs(pairs, validation, task.data), task, seed)
