"""The tasks: vectorised functions from sources to targets.

A further task is one function and one line in TASKS; a user's own comes from `own_tasks`.
"""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from seq2seq_cli.config import Lengths, TaskConfig
from seq2seq_cli.data.sampling import check_drawable
from seq2seq_cli.data.vocabulary import PADDING, Ids, lengths
from seq2seq_cli.errors import ConfigurationError

TaskFunction = Callable[[Ids, int], Ids]
"""Maps sources (n, n_in) and the configured n_out to targets (n, target length)."""

OWN_TASK = ".py:"
"""Stands in the name of a user's own task, path/to/file.py:function."""

OWN_DATA = "own-data"
"""The name of the task that the pairs of a file are."""

PROBES = 8
"""Sources of each length that an own task is tried on, to learn how long its targets are."""


@dataclass(frozen=True)
class Task:
    """A named way to make targets from sources.

    `takes_n_out` tells whether the configured n_out makes the target's length; otherwise it follows
    from the source. Of an `own` task, a user's, nothing is known beforehand: every target is
    checked, and how long they are is found by trying.
    """

    name: str
    summary: str
    function: TaskFunction
    takes_n_out: bool = False
    own: bool = False

    def targets(self, sources: Ids, n_out: int, cardinality: int) -> Ids:
        """Return the targets of padded sources (n, longest), padded too: (n, longest target).

        Raises ConfigurationError, naming source and value, where an own task returns what is no
        value of the vocabulary.
        """
        n_in = lengths(sources)
        if not len(sources) or n_in.min() == sources.shape[1]:
            return self._whole_targets(sources, n_out, cardinality)
        parts = [
            (n_in == n, self._whole_targets(sources[n_in == n, :n], min(n_out, n), cardinality))
            for n in np.unique(n_in)
        ]
        padded = np.full((len(sources), max(part.shape[1] for _, part in parts)), PADDING, np.int32)
        for rows, part in parts:
            padded[rows, : part.shape[1]] = part
        return padded

    def target_length(self, n_in: Lengths, n_out: int, cardinality: int) -> int:
        """Return the length of the longest target of sources of these lengths.

        An own task is tried on some sources of each length; ConfigurationError where it fails.
        """
        return self.target_lengths(n_in.shortest, [n_in.longest], n_out, cardinality)[0]

    def target_lengths(
        self, shortest: int, limits: Iterable[int], n_out: int, cardinality: int
    ) -> list[int]:
        """Return it for sources from the shortest up to each of these lengths, which ascend."""
        if not self.own:
            sources = (np.ones((1, n), np.int32) for n in limits)
            return [
                self._whole_targets(source, min(n_out, source.shape[1]), cardinality).shape[1]
                for source in sources
            ]
        generator, found = np.random.default_rng(0), list[int]()
        longest, tried = 0, shortest - 1
        for limit in limits:
            for n in range(tried + 1, limit + 1):
                probes = generator.integers(1, cardinality, (PROBES, n), np.int32)
                longest = max(longest, self._whole_targets(probes, n_out, cardinality).shape[1])
            tried = limit
            found.append(longest)
        return found

    def _whole_targets(self, sources: Ids, n_out: int, cardinality: int) -> Ids:
        """Return the targets of sources (n, n_in) without padding, as contiguous int32."""
        targets = np.ascontiguousarray(self.function(sources, n_out), np.int32)
        if self.own:
            wrong = np.argwhere((targets < 1) | (targets >= cardinality))
            if len(wrong):
                row, place = wrong[0]
                raise ConfigurationError(
                    f"task {self.name}: for the source {' '.join(map(str, sources[row]))} it "
                    f"returned {targets[row, place]}: with task.cardinality = {cardinality}, "
                    f"values go from 1 to {cardinality - 1}"
                )
        return targets


def reverse_prefix(sources: Ids, n_out: int) -> Ids:
    """Return the first `n_out` integers, reversed: the tutorial's task."""
    return sources[:, :n_out][:, ::-1]


