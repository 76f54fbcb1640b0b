"""What tasks demand of a configuration, and which task a configuration stands for."""

import difflib

from seq2seq_cli.config import Lengths, TaskConfig
from seq2seq_cli.data.sampling import check_drawable
from seq2seq_cli.data.tasks.registry import TASKS
from seq2seq_cli.data.tasks.task import Task
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.own_code import IN_FILE

OWN_TASK = IN_FILE
"""Stands in the name of a user's own task, path/to/file.py:function."""

OWN_DATA = "own-data"
"""The name of the task that the pairs of a file are."""

SETTINGS_OF = {
    "k": tuple(name for name, task in TASKS.items() if task.number),
    "digit_order": tuple(name for name, task in TASKS.items() if task.digit_order),
}
"""The settings that are some tasks' own, with the names of these."""


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
    return find_task(config).target_length(Lengths(n_in, n_in), config) + int(config.has_end)


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
    task, values = TASKS[config.name], config.cardinality - 1
    found = []
    if task.takes_n_out and config.n_out > config.lengths.longest:
        found.append(
            f"task.n_out = {config.n_out}: should be at most task.n_in, which is {config.n_in}"
        )
    if config.cardinality < task.least_cardinality:
        found.append(
            f"task.cardinality = {config.cardinality}: {task.name} needs at least "
            f"{task.least_cardinality}"
        )
    elif task.number and config.k and config.k > task.number.most(values):
        found.append(
            f"task.k = {config.k}: {task.name} takes 1 to {task.number.most(values):,}, with this "
            "cardinality"
        )
    if task.ends_early and config.end_of_sequence is False:
        found.append(
            f"task.end_of_sequence = false: some targets of {task.name} are shorter than others, "
            "so they need their end"
        )
    if problem := length_problem(config, config.lengths):
        found.append(f"task.n_in = {config.n_in!r}: {problem}")
    return found


def length_problem(config: TaskConfig, lengths: Lengths) -> str:
    """Return why a task has no sources of some lengths; nothing where it has, or is a user's."""
    if is_own(config):
        return ""
    task, values = TASKS[config.name], config.cardinality - 1
    if task.shape and (problem := task.shape.problem(lengths)):
        return problem
    if task.counts and lengths.longest > values:
        return (
            f"{task.name} counts up to the source's length, so it should be at most {values:,}, "
            "the number of values"
        )
    return ""


def wrong_settings(config: TaskConfig) -> list[str]:
    """Return a line for each thing that is wrong with what a user gives: values of no effect too.

    What a run was saved with may have some of no effect, and has `problems` at the most. Raises
    ConfigurationError for sources or targets that are too long to be drawn.
    """
    if not config.data:
        check_drawable(config.lengths)
    wrong = problems(config) or ignored_settings(config)
    if not wrong and not is_own(config):
        check_drawable(config.lengths, longest_target(config, config.lengths.longest))
    return wrong


def ignored_settings(config: TaskConfig) -> list[str]:
    """Return a line for each setting that a user has given and that would be of no effect."""
    given, found = config.model_fields_set, []
    if config.data and "name" in given and config.name != OWN_DATA:
        found.append(f"task.name = {config.name!r}: own data is no task; leave one of both out")
    for setting, names in SETTINGS_OF.items():
        if setting in given and config.name not in names:
            found.append(
                f"task.{setting} = {getattr(config, setting)!r}: of no effect, since it is a "
                f"setting of {', '.join(names)} alone; leave it out"
            )
    if "n_out" not in given or is_own(config) or takes_n_out(config) or problems(config):
        return found
    task = find_task(config)
    length = task.target_length(config.lengths, config)
    if config.n_out != length:
        shortest = Lengths(config.lengths.shortest, config.lengths.shortest)
        varies = task.ends_early or task.target_length(shortest, config) < length
        n = f"{'at most ' if varies else ''}{length} {'integer' if length == 1 else 'integers'}"
        found.append(
            f"task.n_out = {config.n_out}: the targets of {config.name} have {n}; leave it out"
        )
    return found
