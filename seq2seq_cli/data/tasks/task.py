"""What a task is: a function from sources to targets, and facts about it; the built-in tasks."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.config import DigitOrder, Lengths, TaskConfig
from seq2seq_cli.data.vocabulary import PADDING, Ids, lengths

EXAMPLE = (4, 9, 2, 4, 7)
EXAMPLE_CARDINALITY = 11
"""The source of a task's example, unless the task has another, and the cardinality of all."""

OTHER_ORDER = "the same integers in another order"
"""The sources that have the same target if order does not matter."""


class Level(StrEnum):
    """The weakest machine that can do a task for sources of any length (Delétang et al. 2023).

    The target begins after the whole source has been read. So repeating a source takes a queue,
    which is context-sensitive, and reversing it takes a stack. The cardinality is fixed, so a task
    that has to remember one value per id is regular.
    """

    REGULAR = "regular"
    CONTEXT_FREE = "context-free"
    CONTEXT_SENSITIVE = "context-sensitive"


class Parameters(NamedTuple):
    """The settings that targets may depend on besides the sources."""

    n_out: int
    cardinality: int
    k: int
    digit_order: DigitOrder

    @property
    def n_values(self) -> int:
        """The number of values, which are 1 .. cardinality-1."""
        return self.cardinality - 1


Integers = NDArray[np.int32] | NDArray[np.int64]

TaskFunction = Callable[[Ids, Parameters], Integers]
"""Maps sources (n, n_in) of one length to targets (n, target length)."""


class Number(NamedTuple):
    """The setting `k` of a task: its default by cardinality, its maximum by number of values."""

    default: Callable[[int], int]
    maximum: Callable[[int], int]


Positions = NDArray[np.int64]


@dataclass(frozen=True)
class SourceForm:
    """How the sources of a task are built if they are not uniform.

    `build` makes sources (n, n_in) from drawn integers (n, n_drawn), one position below
    `n_positions` for each row (n,), and the cardinality. The integers are drawn from all values
    except the `reserved` largest. Sources have `shortest` integers, or more by a multiple of 2.
    `count` returns the number of sources of a length for a number of values.
    """

    build: Callable[[Ids, Positions, int], Ids]
    shortest: int
    n_drawn: Callable[[int], int]
    n_positions: Callable[[int], int]
    count: Callable[[int, int], int]
    reserved: int = 0

    def lengths(self, limits: Lengths) -> range:
        """Return the lengths within these limits that sources can have."""
        longer = max(0, limits.shortest - self.shortest)
        return range(self.shortest + (longer + 1) // 2 * 2, limits.longest + 1, 2)

    def fit(self, length: int) -> int:
        """Return the longest possible length up to this one, or the shortest possible."""
        return self.shortest + max(0, length - self.shortest) // 2 * 2

    def problem(self, limits: Lengths) -> str:
        """Return why there are no sources within these limits; empty if there are some."""
        if self.lengths(limits):
            return ""
        several = ", ".join(str(self.shortest + 2 * i) for i in range(3))
        return f"sources of this task have {several}... integers"

    def draw(
        self, generator: np.random.Generator, drawn: Ids, possible: range, cardinality: int
    ) -> Ids:
        """Return padded sources of possible lengths, built from the integers `drawn`.

        Both have shape (n, longest).
        """
        n_in = possible.start + possible.step * generator.integers(0, len(possible), len(drawn))
        sources = np.full(drawn.shape, PADDING, np.int32)
        for length in np.unique(n_in).tolist():
            integers = drawn[n_in == length, : self.n_drawn(length)]
            positions = generator.integers(0, self.n_positions(length), len(integers))
            sources[n_in == length, :length] = self.build(integers, positions, cardinality)
        return sources


@dataclass(frozen=True)
class Task:
    """A named function from sources to targets, with its properties.

    - `takes_n_out`: the setting `n_out` is the target's length. Otherwise the length follows from
      the source's, exactly or, if the task `ends_early`, as its maximum: padding fills the rest.
    - `number` and `digit_order`: what the setting `k` means and the default of `digit_order`, for a
      task that has these settings.
    - `counts`: targets contain counts, so no source may be longer than the largest value.
    - `alike`: which other sources have the same target, if that is simple to say.
    - `form`: how sources are built, if they are not uniform.
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
    sha256: str = ""  # of a custom task's file
    counts: bool = False
    least_cardinality: int = 2
    alike: str = ""
    form: SourceForm | None = None

    def parameters(self, config: TaskConfig) -> Parameters:
        """Return the task's settings, with the task's defaults for those that are not set."""
        k = config.k or (self.number.default(config.cardinality) if self.number else 1)
        order = config.digit_order or self.digit_order or "big-endian"
        return Parameters(config.n_out, config.cardinality, k, order)

    def settle(self, config: TaskConfig) -> TaskConfig:
        """Return the configuration with the task's defaults, and with its end of sequence."""
        update: dict[str, object] = {}
        parameters = self.parameters(config)
        if self.number and config.k is None:
            update["k"] = parameters.k
        if self.digit_order and config.digit_order is None:
            update["digit_order"] = parameters.digit_order
        if self.ends_early and config.end_of_sequence is None:
            update["end_of_sequence"] = True
        return config.model_copy(update=update) if update else config

    def targets(self, sources: Ids, config: TaskConfig) -> Ids:
        """Return the padded targets (n, longest target) of padded sources (n, longest).

        Raises ConfigurationError, naming source and value, if a custom task returns an id that is
        not a value of the vocabulary.
        """
        n_in, parameters = lengths(sources), self.parameters(config)
        if not len(sources) or n_in.min() == sources.shape[1]:
            return self.unpadded_targets(sources, parameters)
        parts = [
            (n_in == n, self.unpadded_targets(sources[n_in == n, :n], parameters))
            for n in np.unique(n_in)
        ]
        padded = np.full((len(sources), max(part.shape[1] for _, part in parts)), PADDING, np.int32)
        for rows, part in parts:
            padded[rows, : part.shape[1]] = part
        return padded

    def target_length(self, n_in: Lengths, config: TaskConfig) -> int:
        """Return the maximum length of the targets of sources of these lengths.

        A custom task is tried on some sources of each length; ConfigurationError if it fails.
        """
        return self.target_lengths(n_in.shortest, [n_in.longest], config)[0]

    def target_lengths(self, shortest: int, limits: Iterable[int], config: TaskConfig) -> list[int]:
        """Return `target_length` for sources from `shortest` up to each of the ascending limits."""
        sources = (np.ones((1, n), np.int32) for n in limits)
        return [self.unpadded_targets(s, self.parameters(config)).shape[1] for s in sources]

    def unpadded_targets(self, sources: Ids, parameters: Parameters) -> Ids:
        """Return the targets of sources (n, n_in) without padding, as contiguous int32."""
        return np.ascontiguousarray(self.function(sources, parameters), np.int32)


TASKS: dict[str, Task] = {}
"""The built-in tasks by name."""


def register(
    name: str, summary: str, level: Level, **facts: Any
) -> Callable[[TaskFunction], TaskFunction]:
    """Register the decorated function as a task; `facts` are further fields of `Task`."""

    def add(function: TaskFunction) -> TaskFunction:
        TASKS[name] = Task(name, summary, function, level, **facts)
        return function

    return add
