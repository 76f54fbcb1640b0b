"""The built-in tasks by name: each is a function decorated with `@register`."""

from collections.abc import Callable
from typing import Any

from seq2seq_cli.data.tasks.task import Level, Task, TaskFunction

TASKS: dict[str, Task] = {}


def register(
    name: str, summary: str, level: Level, **facts: Any
) -> Callable[[TaskFunction], TaskFunction]:
    """Register the decorated function as a task; `facts` are further fields of `Task`."""

    def add(function: TaskFunction) -> TaskFunction:
        TASKS[name] = Task(name, summary, function, level, **facts)
        return function

    return add