def reverse(sources: Ids, n_out: int) -> Ids:
    """Return the whole source, reversed."""
    return sources[:, ::-1]


def copy(sources: Ids, n_out: int) -> Ids:
    """Return the source as it is."""
    return sources


def sort(sources: Ids, n_out: int) -> Ids:
    """Return the source's integers in ascending order."""
    return np.sort(sources, axis=1)


TASKS = {
    task.name: task
    for task in (
        Task("reverse-prefix", "the first n_out integers, reversed", reverse_prefix, True),
        Task("reverse", "all integers, reversed", reverse),
        Task("copy", "all integers, as they are", copy),
        Task("sort", "all integers, in ascending order", sort),
    )
}


def is_own(config: TaskConfig) -> bool:
    """Tell whether targets come from a user: from a file of pairs, or from code of his own."""
    return bool(config.data) or OWN_TASK in config.name


def takes_n_out(config: TaskConfig) -> bool:
    """Tell whether n_out is the user's to choose: the target does not follow from the source."""
    return not is_own(config) and config.name in TASKS and TASKS[config.name].takes_n_out


def find_task(config: TaskConfig) -> Task:
    """Return the built-in task of a configuration; ConfigurationError where there is none.

    Own data and a user's own task have no function here, since nothing but the user may name the
    code or the file that they are made by.
    """
    if config.data:
        raise ConfigurationError(f"the run's pairs are those of {config.data}: give --data FILE")
    if OWN_TASK in config.name:
        raise ConfigurationError(
            f"the run's task is your own code, which is run only if you name it: add --task "
            f"{config.name}"
        )
    if wrong := problems(config):
        raise ConfigurationError("\n".join(wrong))
    return TASKS[config.name]


def longest_target(config: TaskConfig, n_in: int) -> int:
    """Return how many tokens decoding may take for a source of `n_in` integers.

    It is the target's length and its end of sequence. Of own data and own tasks only the longest
    target of the training is known: where lengths vary, twice as many and some more are allowed.
    """
    if is_own(config):
        return 2 * config.n_out + 10 if config.has_end else config.n_out
    task = find_task(config)
    length = task.target_length(Lengths(n_in, n_in), config.n_out, config.cardinality)
    return length + int(config.has_end)


def problems(config: TaskConfig) -> list[str]:
    """Return a line for each thing that is wrong with a task's settings."""
    if is_own(config):
        return []
    if config.validation_data:
        return [f"task.validation_data = {config.validation_data!r}: needs task.data"]
    if config.name not in TASKS:
        close = difflib.get_close_matches(config.name, TASKS, n=1)
        meant = f"did you mean {close[0]}?" if close else f"use one of {', '.join(TASKS)}"
        return [f"task.name = {config.name!r}: no such task; {meant}, or path/to/file.py:function"]
    if TASKS[config.name].takes_n_out and config.n_out > config.lengths.longest:
        return [f"task.n_out = {config.n_out}: should be at most task.n_in, which is {config.n_in}"]
    return []


def wrong_settings(config: TaskConfig) -> list[str]:
    """Return a line for each thing that is wrong with what a user gives: values of no effect too.

    What a run was saved with may have some of no effect, and has `problems` at the most. Raises
    ConfigurationError for sources that are too long to be drawn.
    """
    if not config.data:
        check_drawable(config.lengths)
    return problems(config) or ignored_settings(config)


def ignored_settings(config: TaskConfig) -> list[str]:
    """Return a line for each setting that a user has given and that would be of no effect."""
    given = config.model_fields_set
    if config.data:
        if "name" in given and config.name != OWN_DATA:
            return [f"task.name = {config.name!r}: own data is no task; leave one of both out"]
        return []
    if "n_out" not in given or is_own(config) or takes_n_out(config):
        return []
    length = find_task(config).target_length(config.lengths, config.n_out, config.cardinality)
    if config.n_out == length:
        return []
    return [
        f"task.n_out = {config.n_out}: the targets of {config.name} are as long as their sources, "
        f"{config.n_in}; leave it out"
    ]
