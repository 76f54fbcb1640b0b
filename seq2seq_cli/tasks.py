"""The tasks: vectorised functions from sources to targets, and their registry.

A further task is one function and one line in TASKS.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.vocabulary import Ids

TaskFunction = Callable[[Ids, int], Ids]
"""Maps sources (n, n_in) and the configured n_out to targets (n, target length)."""


@dataclass(frozen=True)
class Task:
    """A named way to make targets from sources.

    `takes_n_out` tells whether the target's length is the configured n_out; otherwise it follows
    from the source's length.
    """

    name: str
    summary: str
    function: TaskFunction
    takes_n_out: bool = False

    def targets(self, sources: Ids, n_out: int) -> Ids:
        """Return the targets (n, target length) of `sources` (n, n_in), as contiguous int32."""
        return np.ascontiguousarray(self.function(sources, n_out), np.int32)

    def target_length(self, n_in: int, n_out: int) -> int:
        """Return the length of a target whose source has `n_in` integers."""
        return len(self.targets(np.ones((1, n_in), np.int32), n_out)[0])


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


def get_task(config: TaskConfig) -> Task:
    """Return the configured task; raises ConfigurationError where its settings are wrong."""
    if wrong := problems(config):
        raise ConfigurationError("\n".join(wrong))
    return TASKS[config.name]


def problems(config: TaskConfig) -> list[str]:
    """Return a line for each thing that is wrong with a task's settings."""
    if config.name not in TASKS:
        close = difflib.get_close_matches(config.name, TASKS, n=1)
        meant = f"did you mean {close[0]}?" if close else f"use one of {', '.join(TASKS)}"
        return [f"task.name = {config.name!r}: no such task; {meant}"]
    if TASKS[config.name].takes_n_out and config.n_out > config.n_in:
        return [f"task.n_out = {config.n_out}: should be at most task.n_in, which is {config.n_in}"]
    return []
