"""Accuracies of predicted sequences, counted batch by batch, and their confidence.

Targets may be padded: PADDING is never counted, whatever is predicted in its place. The end of
sequence is a token like others and counts in all accuracies and in the loss. A sequence is an exact
match if every token of its target is predicted, including the end, and none beyond. An accuracy
without tokens is None.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import groupby, takewhile
from math import floor, hypot, log10, sqrt
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.data.vocabulary import PADDING, Ids, lengths, widen

Counts = NDArray[np.int64]

LEARNED = 0.99
"""The minimum exact match at which a task, or a length, counts as learned."""

LEAST_CHANCE = 0.05
"""The minimum chance level that a verdict names."""

ERRORS = ("wrong_tokens", "too_long", "too_short")
"""The kinds of wrong predictions, by the sign of their length minus the target's."""

MOST_COUNTED = 10_000
"""Maximum sequences whose targets are counted for the chance level."""

Z_95 = 1.959963984540054
"""The standard normal quantile of a two-sided 95% interval."""


def percent(share: float, low: float = 0.0, high: float = 0.0) -> str:
    """Return a share as a percentage with the digits that its interval deserves, or with two.

    Only all is 100%, and only none is 0%: other shares have the digits that it takes.
    """
    if share in (0, 1):
        return f"{share:.0%}"
    digits = _digits(low, high)
    while float(f"{share:.{digits}%}"[:-1]) in (0, 100):
        digits += 1
    return f"{share:.{digits}%}"


def figure(value: float) -> str:
    """Return a number with at most three significant digits, such as 0.277 or 2.1e-4."""
    if not 0 < abs(value) < 0.001:
        return f"{value:.3g}"
    digits, exponent = f"{value:.2e}".split("e")
    return f"{float(digits):g}e{int(exponent)}"


def _digits(low: float, high: float) -> int:
    """Return the digits that the ends of an interval deserve as percentages."""
    return max(0, -floor(log10(high - low)) - 1) if high > low else 2


def percent_of(right: int, n: int, exact: bool = False) -> str:
    """Return the share of counts as a percentage; exact shares have two digits."""
    return percent(right / n, *(() if exact else wilson_interval(right, n)))


def percent_range(low: float, high: float) -> str:
    """Return the ends of an interval as percentages."""
    return f"{percent(low, low, high)} to {percent(high, low, high)}"


class Estimate(Protocol):
    """An exact match and the ends of its interval."""

    @property
    def exact_match(self) -> float:
        """The share of sequences predicted without an error."""

    @property
    def exact_match_low(self) -> float:
        """The lower end."""

    @property
    def exact_match_high(self) -> float:
        """The upper end."""


def exact_match_text(result: Estimate) -> str:
    """Return an exact match as a percentage."""
    return percent(result.exact_match, result.exact_match_low, result.exact_match_high)


def interval_text(result: Estimate) -> str:
    """Return the interval of an exact match."""
    return percent_range(result.exact_match_low, result.exact_match_high)


def lengths_text(accuracy: Mapping[int, float]) -> str:
    """Return the longest stretch of lengths learned, and the length from which half is wrong."""
    lengths = sorted(accuracy)
    groups = groupby(lengths, lambda length: accuracy[length] >= LEARNED)
    learned = [list(group) for is_learned, group in groups if is_learned]
    if sum(map(len, learned)) in (0, len(lengths)):
        return f"{'at least' if learned else 'below'} {LEARNED:.0%} at every length"
    stretch = max(reversed(learned), key=len)
    first, last = stretch[0], stretch[-1]
    where = f"from length {first} to {last}" if first > lengths[0] else f"up to length {last}"
    where = f"at length {last}" if first == last else where
    half = list(takewhile(lambda length: accuracy[length] <= 0.5, reversed(lengths)))[-1:]
    parts = [f"at least {LEARNED:.0%} {where}", *(f"half wrong from length {n}" for n in half)]
    return ", ".join(parts)


Difference = tuple[float, float, float]
"""The difference of two exact matches, and the ends of its interval."""


