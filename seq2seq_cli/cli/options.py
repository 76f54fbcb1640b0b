"""Option types that several commands share, and the configuration made from them."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seq2seq_cli.cli.completion import configuration_names, run_names, task_names
from seq2seq_cli.cli.sections import RUN, SETTINGS, TASK

if TYPE_CHECKING:
    from seq2seq_cli.config import RunConfig


def integer_option(
    name: str, help_text: str, least: int | None = None, section: str | None = None
) -> Any:
    """Return an option that takes an integer, of at least `least` where the command checks it."""

    def parse(text: str | int) -> int:
        try:
            value = int(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not an integer") from None
        if value >= 2**63:
            raise typer.BadParameter(f"{value} should be less than 2**63")
        if least is not None and value < least:
            raise typer.BadParameter(f"{value} should be at least {least}")
        return value

    return typer.Option(
        name, parser=parse, metavar="INTEGER", help=help_text, rich_help_panel=section
    )


def number_option(
    name: str, help_text: str, most: float | None = None, section: str | None = None
) -> Any:
    """Return an option that takes a number, from 0 to `most` where the command checks it."""

    def parse(text: str | float) -> float:
        try:
            value = float(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not a number") from None
        if most is not None and not 0 <= value <= most:
            raise typer.BadParameter(f"{value} should be from 0 to {most}")
        return value

    return typer.Option(
        name, parser=parse, metavar="NUMBER", help=help_text, rich_help_panel=section
    )


TIME_UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds_of(text: str | float) -> float:
    """Return the seconds that 90s, 10m or 2h stands for."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smh])", str(text))
    if not found:
        raise typer.BadParameter(f"{text!r} should be a time such as 90s, 10m or 2h")
    return float(found[1]) * TIME_UNITS[found[2]]


def share_of(text: str | tuple[int, int]) -> tuple[int, int]:
    """Return the share that 0/4 stands for."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", str(text))
    if not found or int(found[1]) >= int(found[2]):
        raise typer.BadParameter(f"{text!r} should be I/N, with I from 0 to N-1, such as 0/4")
    return int(found[1]), int(found[2])


ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE|NAME",
        help="Settings in a TOML file, or shipped; see `s2s init`.",
        autocompletion=configuration_names,
        rich_help_panel=SETTINGS,
    ),
]
SetOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="Any one setting; may be repeated.",
        rich_help_panel=SETTINGS,
    ),
]
TaskName = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="NAME|FILE.py:FUNCTION",
        help="What to learn; see `s2s tasks`. [reverse-prefix]",
        autocompletion=task_names,
        rich_help_panel=TASK,
    ),
]


def _lengths(text: str | int) -> str | int:
    """Return a length as an integer, and leave what may be a range to the configuration."""
    try:
        return int(text)
    except ValueError:
        if "-" in str(text):
            return text
        raise typer.BadParameter(f"{text!r} is not an integer") from None


NIn = Annotated[
    Any,
    typer.Option(
        "--n-in",
        parser=_lengths,
        metavar="LENGTH",
        help='Integers in a source, or "1-25". [6]',
        rich_help_panel=TASK,
    ),
]
NOut = Annotated[
    int | None,
    integer_option("--n-out", "Integers in a target, where the task takes it. [3]", section=TASK),
]
Cardinality = Annotated[
    int | None,
    integer_option(
        "--cardinality", "Number of ids; values go from 1 to one less. [51]", section=TASK
    ),
]
Seed = Annotated[int | None, integer_option("--seed", "Seed of all randomness. [0]")]

Sequences = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SEQUENCE",
        help="Integers separated by spaces or commas, each sequence in quotes; - for stdin.",
    ),
]
InputFile = Annotated[
    Path | None, typer.Option("--input", metavar="FILE", help="A file with a sequence a line.")
]
RunsDir = Annotated[
    Path,
    typer.Option(
        "--runs-dir",
        envvar="S2S_RUNS_DIR",
        metavar="DIR",
        help="Where the runs are.",
        rich_help_panel=RUN,
    ),
]
RunName = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="NAME",
        help="The run. [default: the newest completed one]",
        autocompletion=run_names,
        rich_help_panel=RUN,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no messages.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what has this name.")]

DEFAULT_RUNS_DIR = Path("runs")


def resolve_config(
    file: Path | None,
    settings: list[str] | None,
    options: dict[str, object],
    check: bool = True,
) -> "RunConfig":
    """Merge a command's configuration from its options; `options` maps `section.key` to values.

    With `check` what the task demands is checked too.
    """
    from seq2seq_cli.data.plan import wrong_settings
    from seq2seq_cli.settings import resolve
    from seq2seq_cli.shipped import find_file

    file = find_file(file) if file else None
    return resolve(file, settings or [], options, wrong_settings if check else None)
