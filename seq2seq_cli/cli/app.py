"""The Typer app: its commands, its help, and the exit codes that the help lists."""

from collections.abc import Collection
from importlib import import_module
from typing import Annotated, NoReturn

import typer

from seq2seq_cli import __version__
from seq2seq_cli.cli import phases
from seq2seq_cli.cli.completion import typed_words
from seq2seq_cli.cli.sections import SectionedCommand

COMMANDS = {
    "generate": "Show examples, or write them to a file.",
    "train": "Train a model, save it, and print its accuracy.",
    "sweep": "Train a grid of settings under several seeds, and map how far a model carries.",
    "evaluate": "Print a run's accuracy and spot-check examples.",
    "predict": "Predict the targets of sequences; a blank line stays one.",
    "encode": "Print the encoder's hidden and cell states after sequences.",
    "report": "Make a page of charts of a run, or of several compared.",
    "plot": "Draw one chart of a run, or of a sweep: to a file, or in the terminal.",
    "inspect": "Show a run's layers, configuration, results and versions.",
    "export": "Write a run's encoder and decoder for TensorFlow, ONNX Runtime or LiteRT.",
    "init": "List the shipped configurations, or print one to start from.",
    "tasks": "List the tasks, each with an example.",
    "doctor": "Show versions, cores, flags and cache, and train for two seconds.",
    "runs": "List the runs with their accuracy.",
}
"""The commands, each a function in a module of its name, with the first line of its docstring."""

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


def _not_imported() -> NoReturn:
    raise AssertionError("a command that is run stands in the arguments")


def make_app(arguments: Collection[str]) -> typer.Typer:
    """Return the app; of the commands, those named in the arguments, or being typed, are imported.

    The others are in the help, and cannot be run.
    """
    # Options that stand before a command are none of one that stands first: its help would have to
    # wait for pydantic, with which Typer converts them.
    is_command = next(iter(arguments), "") in COMMANDS
    arguments = [*arguments, *typed_words()]
    app = typer.Typer(
        help=HELP,
        epilog=EXIT_CODES,
        add_completion=not is_command,
        add_help_option=not is_command,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback(invoke_without_command=True)(_no_options if is_command else options)
    for name, summary in COMMANDS.items():
        if name in arguments:
            function = getattr(import_module(f"seq2seq_cli.cli.commands.{name}"), name)
            app.command(name, cls=SectionedCommand)(function)
        else:
            app.command(name, help=summary)(_not_imported)
    return app


def options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show errors' tracebacks, and the phases' times.")
    ] = False,
) -> None:
    """Take the options that stand before a command; without a command, show the help."""
    if debug:
        phases.ask()
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


options.__doc__ = HELP


def _no_options() -> None:
    pass