def difference(result: Estimate, reference: Estimate) -> Difference:
    """Return how far an exact match is above another one, with its 95% interval.

    The interval is that of two independent shares, from their Wilson intervals (Newcombe 1998,
    "Interval estimation for the difference between independent proportions", method 10).
    """
    ours, theirs = result.exact_match, reference.exact_match
    below = hypot(ours - result.exact_match_low, reference.exact_match_high - theirs)
    above = hypot(result.exact_match_high - ours, theirs - reference.exact_match_low)
    return ours - theirs, ours - theirs - below, ours - theirs + above


def difference_text(difference: Difference | None) -> tuple[str, str]:
    """Return a difference and its interval in percentage points; both are empty without one."""
    if difference is None:
        return "", ""
    digits = _digits(*difference[1:])
    value, low, high = (f"{round(100 * share, digits) + 0.0:+.{digits}f}" for share in difference)
    return value, f"{low} to {high}"


class Spread(NamedTuple):
    """The median and the range of several seeds' results."""

    median: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the range of one or more results."""
    return Spread(float(np.median(values)), min(values), max(values))


def spread_as_json(shares: Sequence[float]) -> dict[str, float | None]:
    """Return the spread of exact matches for `--json`; without any, the figures are null."""
    figures = spread(shares) if shares else (None, None, None)
    return dict(zip((f"exact_match_{name}" for name in Spread._fields), figures, strict=True))


def spread_text(shares: Sequence[float]) -> tuple[str, str]:
    """Return the median and the range of several exact matches as text."""
    if not shares:
        return "none", ""
    middle, low, high = map(percent, spread(shares))
    return middle, low if low == high else f"{low} to {high}"


def wilson_interval(successes: int, trials: int, z: float = Z_95) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion (Wilson 1927), 95% by default.

    Without trials nothing is known: (0, 1).
    """
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    scale = 1 / (1 + z * z / trials)
    centre = scale * (share + z * z / (2 * trials))
    half = scale * z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return low, high


def html_table(title: str, rows: Iterable[Sequence[str]], notes: Iterable[str] = ()) -> str:
    """Return an escaped table for notebooks; the first cell of each row is its heading."""
    lines = [f"<table><caption>{escape(title)}</caption>"]
    for heading, *cells in rows:
        shown = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        lines.append(f'<tr><th scope="row">{escape(heading)}</th>{shown}</tr>')
    lines.append("</table>")
    lines += [f"<p>note: {escape(note)}</p>" for note in notes]
    return "\n".join(lines)


def matches(predicted: Ids, targets: Ids) -> NDArray[np.bool_]:
    """Return for each sequence whether it is an exact match, (n,).

    Both arrays are (n, steps); their widths may differ. Within the targets' width any prediction is
    accepted in place of padding; beyond it only padding is.
    """
    width = targets.shape[1]
    beyond = (predicted[:, width:] != PADDING).any(axis=1)
    same = (_fit(predicted, width) == targets) | (targets == PADDING)
    return np.asarray(same.all(axis=1) & ~beyond)


def _fit(predicted: Ids, width: int) -> Ids:
    """Return the first `width` tokens of predictions (n, steps), padded if there are fewer."""
    return widen(predicted[:, :width], width)


