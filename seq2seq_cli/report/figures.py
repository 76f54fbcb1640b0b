"""The charts' data: plain arrays, made from a run's history and evaluation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from seq2seq_cli.config import TrainingConfig
from seq2seq_cli.data.vocabulary import PADDING, Ids, Vocabulary, lengths, unpad, widen
from seq2seq_cli.evaluation import Example
from seq2seq_cli.generalization import LengthCurve
from seq2seq_cli.metrics import Counts, matches, wilson_interval
from seq2seq_cli.runs.history import EpochRecord


@dataclass(frozen=True)
class Series:
    """Figures over the sequences that a training has seen."""

    samples: tuple[int, ...] = ()
    loss: tuple[float, ...] = ()
    exact_match: tuple[float, ...] = ()
    learning_rate: tuple[float, ...] = ()


@dataclass(frozen=True)
class LearningCurve:
    """A run's training, and its validations on held-out sequences; losses are nats a token."""

    run: str
    training: Series  # of what was trained on
    held_out: Series


def learning_curve(
    run: str, history: Iterable[EpochRecord], training: TrainingConfig
) -> LearningCurve:
    """Return the curve of a history: each call of the program, and each validation."""
    calls, validations = list[tuple[float, ...]](), list[tuple[float, ...]]()
    size = training.batch_size
    for record in history:
        samples = record.steps_done * size
        validations.append((samples, record.loss, record.exact_match, record.learning_rate))
        for call in record.calls:
            share, rate = call.exact_match, call.learning_rate
            calls.append((call.steps_done * size, call.loss, share, rate))
    return LearningCurve(run, _series(calls), _series(validations))


def _series(rows: list[tuple[float, ...]]) -> Series:
    if not rows:
        return Series()
    samples, loss, share, rate = zip(*rows, strict=True)
    return Series(tuple(map(int, samples)), loss, share, rate)


@dataclass(frozen=True)
class Shares:
    """Shares of what is right, each with its 95 % interval and the number that it is of."""

    at: tuple[int, ...]  # positions or lengths
    share: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    n: tuple[int, ...]


def shares(counts: Mapping[int, tuple[int, int]], exact: bool = False) -> Shares:
    """Return the shares of right and all ones by position or length, leaving out what has none.

    Where they are `exact`, being all that there are, both ends of an interval are the share.
    """
    rows = [
        (at, right / n, *((right / n,) * 2 if exact else wilson_interval(right, n)), n)
        for at, (right, n) in sorted(counts.items())
        if n
    ]
    return Shares(*zip(*rows, strict=True)) if rows else Shares((), (), (), (), ())


def carried(curve: LengthCurve) -> Shares:
    """Return the exact match at each length that has held-out sources."""
    rows = [
        (r.length, r.exact_match, r.exact_match_low, r.exact_match_high, r.n_samples)
        for r in curve.lengths
        if r.exact_match is not None
    ]
    return Shares(*zip(*rows, strict=True)) if rows else Shares((), (), (), (), ())


@dataclass(frozen=True)
class Confusions:
    """Which tokens are taken for which, most often first, of all `tokens` that were predicted."""

    expected: tuple[str, ...]
    predicted: tuple[str, ...]
    n: tuple[int, ...]
    tokens: int
    wrong: int


MOST_KEPT = 10
"""Wrongly predicted sequences that are kept, and as many right ones."""

MOST_SOURCES = 300
"""Sources that are kept."""


@dataclass
class Observations:
    """What there is to see in an evaluation's batches; its method `add` observes them."""

    vocabulary: Vocabulary
    positions: dict[int, tuple[int, int]] = field(default_factory=dict)  # right and all tokens
    lengths: dict[int, tuple[int, int]] = field(default_factory=dict)  # right and all sequences
    wrong: list[Example] = field(default_factory=list)
    right: list[Example] = field(default_factory=list)
    sources: list[list[int]] = field(default_factory=list)
    _pairs: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, sources: Ids, targets: Ids, tokens: Ids) -> None:
        """Count a batch."""
        real, width = targets != PADDING, targets.shape[1]
        fitted = widen(tokens[:, :width], width)
        same = (fitted == targets) & real
        _count(self.positions, range(1, width + 1), same.sum(axis=0), real.sum(axis=0))
        exact, n_in = matches(tokens, targets), lengths(sources)
        for length in np.unique(n_in).tolist():
            mine = exact[n_in == length]
            _count(self.lengths, [length], mine.sum(keepdims=True), np.array([len(mine)]))
        self.sources += unpad(sources[: MOST_SOURCES - len(self.sources)])
        off = real & ~same
        pairs, n = np.unique(np.stack([targets[off], fitted[off]]), axis=1, return_counts=True)
        for expected, predicted, times in zip(*pairs.tolist(), n.tolist(), strict=True):
            pair = expected, predicted
            self._pairs[pair] = self._pairs.get(pair, 0) + times
        for kept, rows in ((self.wrong, ~exact), (self.right, exact)):
            for row in np.flatnonzero(rows)[: MOST_KEPT - len(kept)]:
                source = next(iter(unpad(sources[row : row + 1])))
                strip = self.vocabulary.strip
                kept.append(Example(source, strip(targets[row]), strip(tokens[row])))

    def confusions(self, most: int = 15) -> Confusions:
        """Return the most frequent ones."""
        found = sorted(self._pairs.items(), key=lambda item: (-item[1], item[0]))[:most]
        return Confusions(
            expected=tuple(self._name(expected) for (expected, _), _ in found),
            predicted=tuple(self._name(predicted) for (_, predicted), _ in found),
            n=tuple(n for _, n in found),
            tokens=sum(n for _, n in self.positions.values()),
            wrong=sum(self._pairs.values()),
        )

    def _name(self, token: int) -> str:
        if token == PADDING:
            return "nothing"
        return "end" if token == self.vocabulary.end else str(token)


def _count(counts: dict[int, tuple[int, int]], at: Iterable[int], right: Counts, n: Counts) -> None:
    for key, more_right, more in zip(at, right.tolist(), n.tolist(), strict=True):
        before = counts.get(key, (0, 0))
        counts[key] = before[0] + more_right, before[1] + more
