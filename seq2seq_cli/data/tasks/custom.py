"""Custom tasks: functions in a user's Python file, from sources to targets."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.custom_code import load_function
from seq2seq_cli.data.tasks.task import Parameters, Task
from seq2seq_cli.data.vocabulary import PADDING, Ids, lengths
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.storage import sha256_of

PROBES = 8
"""Sources of each length that a custom task is tried on to find the lengths of its targets."""

PROBES_OF_ONE_LENGTH = 64
"""The same if all sources have one length: the trial also decides whether targets end early."""


class Probe(NamedTuple):
    """What a custom task returned when it was tried on sources of one length."""

    columns: int
    shortest: int  # of the targets
    longest: int


@dataclass(frozen=True)
class CustomTask(Task):
    """A task about which nothing is known beforehand.

    Every target is checked. The target lengths are found by trying the task once for each source
    length; `probes` keeps the results.
    """

    probes: dict[tuple[int, int], Probe] = field(default_factory=dict, compare=False, repr=False)

    def settle(self, config: TaskConfig) -> TaskConfig:
        """Return the configuration, with an end of sequence if some targets are shorter.

        Raises ConfigurationError if all targets are empty, or if the end is needed but turned off.
        If the sources' lengths vary, the configuration has an end anyway.
        """
        if config.lengths.vary:
            return config
        n_in = config.lengths.longest
        probe = self._probe(n_in, config)
        if not probe.longest:
            raise ConfigurationError(
                f"task {self.name}: every target was empty when it was tried on sources of {n_in} "
                f"integers: values go from 1 to {config.cardinality - 1}"
            )
        if probe.shortest == probe.columns:
            return config
        if config.end_of_sequence is False:
            raise ConfigurationError(
                f"task.end_of_sequence = false: some targets of {self.name} are shorter than "
                "others, so they need their end"
            )
        return config.model_copy(update={"end_of_sequence": True})

    def target_lengths(self, shortest: int, limits: Iterable[int], config: TaskConfig) -> list[int]:
        """Return the maximum lengths of targets, see Task; the task is tried on each length."""
        maxima, maximum, next_length = list[int](), 0, shortest
        for limit in limits:
            for n_in in range(next_length, limit + 1):
                maximum = max(maximum, self._probe(n_in, config).columns)
            next_length = limit + 1
            maxima.append(maximum)
        return maxima

    def unpadded_targets(self, sources: Ids, parameters: Parameters) -> Ids:
        """Return the checked targets of sources (n, n_in); ConfigurationError for a bad one."""
        try:
            targets: NDArray[Any] = np.asarray(self.function(sources.copy(), parameters))
        except (Exception, SystemExit) as error:
            raise ConfigurationError(
                f"task {self.name}: it raised {type(error).__name__}: {error}"
            ) from error
        if targets.ndim != 2 or len(targets) != len(sources):
            raise ConfigurationError(
                f"task {self.name}: for sources of shape {sources.shape} it returned "
                f"{targets.shape}, and should return ({len(sources)}, any number)"
            )
        if targets.dtype.kind not in "iu":
            raise ConfigurationError(
                f"task {self.name}: it returned {targets.dtype}: should be integers"
            )
        wrong = (targets < 0) | (targets >= parameters.cardinality)
        wrong[:, :-1] |= (targets[:, :-1] == PADDING) & (targets[:, 1:] != PADDING)
        if wrong.any():
            row, position = np.argwhere(wrong)[0]
            raise ConfigurationError(
                f"task {self.name}: for the source {' '.join(map(str, sources[row]))} it returned "
                f"{targets[row, position]}: with task.cardinality = {parameters.cardinality}, "
                f"values go from 1 to {parameters.n_values}, and 0 fills the end of a row"
            )
        return np.ascontiguousarray(targets, np.int32)

    def _probe(self, n_in: int, config: TaskConfig) -> Probe:
        key = (n_in, config.cardinality)
        if key not in self.probes:
            shape = (PROBES if config.lengths.vary else PROBES_OF_ONE_LENGTH, n_in)
            generator = np.random.default_rng(1)
            sources = generator.integers(1, config.cardinality, shape, np.int32)
            targets = self.unpadded_targets(sources, self.parameters(config))
            n_out = lengths(targets)
            self.probes[key] = Probe(targets.shape[1], int(n_out.min()), int(n_out.max()))
        return self.probes[key]


def load_task(name: str) -> CustomTask:
    """Import the task named `name`, path/to/file.py:function.

    The function takes sources, int32 (n, n_in), and returns their targets (n, any length): values
    from 1 to cardinality-1, and zeros at the ends of shorter ones. Raises ConfigurationError if it
    cannot be imported.
    """
    function = load_function("task", name)
    sha256 = sha256_of(Path(name.rpartition(":")[0]).read_bytes())
    return CustomTask(name, "a custom task", lambda sources, _: function(sources), sha256=sha256)
