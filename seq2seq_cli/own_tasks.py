"""A user's own tasks: a function in a Python file, imported because the user has named it.

Nothing else imports it: a run folder that names such a task does not make it run.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.tasks import OWN_TASK, OWN_TASKS, Task
from seq2seq_cli.vocabulary import Ids


def load_task(name: str | None) -> None:
    """Import the task that `name`, path/to/file.py:function, stands for; others are left alone.

    The function takes sources, int32 (n, n_in), and returns their targets (n, any length), values
    from 1 to cardinality-1. Raises ConfigurationError where it cannot be imported.
    """
    if not name or OWN_TASK not in name:
        return
    path, _, function_name = name.rpartition(":")
    spec = importlib.util.spec_from_file_location(f"own_task_{Path(path).stem}", path)
    if spec is None or spec.loader is None or not Path(path).is_file():
        raise ConfigurationError(f"--task {name}: there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        function = getattr(module, function_name)
    except Exception as error:
        raise ConfigurationError(
            f"--task {name}: importing it failed: {type(error).__name__}: {error}"
        ) from error
    if not callable(function):
        raise ConfigurationError(f"--task {name}: {function_name} is no function")

    def targets(sources: Ids, n_out: int) -> Ids:
        try:
            result = np.asarray(function(sources.copy()))
        except Exception as error:
            raise ConfigurationError(
                f"--task {name}: it raised {type(error).__name__}: {error}"
            ) from error
        if result.ndim != 2 or len(result) != len(sources) or result.shape[1] < 1:
            raise ConfigurationError(
                f"--task {name}: for sources of shape {sources.shape} it returned {result.shape}, "
                f"and should return ({len(sources)}, 1 or more)"
            )
        return _as_ids(result, name)

    OWN_TASKS[name] = Task(name, "a user's own", targets, takes_n_out=True, own=True)


def _as_ids(result: np.ndarray[Any, Any], name: str) -> Ids:
    if result.dtype.kind not in "iu":
        raise ConfigurationError(f"--task {name}: it returned {result.dtype}: should be integers")
    if result.min() < 1:
        raise ConfigurationError(
            f"--task {name}: it returned {result.min()}: values go from 1 to cardinality-1"
        )
    return result.astype(np.int32)


def fit_own_task(config: TaskConfig) -> TaskConfig:
    """Return the configuration with the target length of an own task, which is tried on a few.

    Raises ConfigurationError where its values do not fit the cardinality.
    """
    task = OWN_TASKS.get(config.name)
    if task is None or config.data:
        return config
    generator = np.random.default_rng(0)
    size = (64, config.longest)
    sources = generator.integers(1, config.cardinality, size, np.int32)
    targets = task.targets(sources, config.n_out)
    if targets.max() >= config.cardinality:
        raise ConfigurationError(
            f"--task {config.name}: it returned {targets.max()}: with task.cardinality = "
            f"{config.cardinality}, values go from 1 to {config.cardinality - 1}"
        )
    return config.model_copy(update={"n_out": targets.shape[1]})
