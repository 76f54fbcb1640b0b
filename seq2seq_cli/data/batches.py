"""Batches of similar length, so that not all sources are padded to the longest.

The rows of several batches are sorted by length and split into batches again. Each is padded to one
of a few widths, since a program is compiled for each width (length bucketing: Khomenko et al.
2016). The rows of a step are a pure function of the seed and the step, and an epoch has the same
rows as without sorting. Validation uses the same widths.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.sampling import Split
from seq2seq_cli.data.streams import Stream, TrainingStream
from seq2seq_cli.data.vocabulary import PADDING, Ids, lengths

WINDOW = 32
"""Maximum number of batches whose rows are sorted together."""

WINDOW_INTEGERS = 2**23
"""Maximum number of integers that are sorted together, since they have to fit in the memory."""

MOST_WIDTHS = 8
PROGRAM_COLUMNS = 2000
"""The cost of another width, in columns of a step's batch: about as many are trained on in the time
it takes to load a cached program; compiling it takes three times as long."""

MOST_LENGTHS = 256
"""Maximum number of lengths considered as widths; others are rounded up to one of them."""

KEPT_BYTES = 5 * 10**6
"""Held-out sequences up to this size are sorted together and kept for later validations."""


class Width(NamedTuple):
    """What a batch is padded to."""

    n_in: int
    n_out: int  # with the end of sequence


def plan_widths(stream: TrainingStream, config: RunConfig) -> tuple[Width, ...]:
    """Return the widths of a training's batches, ascending; only one if more would not pay off."""
    lengths, counts = stream.length_counts()
    if len(lengths) > MOST_LENGTHS:
        kept = np.unique(np.linspace(0, len(lengths) - 1, MOST_LENGTHS).astype(np.int64))
        counts = np.diff(np.concatenate([[0], np.cumsum(counts)[kept]]))
        lengths = lengths[kept]
    targets = stream.target_columns(lengths)
    widths = [Width(*pair) for pair in zip(lengths.tolist(), targets.tolist(), strict=True)]
    columns = (lengths + targets).astype(np.float64)
    share = np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])
    steps = config.training.total_steps
    # cost[j]: columns of all lengths up to the j-th, the last of the widths chosen so far.
    cost = columns * share[1:]
    came_from = [np.full(len(widths), -1)]
    best, chosen = cost[-1] * steps + PROGRAM_COLUMNS, 1
    for number in range(2, MOST_WIDTHS + 1):
        candidates = cost[None, :] + columns[:, None] * (share[1:, None] - share[None, 1:])
        candidates[np.triu_indices(len(widths))] = np.inf
        came_from.append(candidates.argmin(axis=1))
        cost = candidates.min(axis=1)
        total = cost[-1] * steps + number * PROGRAM_COLUMNS
        if total < best:
            best, chosen = total, number
    last, best_widths = len(widths) - 1, list[Width]()
    for number in range(chosen, 0, -1):
        best_widths.insert(0, widths[last])
        last = int(came_from[number - 1][last])
    return tuple(best_widths)


def mean_width(stream: TrainingStream, widths: Sequence[Width]) -> tuple[float, float]:
    """Return the mean numbers of columns of sources and of targets padded to these widths."""
    lengths, counts = stream.length_counts()
    fitting = np.searchsorted([width.n_in for width in widths], lengths)
    n_in, n_out = np.average(np.array(widths)[fitting], axis=0, weights=counts)
    return float(n_in), float(n_out)


