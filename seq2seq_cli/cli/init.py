"""`s2s init`: configurations to start from."""

from typing import Annotated

import typer

from seq2seq_cli.cli import output
from seq2seq_cli.cli.completion import configuration_names, one_of
from seq2seq_cli.cli.options import Json

ALL = "all"


def init(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="A shipped configuration, or all: every setting.",
            autocompletion=lambda incomplete: [
                *configuration_names(incomplete),
                *one_of(ALL)(incomplete),
            ],
        ),
    ] = None,
    as_schema: Annotated[
        bool, typer.Option("--schema", help="Print the settings' JSON schema, for editors.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the shipped configurations, or print one to start from.

    Keep what is printed, as in `s2s init long > my.toml`, and train with `--config my.toml`;
    `--config long` trains with the shipped one. An editor completes the settings where the schema
    lies beside it: `s2s init --schema > s2s.schema.json`.
    """
    from seq2seq_cli.errors import ConfigurationError
    from seq2seq_cli.shipped import shipped_file, shipped_names, summary
    from seq2seq_cli.storage import read_text

    if name and (as_schema or as_json):
        raise ConfigurationError(f"{name}: leave it out, or leave out --schema and --json")
    output.end_with_reader()
    if as_schema or name == ALL:
        from seq2seq_cli.declarations import commented, schema_text

        output.write((schema_text() if as_schema else commented()).rstrip("\n"))
    elif name:
        output.write(read_text(shipped_file(name)).rstrip("\n"))
    elif as_json:
        for each in shipped_names():
            output.write_json({"name": each, "summary": summary(each)})
    else:
        rows = [(each, summary(each)) for each in shipped_names()]
        rows.append((ALL, "Every setting, its meaning and its default."))
        output.table("Configurations for --config NAME", ("name", "what it shows"), rows)
