"""What a task is: a function from sources to targets, and what is known of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.config import DigitOrder, Lengths, TaskConfig
from seq2seq_cli.data.shapes import Shape
from seq2seq_cli.data.vocabulary import PADDING, Ids, lengths
from seq2seq_cli.errors import ConfigurationError

PROBES = 8
"""Sources of each length that a custom task is tried on, to learn how long its targets are."""

PROBES_OF_ONE = 64
"""The same where all sources have one length, for then it is unknown whether targets end early."""

EXAMPLE = (4, 9, 2, 4, 7)
EXAMPLE_CARDINALITY = 11
"""The source of a task's example, where it does not have its own, and the ids of all of them."""


class Level(StrEnum):
    """The least machine that can do it for sources of any length (Delétang et al. 2023).

    The target follows after the whole source, so that to repeat a source takes a queue, which is
    context-sensitive, and to reverse it a stack. With the cardinality fixed, whatever needs to
    remember a value for each id alone is regular.
    """

    REGULAR = "regular"
    CONTEXT_FREE = "context-free"
    CONTEXT_SENSITIVE = "context-sensitive"


class Parameters(NamedTuple):
    """What targets may depend on besides the sources: the task's settings, all of them settled."""

    n_out: int
    cardinality: int
    k: int
    digit_order: DigitOrder

    @property
    def n_values(self) -> int:
        """How many values there are: 1 .. cardinality-1."""
        return self.cardinality - 1


Integers = NDArray[np.int32] | NDArray[np.int64]

TaskFunction = Callable[[Ids, Parameters], Integers]
"""Maps sources (n, n_in) of one length to targets (n, target length)."""


class Probed(NamedTuple):
    """What a custom task returned for sources of one length when it was tried."""

    columns: int
    shortest: int  # of its targets
    longest: int


class Number(NamedTuple):
    """What the setting `k` is to a task; its default and its limit depend on the cardinality."""

    meaning: str
    default: Callable[[int], int]
    most: Callable[[int], int]


@dataclass(frozen=True)
class Task:
    """A named way to make targets from sources.

    `takes_n_out` tells whether the configured n_out makes the target's length; otherwise it follows
    from the source, or is at most what follows from the source's length if the task `ends_early`:
    then zeros fill a row's end, or all of it. `number` tells what the setting `k` is, and
    `digit_order` is the default of the setting of that name, where the task has them. One that
    `counts` has the number of integers in its targets. `alike` says which other sources have the
    same target, where that is plain to see. With a `shape` sources are not uniform.

    Of an `own` task, a user's, nothing is known beforehand: every target is checked, and how long
    they are is found by trying it once for each length of the sources; `probed` keeps the results.
    """

    name: str
    summary: str
    function: TaskFunction
    level: Level | None = None
    example: tuple[int, ...] = EXAMPLE
    takes_n_out: bool = False
    ends_early: bool = False
    number: Number | None = None
    digit_order: DigitOrder | None = None
    counts: bool = False
    least_cardinality: int = 2
    alike: str = ""
    shape: Shape | None = None
    own: bool = False
    probed: dict[tuple[int, int], Probed] = field(default_factory=dict, compare=False, repr=False)

    def parameters(self, config: TaskConfig) -> Parameters:
        """Return the settings of the task, those that are not given by their defaults."""
        k = config.k or (self.number.default(config.cardinality) if self.number else 1)
        order = config.digit_order or self.digit_order or "big-endian"
        return Parameters(config.n_out, config.cardinality, k, order)

    def settle(self, config: TaskConfig) -> TaskConfig:
        """Return a configuration with all that the task settles: its settings, and its end."""
        found: dict[str, object] = {}
        parameters = self.parameters(config)
        if self.number and config.k is None:
            found["k"] = parameters.k
        if self.digit_order and config.digit_order is None:
            found["digit_order"] = parameters.digit_order
        if self.ends_early and config.end_of_sequence is None:
            found["end_of_sequence"] = True
        return config.model_copy(update=found) if found else config

    def targets(self, sources: Ids, config: TaskConfig) -> Ids:
        """Return the targets of padded sources (n, longest), padded too: (n, longest target).

        Raises ConfigurationError, naming source and value, where an own task returns what is no
        value of the vocabulary.
        """
        n_in, parameters = lengths(sources), self.parameters(config)
        if not len(sources) or n_in.min() == sources.shape[1]:
            return self._whole_targets(sources, parameters)
        parts = [
            (n_in == n, self._whole_targets(sources[n_in == n, :n], parameters))
            for n in np.unique(n_in)
        ]
        padded = np.full((len(sources), max(part.shape[1] for _, part in parts)), PADDING, np.int32)
        for rows, part in parts:
            padded[rows, : part.shape[1]] = part
        return padded

    def target_length(self, n_in: Lengths, config: TaskConfig) -> int:
        """Return the length that the longest target of sources of these lengths may have.

        An own task is tried on some sources of each length; ConfigurationError where it fails.
        """
        return self.target_lengths(n_in.shortest, [n_in.longest], config)[0]

    def target_lengths(self, shortest: int, limits: Iterable[int], config: TaskConfig) -> list[int]:
        """Return it for sources from the shortest up to each of these lengths, which ascend."""
        if not self.own:
            sources = (np.ones((1, n), np.int32) for n in limits)
            return [self._whole_targets(s, self.parameters(config)).shape[1] for s in sources]
        found, longest, tried = list[int](), 0, shortest - 1
        for limit in limits:
            for n in range(tried + 1, limit + 1):
                longest = max(longest, self._probe(n, config).columns)
            tried = limit
            found.append(longest)
        return found

    def seems_to_end_early(self, n_in: int, config: TaskConfig) -> bool:
        """Tell whether some targets of sources of this length are shorter than others.

        An own task is tried on some. Raises ConfigurationError where all of their targets are
        empty.
        """
        if not self.own:
            return self.ends_early
        probed = self._probe(n_in, config)
        if not probed.longest:
            raise ConfigurationError(
                f"task {self.name}: every target was empty when it was tried on sources of {n_in} "
                f"integers: values go from 1 to {config.cardinality - 1}"
            )
        return probed.shortest < probed.columns

    def _probe(self, n_in: int, config: TaskConfig) -> Probed:
        """Return what the task makes of sources of a length; it is tried on them only once."""
        key = (n_in, config.cardinality)
        if key not in self.probed:
            shape = (PROBES if config.lengths.vary else PROBES_OF_ONE, n_in)
            generator = np.random.default_rng(1)
            sources = generator.integers(1, config.cardinality, shape, np.int32)
            targets = self._whole_targets(sources, self.parameters(config))
            n_out = lengths(targets)
            self.probed[key] = Probed(targets.shape[1], int(n_out.min()), int(n_out.max()))
        return self.probed[key]

    def _whole_targets(self, sources: Ids, parameters: Parameters) -> Ids:
        """Return the targets of sources (n, n_in) without padding, as contiguous int32."""
        targets = np.ascontiguousarray(self.function(sources, parameters), np.int32)
        if self.own:
            wrong = (targets < 0) | (targets >= parameters.cardinality)
            wrong[:, :-1] |= (targets[:, :-1] == PADDING) & (targets[:, 1:] != PADDING)
            found = np.argwhere(wrong)
            if len(found):
                row, place = found[0]
                raise ConfigurationError(
                    f"task {self.name}: for the source {' '.join(map(str, sources[row]))} it "
                    f"returned {targets[row, place]}: with task.cardinality = "
                    f"{parameters.cardinality}, values go from 1 to {parameters.n_values}, and 0 "
                    "fills the end of a row"
                )
        return targets
