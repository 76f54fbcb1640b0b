"""`s2s tasks`: the tasks that a model can learn."""

from typing import Any

from seq2seq_cli.cli import options
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.cli.rendering.tables import table

EXAMPLE_N_OUT = 3


def tasks(as_json: options.Json = False) -> None:
    """List the tasks, each with an example.

    `s2s train --task NAME` learns one.

      s2s tasks
      s2s tasks --json
    """
    from seq2seq_cli.data.tasks import TASKS, Level

    output.end_with_reader()
    documents = [_describe(name) for name in TASKS]
    if as_json:
        for document in documents:
            output.write_json(document)
        return
    for level in Level:
        rows = [
            (
                document["name"],
                document["summary"] + _settings(document["settings"]),
                f"{output.format_ids(document['source'])} -> "
                f"{output.format_ids(document['target'])}",
            )
            for document in documents
            if document["level"] == level
        ]
        table(f"Tasks, {level}", ("task", "target", "example"), rows)
    alike = [(doc["name"], doc["alike"]) for doc in documents if doc["alike"]]
    table(
        "Only the exact source is held out; training may have seen the same target, from",
        ("task", "sources"),
        alike,
    )


def _describe(name: str) -> dict[str, Any]:
    import numpy as np

    from seq2seq_cli.config import TaskConfig
    from seq2seq_cli.data.tasks import TASKS
    from seq2seq_cli.data.tasks.task import EXAMPLE_CARDINALITY
    from seq2seq_cli.data.vocabulary import unpad

    task = TASKS[name]
    config = TaskConfig(
        name=name, n_in=len(task.example), n_out=EXAMPLE_N_OUT, cardinality=EXAMPLE_CARDINALITY
    )
    parameters = task.parameters(config)
    settings: dict[str, object] = {"n_out": EXAMPLE_N_OUT} if task.takes_n_out else {}
    settings |= {"k": parameters.k} if task.number else {}
    settings |= {"digit_order": parameters.digit_order} if task.digit_order else {}
    (target,) = unpad(task.targets(np.array([task.example], np.int32), config))
    return {
        "name": name,
        "summary": task.summary,
        "level": task.level,
        "settings": settings,
        "cardinality": EXAMPLE_CARDINALITY,
        "source": task.example,
        "target": target,
        "alike": task.alike,
    }


def _settings(values: dict[str, object]) -> str:
    return f" ({', '.join(f'{key} = {value}' for key, value in values.items())})" if values else ""
