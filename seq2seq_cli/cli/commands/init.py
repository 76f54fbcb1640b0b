"""`s2s init`: configurations to start from."""

from typing import Annotated

import typer

from seq2seq_cli.cli import options
from seq2seq_cli.cli.options import option
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.cli.rendering.tables import table
from seq2seq_cli.errors import ConfigurationError

ALL = "all"


def init(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="A shipped configuration, or all: every setting.",
            autocompletion=lambda: [*options.configuration_names(), ALL],
        ),
    ] = None,
    as_schema: Annotated[
        bool, option("--schema", "Print the settings' JSON schema, for editors.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """List the shipped configurations, or print one to start from.

    Save the output, as in `s2s init long > my.toml`, and train with `--config my.toml`; `--config
    long` trains with the shipped one, and `s2s sweep lengths` is the shipped sweep. Editors
    complete the settings if the schema is next to the file: `s2s init --schema > s2s.schema.json`.

      s2s init long > my.toml
      s2s init all
    """
    from seq2seq_cli.shipped import SWEEPS, shipped_file, shipped_names, summary
    from seq2seq_cli.storage import read_text

    if name and (as_schema or as_json):
        raise ConfigurationError(f"{name}: remove it, or remove --schema and --json")
    output.end_with_reader()
    if as_schema or name == ALL:
        from seq2seq_cli.shipped import commented, schema_text

        output.write((schema_text() if as_schema else commented()).rstrip("\n"))
    elif name:
        of_sweep = name.removeprefix(f"{SWEEPS}/")
        is_sweep = of_sweep != name or name in {*shipped_names(SWEEPS)} - {*shipped_names()}
        file = shipped_file(of_sweep, SWEEPS) if is_sweep else shipped_file(name)
        output.write(read_text(file).rstrip("\n"))
        return
    else:
        configurations, sweeps = (
            [(each, summary(shipped_file(each, folder))) for each in shipped_names(folder)]
            for folder in ("", SWEEPS)
        )
        sweeps = [(f"{SWEEPS}/{each}", text) for each, text in sweeps]
        if as_json:
            for each, text in [*configurations, *sweeps]:
                output.write_json({"name": each, "summary": text})
            return
        configurations.append((ALL, "Every setting, its meaning and its default."))
        columns = ("name", "what it shows")
        table("Configurations, for --config NAME", columns, configurations)
        table("Sweeps, for s2s sweep NAME", columns, sweeps)
