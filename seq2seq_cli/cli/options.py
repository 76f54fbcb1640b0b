"""Option types that several commands share, and the configuration made from them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from seq2seq_cli.config import RunConfig

ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings in a TOML file.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Any one setting; may be repeated."),
]
TaskName = Annotated[
    str | None, typer.Option("--task", help="What to learn; see `s2s tasks`. [reverse-prefix]")
]
NIn = Annotated[int | None, typer.Option("--n-in", help="Integers in a source. [6]")]
NOut = Annotated[
    int | None, typer.Option("--n-out", help="Integers in a target, where the task takes it. [3]")
]
Cardinality = Annotated[
    int | None,
    typer.Option("--cardinality", help="Number of ids: values go from 1 to it - 1. [51]"),
]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of all randomness. [0]")]

RunsDir = Annotated[
    Path,
    typer.Option("--runs-dir", envvar="S2S_RUNS_DIR", metavar="DIR", help="Where the runs are."),
]
RunName = Annotated[
    str | None,
    typer.Option("--run", metavar="NAME", help="The run. [default: the newest completed one]"),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no messages.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what has this name.")]

DEFAULT_RUNS_DIR = Path("runs")


def resolve_config(
    file: Path | None, settings: list[str] | None, options: dict[str, object]
) -> "RunConfig":
    """Merge a command's configuration from its options; `options` maps `section.key` to values."""
    from seq2seq_cli.config import resolve
    from seq2seq_cli.tasks import problems

    return resolve(file, settings or [], options, problems)
