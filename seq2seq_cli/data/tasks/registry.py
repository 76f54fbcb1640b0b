"""The built-in tasks by name: a function with `@register` in the module of its kind is one."""

from collections.abc import Callable
from typing import Any

from seq2seq_cli.data.tasks.task import Level, Task, TaskFunction

TASKS: dict[str, Task] = {}


def register(
    name: str, summary: str, level: Level, **facts: Any
) -> Callable[[TaskFunction], TaskFunction]:
    """Register the function below as a task; `facts` are further fields of `Task`."""

    def add(function: TaskFunction) -> TaskFunction:
        TASKS[name] = Task(name, summary, function, level, **facts)
        return function

    return add
