"""What tasks require of a configuration, and which task a configuration selects."""

import difflib

from seq2seq_cli.config import Lengths, TaskConfig
from seq2seq_cli.custom_code import names_function
from seq2seq_cli.data.tasks.task import TASKS, Task
from seq2seq_cli.errors import ConfigurationError

CUSTOM_DATA = "custom-data"
"""The name of the task that the pairs of a file define."""

SETTINGS_OF = {
    "k": tuple(name for name, task in TASKS.items() if task.number),
    "digit_order": tuple(name for name, task in TASKS.items() if task.digit_order),
}
"""The settings that only some tasks have, with the names of these tasks."""


def is_custom(config: TaskConfig) -> bool:
    """Return whether targets come from the user: from a file of pairs, or from a function."""
    return bool(config.data) or names_function(config.name)


def takes_n_out(config: TaskConfig) -> bool:
    """Return whether the user chooses n_out; otherwise it follows from the source."""
    return not is_custom(config) and config.name in TASKS and TASKS[config.name].takes_n_out


def find_task(config: TaskConfig) -> Task:
    """Return the built-in task of a configuration; ConfigurationError if there is none.

    Custom data and custom tasks are not found here: only the user may name their file.
    """
    if config.data:
        raise ConfigurationError("the run's pairs are in a file", "data", config.data)
    if names_function(config.name):
        raise ConfigurationError(
            f"the run's task {config.name} is custom code, which runs only if you name it",
            "task",
            config.name,
        )
    if wrong := problems(config):
        raise ConfigurationError("\n".join(wrong))
    return TASKS[config.name]


def longest_target(config: TaskConfig, n_in: int) -> int:
    """Return the maximum number of tokens, with the end, decoded for a source of `n_in` integers.

    For custom data and tasks only the longest target in training is known: if lengths vary, the
    limit is a little more than twice that.
    """
    if is_custom(config):
        return 2 * config.n_out + 10 if config.has_end else config.n_out
    return find_task(config).target_length(Lengths(n_in, n_in), config) + int(config.has_end)


def problems(config: TaskConfig) -> list[str]:
    """Return a line for each problem with a task's settings."""
    if is_custom(config):
        return []
    if config.validation_data:
        return [f"task.validation_data = {config.validation_data!r}: needs task.data"]
    if config.name not in TASKS:
        close = difflib.get_close_matches(config.name, TASKS, n=1)
        meant = f"did you mean {close[0]}?" if close else f"use one of {', '.join(TASKS)}"
        return [f"task.name = {config.name!r}: no such task; {meant}, or path/to/file.py:function"]
    task, values = TASKS[config.name], config.cardinality - 1
    lines = []
    if task.takes_n_out and config.n_out > config.lengths.longest:
        lines.append(
            f"task.n_out = {config.n_out}: should be at most task.n_in, which is {config.n_in}"
        )
    if config.cardinality < task.least_cardinality:
        lines.append(
            f"task.cardinality = {config.cardinality}: {task.name} needs at least "
            f"{task.least_cardinality}"
        )
    elif task.number and config.k and config.k > task.number.maximum(values):
        lines.append(
            f"task.k = {config.k}: {task.name} takes 1 to {task.number.maximum(values):,}, with "
            "this cardinality"
        )
    if task.ends_early and config.end_of_sequence is False:
        lines.append(
            f"task.end_of_sequence = false: some targets of {task.name} are shorter than others, "
            "so they need their end"
        )
    if problem := length_problem(config, config.lengths):
        lines.append(f"task.n_in = {config.n_in!r}: {problem}")
    return lines


def length_problem(config: TaskConfig, lengths: Lengths) -> str:
    """Return why a built-in task has no sources of some of these lengths; empty if it has."""
    if is_custom(config):
        return ""
    task, values = TASKS[config.name], config.cardinality - 1
    if task.form and (problem := task.form.problem(lengths)):
        return problem
    if task.counts and lengths.longest > values:
        return (
            f"{task.name} counts up to the source's length, so it should be at most {values:,}, "
            "the number of values"
        )
    return ""


def ignored_settings(config: TaskConfig) -> list[str]:
    """Return a line for each setting that the user has set without effect."""
    chosen, lines = config.model_fields_set, []
    if config.data and "name" in chosen and config.name != CUSTOM_DATA:
        lines.append(f"task.name = {config.name!r}: task.data is set too: use only one of the two")
    for setting, names in SETTINGS_OF.items():
        if setting in chosen and config.name not in names:
            lines.append(
                f"task.{setting} = {getattr(config, setting)!r}: it has no effect, since only "
                f"{', '.join(names)} take{'s' * (len(names) == 1)} it: remove it"
            )
    if "n_out" not in chosen or is_custom(config) or takes_n_out(config) or problems(config):
        return lines
    task = find_task(config)
    length = task.target_length(config.lengths, config)
    if config.n_out != length:
        shortest = Lengths(config.lengths.shortest, config.lengths.shortest)
        varies = task.ends_early or task.target_length(shortest, config) < length
        n = f"{'at most ' if varies else ''}{length} {'integer' if length == 1 else 'integers'}"
        lines.append(
            f"task.n_out = {config.n_out}: the targets of {config.name} have {n}: remove it"
        )
    return lines
