"""What a shell completes when Tab is pressed: names of runs, tasks and configurations."""

import os
from collections.abc import Callable
from pathlib import Path

import typer

REQUEST = "_S2S_COMPLETE"
"""The environment variable in which a shell asks; what is typed stands in others."""

TYPED = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")


def typed_words() -> list[str]:
    """Return the words that a shell wants completed; none where it does not ask."""
    if REQUEST not in os.environ:
        return []
    return [word for name in TYPED for word in os.environ.get(name, "").split()]


def run_names(context: typer.Context, incomplete: str) -> list[str]:
    """Return the names of the runs in the folder that the command would look in."""
    from seq2seq_cli.errors import S2sError
    from seq2seq_cli.runs.listing import run_folders

    runs_dir = Path(context.params.get("runs_dir") or "runs")
    try:
        names = [run.name for run in run_folders(runs_dir)]
    except S2sError:  # which the command will tell
        return []
    return [name for name in names if name.startswith(incomplete)]


def task_names(incomplete: str) -> list[str]:
    """Return the names of the built-in tasks."""
    from seq2seq_cli.data.tasks import TASKS

    return [name for name in TASKS if name.startswith(incomplete)]


def configuration_names(incomplete: str) -> list[str]:
    """Return the names of the shipped configurations."""
    from seq2seq_cli.shipped import shipped_names

    return [name for name in shipped_names() if name.startswith(incomplete)]


def sweep_names(incomplete: str) -> list[str]:
    """Return the names of the shipped sweeps."""
    from seq2seq_cli.shipped import SWEEPS, shipped_names

    return [name for name in shipped_names(SWEEPS) if name.startswith(incomplete)]


def one_of(*choices: str) -> Callable[[str], list[str]]:
    """Return what completes one of these words."""

    def complete(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return complete
