"""The Typer app: its commands, its help, and the exit codes that the help lists."""

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from seq2seq_cli import __version__

COMMANDS = ("generate", "train", "evaluate", "predict", "encode", "inspect", "tasks", "runs")
"""The commands, each a function in a module of its name."""

HELP = """Train and evaluate encoder-decoder LSTMs on integer sequences.

The source is a row of random integers, the target its first few, reversed.
How long they are and how many integers there are scales the difficulty.

\b
  s2s train --n-in 6 --n-out 3 --cardinality 51
  s2s evaluate
  s2s predict "22 17 23 5 29 11"
"""

EXIT_CODES = """\b
Exit codes:
    0  ok
    1  a bug in s2s
    2  wrong usage or configuration
    3  bad input data
    4  no run, or a bad, corrupt or incompatible one
    5  the run folder or output file exists, or is in use
    6  input/output failed, the disk is full, or another worker is gone
    7  accuracy below --min-accuracy
  130  interrupted (Ctrl-C)
  143  terminated
"""


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"s2s {__version__}")
        raise typer.Exit


def make_app(arguments: Sequence[str] = ()) -> typer.Typer:
    """Return the app, with no other command than the one that the arguments begin with, if any."""
    app = typer.Typer(
        help=HELP,
        epilog=EXIT_CODES,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback(invoke_without_command=True)(options)
    for name in [name for name in COMMANDS if name in arguments[:1]] or COMMANDS:
        function = getattr(import_module(f"seq2seq_cli.cli.{name}"), name)
        app.command()(function)
    return app


def options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Take the options that stand before a command; without a command, show the help."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


options.__doc__ = HELP
