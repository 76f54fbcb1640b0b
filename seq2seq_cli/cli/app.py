"""The command line: its commands, each imported only when it is used, and its help."""

import os
import re
from collections.abc import Callable
from importlib import import_module
from inspect import getdoc
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from seq2seq_cli import __version__
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.errors import ConfigurationError

GROUPS = {
    "Learn": ("tasks", "generate", "init", "train", "sweep"),
    "Look": ("watch", "evaluate", "predict", "encode", "inspect", "report", "plot"),
    "Manage": ("runs", "export", "doctor", "help"),
}
"""The commands as the help shows them, each a function in a module of the same name."""

COMMANDS = tuple(name for names in GROUPS.values() for name in names)

HELP = """Train and evaluate encoder-decoder LSTMs on integer sequences.

The source is a row of random integers, the target its first few, reversed.
Their number and the number of different integers scale the difficulty.

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

PLAIN: dict[str, Any] = {
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"], "max_content_width": 100},
}
"""Typer's settings for the group and for each command: no rich, and `-h`."""

METAVARS = {int: "INTEGER", float: "NUMBER", str: "TEXT"}
"""What the help shows for the values of options, by their types."""


class Command(TyperCommand):
    """A command that refuses empty values and keeps standard output for its own data.

    Its help has a section for each `rich_help_panel`, in plain text: rich, with which Typer would
    draw them, is too slow to import.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; ConfigurationError for a value that is empty or not UTF-8."""
        values, _, _ = self.make_parser(ctx).parse_args(list(args))
        options = {name for each in self.get_params(ctx) for name in each.opts if name[0] == "-"}
        for parameter in () if ctx.resilient_parsing else self.get_params(ctx):
            value, _ = parameter.consume_value(ctx, values)
            for text in value if isinstance(value, list | tuple) else [value]:
                metavar = parameter.metavar or ""
                if parameter.opts != [parameter.name] and text in options:
                    raise ConfigurationError(f"{parameter.opts[0]}: its value is missing")
                if isinstance(text, str) and (problem := _problem(text, "=" in metavar)):
                    name = metavar if parameter.opts == [parameter.name] else parameter.opts[0]
                    raise ConfigurationError(f"{name} {text!r}: {problem}")
        rest = super().parse_args(ctx, args)
        for parameter in self.get_params(ctx):  # the shell leaves the `~` in quotes or after a `=`
            if re.search("FILE|DIR", parameter.metavar or ""):
                ctx.params[parameter.name] = _with_home(ctx.params.get(parameter.name))
        return rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what custom code prints goes to standard error."""
        with output.reserved():
            return super().invoke(ctx)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options by section; those without a section come last."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        others = []
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is None:
                continue
            # One pair of brackets, with a default that comes from the configuration, or Typer's.
            record = (record[0], record[1].replace("]  [", "; ").replace("  [", " ["))
            if parameter.param_type_name == "argument":
                # Without the Python type, which adds nothing to the name.
                sections["Arguments"].append((record[0].partition(" <")[0], record[1]))
            elif panel := getattr(parameter, "rich_help_panel", None):
                sections.setdefault(panel, []).append(record)
            else:
                others.append(record)
        for name, records in (*sections.items(), ("Options", others)):
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


class LazyGroup(TyperGroup):
    """The commands, each imported only when it is used."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {name: TyperCommand(name) for name in COMMANDS}

    def get_params(self, ctx: Any) -> Any:
        """Return the options before a command, with flags set to a value.

        Typer would import pydantic to convert None.
        """
        flags = super().get_params(ctx)
        for flag in flags:
            flag.default = False
        return flags

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command with its options."""
        return make_command(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each command with the first line of its docstring, without building its options."""
        for group, names in GROUPS.items():
            with formatter.section(group):
                formatter.write_dl(
                    # Padded, so that the groups' descriptions begin in the same column.
                    [
                        (f"{name:8}", (getdoc(_function(name)) or "").splitlines()[0])
                        for name in names
                    ]
                )


def make_command(name: str) -> Any:
    """Return the command that Typer makes from the function of this name.

    The lines of an indented paragraph of its docstring are kept in the help.
    """
    single = typer.Typer(add_completion=False, **PLAIN)
    single.command(name, cls=Command)(_function(name))
    command: Any = typer.main.get_command(single)
    command.help = command.help.replace("\n\n  ", "\n\n\b\n  ")
    for parameter in command.params:
        kind = parameter.type_descriptor.annotation
        parameter.metavar = parameter.metavar or METAVARS.get(kind)
    return command


def usage_message(error: typer.TyperException) -> str:
    """Return a usage error's message, with the option, its value and a suggestion."""
    from pydantic import ValidationError  # Typer converts values with it

    if setting := _meant_setting(error):
        return f"No such option: {setting[0]}. It is a setting: --set {setting[1]}=VALUE"
    message, parameter = error.message, getattr(error, "param", None)
    if not message and parameter:  # it is missing, and its help has the choices
        message = f"{' '.join(error.format_message().split()).rstrip('.')}. {parameter.help}"
    if meant := getattr(error, "possibilities", None):
        return f"{message}. Did you mean {' or '.join(map(repr, meant))}?"
    names = [name for name in getattr(parameter, "opts", ()) if name[0] == "-"]
    if not names or names[0] in message:
        return message
    value = ""
    if isinstance(error.__cause__, ValidationError):
        detail = error.__cause__.errors()[0]
        message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
        value = "" if repr(detail["input"]) in message else f" {detail['input']}"
    return f"{names[0]}{value}: {message}"


def _meant_setting(error: typer.TyperException) -> tuple[str, str] | None:
    """Return an unknown option of a command with `--set`, and the setting of that name."""
    option, context = getattr(error, "option_name", ""), getattr(error, "ctx", None)
    if not context or not any("--set" in parameter.opts for parameter in context.command.params):
        return None
    from seq2seq_cli.settings import all_settings

    name = option.removeprefix("--").replace("-", "_")
    keys = [key for key in all_settings() if name in (key, key.partition(".")[2])]
    return (option, keys[0]) if keys else None


def _with_home(value: Any) -> Any:
    """Return a path, or several in a list or between commas, with the home folder for `~`."""
    if isinstance(value, list):
        return [_with_home(item) for item in value]
    if isinstance(value, str | Path):
        parts = map(os.path.expanduser, str(value).split(","))
        return type(value)(",".join(parts))
    return value


def _problem(text: str, is_assignment: bool) -> str:
    if not text or (is_assignment and text.endswith("=")):
        return "the value is empty; if it is a variable of the shell, set it"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "it is not UTF-8: rename it"
    return ""


def _function(name: str) -> Callable[..., None]:
    function: Callable[..., None] = getattr(import_module(f"seq2seq_cli.cli.commands.{name}"), name)
    return function


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"s2s {__version__}")
        raise typer.Exit


group = typer.Typer(cls=LazyGroup, help=HELP, epilog=EXIT_CODES, **PLAIN)


@group.callback(invoke_without_command=True)
def _before_command(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show errors' tracebacks, and the phases' times.")
    ] = False,
) -> None:
    if debug:
        output.start_debugging()
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


app = typer.main.get_command(group)
