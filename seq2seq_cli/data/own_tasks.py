"""A user's own tasks: a function in a Python file, from sources to targets."""

import numpy as np

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.data.tasks import Parameters, Task
from seq2seq_cli.data.vocabulary import Ids
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.own_code import load_function


def load_task(name: str) -> Task:
    """Import the task that `name`, path/to/file.py:function, stands for.

    The function takes sources, int32 (n, n_in), and returns their targets (n, any length), values
    from 1 to cardinality-1, and zeros at the ends of shorter ones. Raises ConfigurationError where
    it cannot be imported.
    """
    function = load_function("task", name)

    def targets(sources: Ids, parameters: Parameters) -> Ids:
        try:
            result = np.asarray(function(sources.copy()))
        except Exception as error:
            raise ConfigurationError(
                f"task {name}: it raised {type(error).__name__}: {error}"
            ) from error
        if result.ndim != 2 or len(result) != len(sources):
            raise ConfigurationError(
                f"task {name}: for sources of shape {sources.shape} it returned {result.shape}, "
                f"and should return ({len(sources)}, any number)"
            )
        if result.dtype.kind not in "iu":
            raise ConfigurationError(f"task {name}: it returned {result.dtype}: should be integers")
        limits = np.iinfo(np.int32)
        ids: Ids = np.clip(result, limits.min, limits.max).astype(np.int32)
        return ids

    return Task(name, "a user's own", targets, own=True)


def with_end(task: Task, settings: TaskConfig) -> TaskConfig:
    """Return the settings of an own task, whose targets have an end if their lengths differ.

    Sources have one length. Raises ConfigurationError where the end is not wanted, but needed.
    """
    if not task.seems_to_end_early(settings.lengths.longest, settings):
        return settings
    if settings.end_of_sequence is False:
        raise ConfigurationError(
            f"task.end_of_sequence = false: some targets of {task.name} are shorter than others, "
            "so they need their end"
        )
    return settings.model_copy(update={"end_of_sequence": True})
