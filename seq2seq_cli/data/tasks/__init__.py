"""The tasks: vectorised functions from sources to targets, and the checks of their settings."""

# Importing a module registers its tasks; `s2s tasks` lists them in this order.
from seq2seq_cli.data.tasks import (  # noqa: F401  # isort: skip
    rearrangements,
    arithmetic,
    occurrences,
    recall,
)
from seq2seq_cli.data.tasks.checks import (
    CUSTOM_DATA,
    find_task,
    ignored_settings,
    is_custom,
    length_problem,
    longest_target,
    problems,
    takes_n_out,
)
from seq2seq_cli.data.tasks.custom import CustomTask, load_task
from seq2seq_cli.data.tasks.task import TASKS, Level, Parameters, Task

__all__ = [
    "CUSTOM_DATA",
    "TASKS",
    "CustomTask",
    "Level",
    "Parameters",
    "Task",
    "find_task",
    "ignored_settings",
    "is_custom",
    "length_problem",
    "load_task",
    "longest_target",
    "problems",
    "takes_n_out",
]
