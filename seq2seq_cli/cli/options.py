"""Options that several commands share, and the parsing of their values."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seq2seq_cli.errors import AccuracyError, ConfigurationError, S2sError

if TYPE_CHECKING:
    from seq2seq_cli.config import RunConfig
    from seq2seq_cli.data.tasks import Task
    from seq2seq_cli.inference.network import LoadedRun


TIME_UNITS = {"s": 1, "m": 60, "h": 3600}


def option(
    name: str, help_text: str, section: str | None = None, metavar: str | None = None, **more: Any
) -> Any:
    """Return Typer's option, listed in a section of the help.

    Brackets at the end of the text have the default, if the configuration or the run has it.
    """
    text = help_text.replace(". [", ". [default: ")
    return typer.Option(name, help=text, rich_help_panel=section, metavar=metavar, **more)


def run_names(context: typer.Context) -> list[str]:
    """Return the names of the runs in the folder that the command uses."""
    from seq2seq_cli.runs.listing import run_folders

    runs_dir = Path(context.params.get("runs_dir") or "runs")
    try:
        return [run.name for run in run_folders(runs_dir)]
    except S2sError:  # the command itself reports it
        return []


def task_names() -> list[str]:
    """Return the names of the built-in tasks."""
    from seq2seq_cli.data.tasks import TASKS

    return list(TASKS)


def configuration_names() -> list[str]:
    """Return the names of the shipped configurations."""
    from seq2seq_cli.shipped import shipped_names

    return shipped_names()


def sweep_names() -> list[str]:
    """Return the names of the shipped sweeps."""
    from seq2seq_cli.shipped import SWEEPS, shipped_names

    return shipped_names(SWEEPS)


def parse_setting(text: str) -> object:
    """Return the value of a setting written as in TOML, such as 6 or 1-25."""
    from seq2seq_cli.settings import parse_value

    return parse_value(text)


def parse_seconds(text: str) -> float:
    """Return the seconds in 90s, 10m or 2h."""
    parts = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smh])", text)
    if not parts:
        raise ValueError("should be a time such as 90s, 10m or 2h")
    return float(parts[1]) * TIME_UNITS[parts[2]]


def parse_share(text: str) -> tuple[int, int]:
    """Return the numbers in 0/4."""
    parts = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not parts or int(parts[1]) >= int(parts[2]):
        raise ValueError("should be I/N, with I from 0 to N-1, such as 0/4")
    return int(parts[1]), int(parts[2])


TaskName = Annotated[
    str | None,
    option(
        "--task",
        "What to learn; see `s2s tasks`. [reverse-prefix]",
        "Task",
        "NAME|FILE.py:FUNCTION",
        autocompletion=task_names,
    ),
]
NIn = Annotated[
    Any,
    option(
        "--n-in", 'Integers in a source, or "1-25". [6]', "Task", "LENGTH", parser=parse_setting
    ),
]
NOut = Annotated[
    int | None, option("--n-out", "Integers in a target, for tasks that use it. [3]", "Task")
]
Cardinality = Annotated[
    int | None,
    option("--cardinality", "Number of ids; values are 1 to cardinality - 1. [51]", "Task"),
]
ConfigFile = Annotated[
    Path | None,
    option(
        "--config",
        "A TOML file, or a shipped configuration; see `s2s init`.",
        "Configuration",
        "FILE|NAME",
        autocompletion=configuration_names,
    ),
]
SetOptions = Annotated[
    list[str] | None,
    option("--set", "Any setting; may be repeated.", "Configuration", "SECTION.KEY=VALUE"),
]
CheckpointSeconds = Annotated[
    float, option("--checkpoint-seconds", "Seconds between checkpoints.", "Run", min=0)
]

Sequences = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SEQUENCE",
        help="Integers separated by spaces or commas, each sequence in quotes; - for stdin.",
    ),
]
InputFile = Annotated[
    Path | None,
    option("--input", "A file with one sequence per line, such as .txt or .csv.", metavar="FILE"),
]
HeldOut = Annotated[
    int | None,
    option(
        "--n-samples",
        "Number of sequences. [10000; with --lengths 1000 each; of a file all]",
        "Sequences",
        min=1,
    ),
]
LengthRange = Annotated[
    str | None,
    option(
        "--lengths",
        "Evaluate each length of a range such as 1-200, or every tenth: 1-200:10.",
        "Sequences",
        "RANGE[:STEP]",
    ),
]
CustomTask = Annotated[
    str | None,
    option(
        "--task", "The run's custom task; its file is imported.", "Sequences", "FILE.py:FUNCTION"
    ),
]

MinAccuracy = Annotated[
    float,
    option(
        "--min-accuracy",
        "Exit with code 7 if any exact match, of a length or a seed, is lower.",
        min=0,
        max=1,
    ),
]

CustomTasks = Annotated[
    list[str] | None,
    option(
        "--task",
        "A run's custom task; may be repeated. Its file is imported.",
        "Sequences",
        "FILE.py:FUNCTION",
    ),
]

RunName = Annotated[
    str | None,
    option(
        "--run",
        "The run's name. [the newest complete run]",
        "Run",
        "NAME",
        autocompletion=run_names,
    ),
]
RunArgument = Annotated[
    str | None,
    typer.Argument(metavar="RUN", help="The run, instead of --run NAME.", autocompletion=run_names),
]
RunArguments = Annotated[
    list[str] | None,
    typer.Argument(metavar="RUN", help="A run, or several to compare.", autocompletion=run_names),
]
RunsDir = Annotated[
    Path,
    option(
        "--runs-dir",
        "The folder of the runs.",
        "Run",
        "DIR",
        envvar="S2S_RUNS_DIR",
    ),
]
Json = Annotated[bool, option("--json", "Write JSON to standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress and no messages.")]
Force = Annotated[bool, option("--force", "Replace an existing run or file.")]

DEFAULT_RUNS_DIR = Path("runs")

TASK_SET = re.compile(r"\s*task\.name\s*=")
"""The beginning of a `--set` that names the task."""


def resolve_config(
    file: Path | None,
    settings: list[str] | None,
    options: dict[str, object],
    check: bool = True,
) -> "RunConfig":
    """Merge a command's configuration from its options; `options` maps `section.key` to values.

    With `check` the requirements of the task are checked too. Raises ConfigurationError for a
    custom task that only the file names: only the command line can make it run.
    """
    from seq2seq_cli.custom_code import names_function
    from seq2seq_cli.data.plan import wrong_settings
    from seq2seq_cli.settings import resolve
    from seq2seq_cli.shipped import find_file

    file = find_file(file) if file else None
    config = resolve(file, settings or [], options, wrong_settings if check else None)
    named = [options.get("task.name"), *(text for text in settings or [] if TASK_SET.match(text))]
    if names_function(config.task.name) and not any(named):
        raise ConfigurationError(
            f"{file} names the custom task {config.task.name}, which runs only if you name it",
            "task",
            config.task.name,
        )
    return config


def one_run(argument: str | None, run: str | None) -> str | None:
    """Return the run that the argument or --run names; ConfigurationError if they differ."""
    if argument is not None and run not in (None, argument):
        raise ConfigurationError(f"{argument} and --run {run}: name the run only once")
    return run if argument is None else argument


def check_compared(names: list[str] | None, compare: bool) -> None:
    """Raise ConfigurationError if fewer than two different runs are to be compared."""
    if compare and len(set(names or ())) < 2:
        raise ConfigurationError("to compare runs give at least two different runs: RUN RUN")


def check_accuracy(shares: Sequence[float | None], min_accuracy: float) -> None:
    """Raise AccuracyError if any exact match is below the minimum, or if there is none."""
    from seq2seq_cli.metrics import percent

    exact_match = min((share for share in shares if share is not None), default=None)
    if min_accuracy and exact_match is None:
        raise AccuracyError(f"--min-accuracy {min_accuracy}: no source is held out")
    if exact_match is not None and exact_match < min_accuracy:
        share = percent(exact_match, exact_match, min_accuracy)  # digits that tell them apart
        raise AccuracyError(f"exact match {share} is below --min-accuracy {min_accuracy}")


def load_custom_tasks(names: Sequence[str], runs: Sequence["LoadedRun"]) -> "list[Task | None]":
    """Import the custom task of each run; None for a built-in task, and for one without a name.

    A file may have moved since the training. Raises ConfigurationError for a name that is not the
    task of any run.
    """
    from seq2seq_cli.custom_code import names_function, same_function
    from seq2seq_cli.data.tasks import load_task

    trained = [run.config.task.name for run in runs]
    for name in names:
        if not any(same_function(name, task) for task in trained):
            tasks = " or ".join(dict.fromkeys(trained))
            raise ConfigurationError(f"--task {name}: use the run's task, {tasks}")
    loaded = {name: load_task(name) for name in names if names_function(name)}
    return [
        loaded.get(task)
        or next((loaded[name] for name in loaded if same_function(name, task)), None)
        for task in trained
    ]
