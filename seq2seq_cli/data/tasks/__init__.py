"""The tasks: vectorised functions from sources to targets, and what they demand of settings."""

from seq2seq_cli.data.tasks.checks import (
    OWN_DATA,
    OWN_TASK,
    find_task,
    ignored_settings,
    is_own,
    length_problem,
    longest_target,
    problems,
    takes_n_out,
    wrong_settings,
)
from seq2seq_cli.data.tasks.registry import TASKS
from seq2seq_cli.data.tasks.task import Level, Parameters, Task

__all__ = [
    "OWN_DATA",
    "OWN_TASK",
    "TASKS",
    "Level",
    "Parameters",
    "Task",
    "find_task",
    "ignored_settings",
    "is_own",
    "length_problem",
    "longest_target",
    "problems",
    "takes_n_out",
    "wrong_settings",
]
