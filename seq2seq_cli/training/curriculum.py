"""Lengths grown in stages: what is too long to be learned from the start is learned short first.

A stage is a task of smaller lengths and the optimizer steps that are taken on it. The stages are
the first part of a training; what is left of its steps is taken at full length.
"""

from collections.abc import Iterator
from typing import NamedTuple

from seq2seq_cli.config import RunConfig, TaskConfig
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.own_tasks import fit_own_task
from seq2seq_cli.tasks import get_task

SHORTEST = 16
"""Sources of up to this length need no curriculum; the automatic one begins with it."""

GROWTH = 2.5
"""By how much the automatic curriculum's stages grow, about."""


class Stage(NamedTuple):
    """The steps before `stop` that are not an earlier stage's are taken on this task."""

    stop: int
    task: TaskConfig
    distinct: int = 0  # integers that each source is drawn from; 0: all


def stages(config: RunConfig) -> list[Stage]:
    """Return the stages of a training; the last one is at full length.

    Raises ConfigurationError for stages that do not fit the task, or that leave no steps.
    """
    wanted, total_steps = config.training.curriculum, config.training.total_steps
    found: list[Stage] = []
    if wanted == "auto":
        tasks = list(_grown(config.task))
        share = total_steps // (len(tasks) + 1)
        found = [Stage(share * number, task) for number, task in enumerate(tasks, 1) if share]
    elif not isinstance(wanted, str):
        done = 0
        for number, stage in enumerate(wanted):
            done += stage.steps
            try:
                task = _shorter(config.task, stage.n_in, stage.n_out)
                get_task(task)
            except ConfigurationError as error:
                raise ConfigurationError(f"training.curriculum, stage {number}: {error}") from error
            if stage.distinct and config.task.data:
                raise ConfigurationError(
                    f"training.curriculum, stage {number}: distinct = {stage.distinct}: own data "
                    "is taken as it is; leave it out"
                )
            found.append(Stage(done, task, stage.distinct))
        if done >= total_steps:
            raise ConfigurationError(
                f"training.curriculum: its stages take {done:,} steps and the training has "
                f"{total_steps:,}, so none is left at full length: give more --n-samples or fewer "
                "steps"
            )
    return [*found, Stage(total_steps, config.task)]


def _grown(task: TaskConfig) -> Iterator[TaskConfig]:
    """Yield the task at growing lengths, all below its own.

    A target whose length is free has at most half its source's.
    """
    longest = float(SHORTEST)
    while task.longest > longest * 1.2:
        if longest >= task.shortest or not task.varies:
            length = round(longest)
            n_in = f"{task.shortest}-{length}" if task.varies else length
            yield _shorter(task, n_in, min(task.n_out, length // 2))
        longest *= GROWTH


def _shorter(task: TaskConfig, n_in: int | str, n_out: int) -> TaskConfig:
    """Return the task with sources of these lengths and targets of `n_out`, where that is free."""
    takes_n_out = get_task(task).takes_n_out
    task = task.with_lengths(n_in)
    if not takes_n_out:
        return task
    n_out = n_out or min(task.n_out, task.longest)
    return fit_own_task(task.model_copy(update={"n_out": n_out}))
