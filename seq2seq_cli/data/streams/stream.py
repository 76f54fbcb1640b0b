"""What a stream of pairs is.

A stream gives any of its rows at any time, so there is no state of it to save. Its batches are
int32 arrays, padded at their ends where lengths vary: sources (n, longest) and targets
(n, longest target), which have their end of sequence if the vocabulary has one.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.data.sampling import BLOCK, Split
from seq2seq_cli.data.vocabulary import Ids


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
    """A stream that can be trained on."""

    def with_seed(self, seed: int) -> "TrainingStream":
        """Return the stream under another seed, of the same task or the same pairs."""

    def length_counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the lengths that sources to train on have, ascending, and how often, both (n,)."""

    def target_columns(self, limits: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the width of the targets, with their end, of sources of up to each length, (n,).

        The lengths ascend.
        """


def iterate_pairs(stream: Stream, split: Split, n_samples: int) -> Iterator[tuple[Ids, Ids]]:
    """Yield the first `n_samples` pairs of a split's stream, some at a time."""
    for start in range(0, n_samples, BLOCK):
        yield stream.draw(split, start, min(BLOCK, n_samples - start))