class Batches:
    """The batches of a stream's training steps."""

    def __init__(self, stream: Stream, widths: Sequence[Width], config: RunConfig) -> None:
        self._stream, self._widths = stream, widths
        self._size, self._seed = config.training.batch_size, config.training.seed
        self._epoch_steps = config.training.epoch_steps
        fitting = WINDOW_INTEGERS // (self._size * stream.longest)
        self._window_steps = max(1, min(WINDOW, fitting))
        self._window = lru_cache(maxsize=2)(self._make_window)

    def draw(self, step: int, n: int) -> tuple[Ids, Ids]:
        """Return the batches of up to `n` steps, starting at `step`, that have the same width.

        Sources are (steps * batch_size, n_in), targets (steps * batch_size, n_out).
        """
        if len(self._widths) == 1:
            return self._stream.draw(Split.TRAIN, step * self._size, n * self._size)
        epoch, within = divmod(step, self._epoch_steps)
        number, first = divmod(within, self._window_steps)
        sources, targets, widths = self._window(epoch, number)
        same = widths[first : first + n] == widths[first]
        n = len(same) if same.all() else int(same.argmin())
        rows = slice(first * self._size, (first + n) * self._size)
        width = self._widths[widths[first]]
        return sources[rows, : width.n_in], targets[rows, : width.n_out]

    def _make_window(self, epoch: int, number: int) -> tuple[Ids, Ids, NDArray[np.int64]]:
        """Return a window's rows in the order of its steps, and the index of each step's width.

        The batches are in random order: sorted by length they are learned less well.
        """
        first = number * self._window_steps
        n = min(self._window_steps, self._epoch_steps - first)
        first += epoch * self._epoch_steps
        sources, targets = self._stream.draw(Split.TRAIN, first * self._size, n * self._size)
        n_in, n_out = lengths(sources), lengths(targets)
        order = np.lexsort((n_out, n_in)).reshape(n, self._size)
        longest = np.stack([n_in[order].max(axis=1), n_out[order].max(axis=1)], axis=1)
        limits = np.array(self._widths)
        assert (longest <= limits[-1]).all()
        fits = (longest[:, None] <= limits).all(axis=2)  # (batches, widths)
        generator = np.random.Generator(np.random.Philox(key=[self._seed, 2**34 + first]))
        turned = generator.permutation(n)
        rows = order[turned].ravel()
        return sources[rows], targets[rows], fits.argmax(axis=1)[turned]


class HeldOutBatch(NamedTuple):
    """Sequences that are validated together; the arrays of all batches have the same size."""

    sources: Ids  # (rows, n_in)
    targets: Ids  # (rows, n_out)
    n: int  # number of rows that count; the others have no target


class HeldOutBatches:
    """The first rows of a stream's validation split, in batches of similar length and equal size.

    They are drawn again in each iteration, unless they are small enough to be kept.
    """

    def __init__(self, stream: Stream, widths: Sequence[Width], n_samples: int, most: int) -> None:
        """Take `n_samples` rows, at most `most` of them per batch; the last width fits all."""
        self._stream, self._widths, self._n_samples = stream, widths, n_samples
        self._size = -(-n_samples // -(-n_samples // most))
        fitting = KEPT_BYTES // (4 * self._size * sum(widths[-1]))
        self._window = max(1, fitting) * self._size
        self._kept: list[HeldOutBatch] | None = None

    @property
    def are_kept(self) -> bool:
        """Whether the batches are drawn only once."""
        return self._n_samples <= self._window

    def __iter__(self) -> Iterator[HeldOutBatch]:
        if self.are_kept and self._kept is None:
            self._kept = list(self._draw())
        return iter(self._kept) if self._kept is not None else self._draw()

    def _draw(self) -> Iterator[HeldOutBatch]:
        for first in range(0, self._n_samples, self._window):
            n = min(self._window, self._n_samples - first)
            sources, targets = self._stream.draw(Split.VALIDATION, first, n)
            order = np.lexsort((lengths(targets), lengths(sources)))
            for start in range(0, n, self._size):
                yield self._batch(sources, targets, order[start : start + self._size])

    def _batch(self, sources: Ids, targets: Ids, rows: NDArray[np.int64]) -> HeldOutBatch:
        longest = lengths(sources[rows]).max(), lengths(targets[rows]).max()
        n_in, n_out = next(
            width for width in self._widths if width[0] >= longest[0] and width[1] >= longest[1]
        )
        # A source of padding alone would leave attention nothing to look at.
        filled = sources[np.resize(rows, self._size)]
        ended = np.full((self._size, targets.shape[1]), PADDING, np.int32)
        ended[: len(rows)] = targets[rows]
        return HeldOutBatch(filled[:, :n_in], ended[:, :n_out], len(rows))
