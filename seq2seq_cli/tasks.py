"""The tasks: vectorised functions from sources to targets, and their registry.

A further task is one function and one line in TASKS.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.vocabulary import PADDING, Ids

TaskFunction = Callable[[Ids, int], Ids]
"""Maps sources (n, n_in) and the configured n_out to targets (n, target length)."""


@dataclass(frozen=True)
class Task:
    """A named way to make targets from sources.

    `takes_n_out` tells whether the target's length is the configured n_out; otherwise it follows
    from the source's length. `own` tasks are a user's: what is known of their targets' lengths is
    that the longest source has one of n_out.
    """

    name: str
    summary: str
    function: TaskFunction
    takes_n_out: bool = False
    own: bool = False

    def targets(self, sources: Ids, n_out: int) -> Ids:
        """Return the targets (n, target length) of `sources` (n, n_in), as contiguous int32."""
        return np.ascontiguousarray(self.function(sources, n_out), np.int32)

    def padded_targets(self, sources: Ids, n_out: int) -> Ids:
        """Return targets of sources of several lengths, both padded at their ends."""
        lengths = (sources != PADDING).sum(axis=1)
        parts = [
            (lengths == n, self.targets(sources[lengths == n, :n], min(n_out, n)))
            for n in np.unique(lengths)
        ]
        padded = np.full((len(sources), max(part.shape[1] for _, part in parts)), PADDING, np.int32)
        for rows, part in parts:
            padded[rows, : part.shape[1]] = part
        return padded

    def target_length(self, n_in: int, n_out: int) -> int:
        """Return the length of a target whose source has `n_in` integers."""
        if self.own:
            return n_out
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


OWN_TASKS: dict[str, Task] = {}
"""The user's own tasks, by what was typed; `own_tasks` adds them."""

OWN_TASK = ".py:"
OWN_DATA = "own-data"


def get_task(config: TaskConfig) -> Task:
    """Return the configured task; raises ConfigurationError where its settings are wrong.

    One that has no function in this process, being own data or an own task that nobody has named
    on this command line, raises when it is asked for targets.
    """
    if wrong := problems(config):
        raise ConfigurationError("\n".join(wrong))
    if config.data:
        return Task(OWN_DATA, "the pairs of a file", _no_function(config), True, True)
    if OWN_TASK in config.name:
        known = OWN_TASKS.get(config.name)
        return known or Task(config.name, "a user's own", _no_function(config), True, True)
    return TASKS[config.name]


def _no_function(config: TaskConfig) -> TaskFunction:
    def refuse(sources: Ids, n_out: int) -> Ids:
        if config.data:
            raise ConfigurationError(
                f"the run's pairs are those of {config.data}: give --data FILE"
            )
        raise ConfigurationError(
            f"the run's task is your own code, which is run only if you name it: add --task "
            f"{config.name}"
        )

    return refuse


def longest_target(config: TaskConfig, n_in: int) -> int:
    """Return how many tokens decoding may take for sources of up to `n_in` integers."""
    task = get_task(config)
    if not config.varies:
        return task.target_length(n_in, config.n_out)
    if task.own:
        return 2 * config.n_out + 10
    return task.target_length(n_in, config.n_out) + 1


def problems(config: TaskConfig) -> list[str]:
    """Return a line for each thing that is wrong with a task's settings."""
    if config.data or OWN_TASK in config.name:
        return []
    if config.validation_data:
        return [f"task.validation_data = {config.validation_data!r}: needs task.data"]
    if config.name not in TASKS:
        close = difflib.get_close_matches(config.name, TASKS, n=1)
        meant = f"did you mean {close[0]}?" if close else f"use one of {', '.join(TASKS)}"
        return [f"task.name = {config.name!r}: no such task; {meant}, or path/to/file.py:function"]
    if TASKS[config.name].takes_n_out and config.n_out > config.longest:
        return [f"task.n_out = {config.n_out}: should be at most task.n_in, which is {config.n_in}"]
    return []
