"""The Typer app: its commands, its help, and the exit codes that the help lists."""

from typing import Annotated

import typer

from seq2seq_cli import __version__
from seq2seq_cli.cli.encode import encode
from seq2seq_cli.cli.evaluate import evaluate
from seq2seq_cli.cli.generate import generate
from seq2seq_cli.cli.inspect import inspect
from seq2seq_cli.cli.predict import predict
from seq2seq_cli.cli.runs import runs
from seq2seq_cli.cli.tasks import tasks
from seq2seq_cli.cli.train import train

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

app = typer.Typer(
    help=HELP,
    epilog=EXIT_CODES,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

for command in (generate, train, evaluate, predict, encode, inspect, tasks, runs):
    app.command()(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"s2s {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
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