@dataclass
class Tally:
    """Running counts of right and all tokens, positions and sequences, and the summed loss."""

    end: int = PADDING  # of sequence, which does not count in the kinds of errors
    n_samples: int = 0
    exact: int = 0
    log_likelihood: float = 0.0
    lengths: dict[int, tuple[int, int]] = field(default_factory=dict)  # right and all sequences
    right: Counts = field(default_factory=lambda: np.zeros(0, np.int64))
    all: Counts = field(default_factory=lambda: np.zeros(0, np.int64))
    targets: Counter[int] = field(default_factory=Counter)  # the first ones, by hash
    errors: Counter[str] = field(default_factory=Counter)  # wrong predictions of each kind

    def add(
        self, predicted: Ids, targets: Ids, log_likelihood: float, sources: Ids | None = None
    ) -> None:
        """Count a batch: ids (n, steps) each, and the targets' summed natural-log likelihood.

        With sources, (n, n_in), exact matches are also counted by their lengths, and equal targets
        and kinds of errors.
        """
        width, exact, real = targets.shape[1], matches(predicted, targets), targets != PADDING
        grow = max(0, width - self.right.size)
        self.right, self.all = np.pad(self.right, (0, grow)), np.pad(self.all, (0, grow))
        self.right[:width] += ((_fit(predicted, width) == targets) & real).sum(axis=0)
        self.all[:width] += real.sum(axis=0)
        self.n_samples += len(targets)
        self.exact += int(exact.sum())
        self.log_likelihood += log_likelihood
        if sources is not None:
            first = targets[: max(0, MOST_COUNTED - self.targets.total())]
            self.targets.update(hash(row.tobytes().rstrip(b"\0")) for row in first)
            sizes = [lengths(np.where(x == self.end, PADDING, x)) for x in (predicted, targets)]
            excess = np.sign(sizes[0] - sizes[1])
            self.errors.update(ERRORS[sign] for sign in excess[~exact].tolist())
        source_lengths = np.zeros(0) if sources is None else lengths(sources)
        for length in np.unique(source_lengths).tolist():
            of_length = exact[source_lengths == length]
            right, n = self.lengths.get(length, (0, 0))
            self.lengths[length] = (right + int(of_length.sum()), n + len(of_length))

    @property
    def length_accuracy(self) -> dict[int, float]:
        """Share of sequences predicted without an error, by the length of the source."""
        return {length: right / n for length, (right, n) in sorted(self.lengths.items())}

    @property
    def chance_level(self) -> float:
        """Exact match of always predicting the most frequent target; 0 if few targets are equal."""
        count = max(self.targets.values(), default=0)
        return count / self.targets.total() if count >= 5 else 0.0

    @property
    def status(self) -> str:
        """Either "learned", "not learned" or "no better than chance"."""
        if self.exact_match >= LEARNED:
            return "learned"
        return "not learned" if self.interval[0] > self.chance_level else "no better than chance"

    @property
    def verdict(self) -> list[str]:
        """The status, the chance level if it matters, the lengths learned, and the main error."""
        chance, lengths = self.chance_level, self.length_accuracy
        level = f"chance level {percent(chance)}" if chance >= LEAST_CHANCE else ""
        learned = lengths_text(lengths) if len(lengths) > 1 else ""
        return [self.status, *filter(None, (level, learned, self.main_error))]

    @property
    def main_error(self) -> str:
        """The most frequent kind of error, and the position of most wrong tokens; may be empty."""
        wrong, text = self.all - self.right, ""
        for kind, n in self.errors.most_common(1):
            text = f"main error: {kind.replace('_', ' ')} ({n:,} of {self.errors.total():,})"
            if wrong.size > 1:
                text += f", most wrong tokens at position {wrong.argmax() + 1}"
        return text

    @property
    def exact_match(self) -> float:
        """Share of sequences predicted without an error."""
        return self.exact / self.n_samples

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% Wilson interval of the exact match."""
        return wilson_interval(self.exact, self.n_samples)

    @property
    def tokens(self) -> tuple[int, int]:
        """Numbers of right and of all tokens."""
        return int(self.right.sum()), int(self.all.sum())

    @property
    def token_accuracy(self) -> float | None:
        """Share of tokens predicted correctly."""
        return _share(*self.tokens)

    @property
    def position_accuracy(self) -> list[float | None]:
        """Share of tokens predicted correctly at each position of the target."""
        return [
            _share(right, n)
            for right, n in zip(self.right.tolist(), self.all.tolist(), strict=True)
        ]

    @property
    def loss(self) -> float | None:
        """Mean cross-entropy per target token under teacher forcing, in nats."""
        return _share(-self.log_likelihood, int(self.all.sum()))


def _share(part: float, whole: int) -> float | None:
    return float(part / whole) if whole else None
