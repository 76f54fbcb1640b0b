"""Lengths grown in stages: what is too long to be learned from the start is learned short first.

A stage is a task of smaller lengths and the optimizer steps that are taken on it. The stages are
the first part of a training; what is left of its steps is taken at full length.
"""

from collections.abc import Iterator
from typing import NamedTuple

from seq2seq_cli.config import RunConfig, TaskConfig
from seq2seq_cli.tasks import get_task

SHORTEST = 16
"""Sources of up to this length need no curriculum; the automatic one begins with it."""

GROWTH = 2.5
"""By how much the automatic curriculum's stages grow, about."""


class Stage(NamedTuple):
    """The steps before `stop` that are not an earlier stage's are taken on this task."""

    stop: int
    task: TaskConfig


def stages(config: RunConfig, total_steps: int) -> list[Stage]:
    """Return the stages of a training of so many steps; the last one is at full length."""
    found: list[Stage] = []
    wanted = config.training.curriculum
    if wanted == "auto":
        tasks = list(_grown(config.task))
        share = total_steps // (len(tasks) + 1)
        found = [Stage(share * number, task) for number, task in enumerate(tasks, 1)]
    elif not isinstance(wanted, str):
        done = 0
        for stage in wanted:
            done += stage.steps
            update = {"n_in": stage.n_in, "n_out": stage.n_out or config.task.n_out}
            found.append(Stage(done, config.task.model_copy(update=update)))
    found = [stage for stage in found if stage.stop < total_steps]
    return [*found, Stage(total_steps, config.task)]


def _grown(task: TaskConfig) -> Iterator[TaskConfig]:
    """Yield the task at growing lengths, all below its own.

    A target whose length is free has at most half its source's.
    """
    number = 0
    while task.longest > SHORTEST * GROWTH**number * 1.2:
        longest = round(SHORTEST * GROWTH**number)
        n_in = f"{min(task.shortest, longest)}-{longest}" if task.varies else longest
        n_out = min(task.n_out, longest // 2) if get_task(task).takes_n_out else task.n_out
        yield task.model_copy(update={"n_in": n_in, "n_out": n_out})
        number += 1
