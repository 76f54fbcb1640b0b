"""A user's own pairs: what is trained on of them, and what is held out."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.data.pairs import Pairs, Rows
from seq2seq_cli.data.sampling import Split, split_codes
from seq2seq_cli.data.vocabulary import Ids, Vocabulary
from seq2seq_cli.errors import DataError

LEAST_VALIDATION = 1000
"""Held-out pairs of own data that are enough for validation and for the report each."""


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

    def _permutation(self, split: Split, number: int) -> Rows:
        """Return the order of a pass: a pure function of the seed and the pass's number.

        That of what is held out is the same for every seed and in every pass.
        """
        n = len(self._subsets[split].rows)
        key = [self._seed, 2**32 + number] if split is Split.TRAIN else [0, 2**31]
        return np.random.Generator(np.random.Philox(key=key)).permutation(n)


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
