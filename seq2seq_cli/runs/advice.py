"""The commands that messages recommend; each can be pasted into a shell."""

import shlex
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.custom_code import names_function
from seq2seq_cli.errors import S2sError
from seq2seq_cli.runs.manifest import CONFIG_FILE
from seq2seq_cli.runs.names import training_path
from seq2seq_cli.settings import MOST_TOML, parse_config
from seq2seq_cli.storage import read_file


def train_command(runs_dir: Path) -> str:
    """Return the command that trains a first run with the defaults."""
    return _command("train", _runs_dir(runs_dir))


def list_command(runs_dir: Path) -> str:
    """Return the command that lists the runs."""
    return _command("runs", _runs_dir(runs_dir))


def remove_command(run: Path) -> str:
    """Return the command that removes a sweep's run."""
    sweep = run.parent
    return _command("runs", ["--remove", f"{sweep.name}/{run.name}"], _runs_dir(sweep.parent))


def sweep_command(sweep: Path, tasks: Iterable[str], options: Iterable[str] = ()) -> str:
    """Return the command that resumes a sweep of these custom tasks."""
    named = [word for task in tasks for word in ("--task", task)]
    runs_dir = _runs_dir(sweep.parent)
    return _command("sweep", ["--resume", sweep.name], named, options, runs_dir)


def evaluate_command(run: Path, task: TaskConfig) -> str:
    """Return the command that evaluates a run of this task."""
    return _command("evaluate", _run(run), _custom_task(task))


def predict_command(run: Path, source: str, attention: bool = False) -> str:
    """Return the command that predicts a source's target, or shows its attention as well."""
    return _command("predict", _run(run), ["--attention"] * attention, [source])


def resume_command(run: Path, task: TaskConfig, options: Iterable[str] = ()) -> str:
    """Return the command that resumes a training of this task.

    Values that only the user knows are in capitals, such as the file of pairs read from a pipe.
    """
    from seq2seq_cli.data.files import data_files  # predictions do not need it

    gone = [
        f"--{option} FILE"
        for option, data in (("data", task.data), ("validation-data", task.validation_data))
        if data and not all(path.is_file() for path in data_files(data))
    ]
    return " ".join(
        [_command("train", options, ["--resume"], _run(run), _custom_task(task)), *gone]
    )


def anew_command(run: Path) -> str:
    """Return the command that restarts a training with its original settings."""
    for file in (training_path(run) / CONFIG_FILE, run / CONFIG_FILE):
        with suppress(S2sError, OSError, ValueError):
            task = parse_config(read_file(file, MOST_TOML).decode(), str(file)).task
            options = ["--config", str(file), "--force"]
            return _command("train", options, _run(run), _custom_task(task))
    return _command("train", ["--force"], _run(run))


def again_command(run: Path, task: TaskConfig) -> str:
    """Return the command that trains a complete run's settings again, as a new run."""
    options = ["--config", str(run / CONFIG_FILE)]
    return _command("train", options, _runs_dir(run.parent), _custom_task(task))


def elsewhere_command(task: TaskConfig) -> str:
    """Return the command that trains the settings of a run where there is a copy of them."""
    return _command("train", ["--config", CONFIG_FILE], _custom_task(task))


def report_command(run: Path, task: TaskConfig) -> str:
    """Return the command that makes a run's report."""
    return _command("report", _run(run), _custom_task(task))


def _command(name: str, *options: Iterable[str]) -> str:
    return shlex.join(["s2s", name, *(word for words in options for word in words)])


def _run(folder: Path) -> list[str]:
    return ["--run", folder.name, *_runs_dir(folder.parent)]


def _runs_dir(folder: Path) -> list[str]:
    return [] if folder == Path("runs") else ["--runs-dir", str(folder)]


def _custom_task(task: TaskConfig) -> list[str]:
    return ["--task", task.name] if names_function(task.name) else []
