"""All settings as they are declared: as a commented file, and as a JSON schema."""

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from seq2seq_cli.config import RunConfig
from seq2seq_cli.settings import SECTIONS
from seq2seq_cli.shipped import SCHEMA_LINE

HEADER = """\
Every setting, its meaning and its default. What you change loses its #; what keeps it is settled by
the defaults, the task or the data. An editor completes the settings where the schema lies beside
this file: s2s init --schema > s2s.schema.json
"""

WIDTH = 100


def schema() -> dict[str, Any]:
    """Return the JSON schema of a configuration, valid in every draft from 6 on."""
    return {"$schema": "http://json-schema.org/draft-07/schema#", **RunConfig.model_json_schema()}


def schema_text() -> str:
    """Return the JSON schema as the text of a file."""
    return json.dumps(schema(), indent=2) + "\n"


def commented() -> str:
    """Return a configuration with every setting commented out below its description."""
    definitions = schema()["$defs"]
    lines = [SCHEMA_LINE, *_comment(HEADER)]
    for name, section in SECTIONS.items():
        declared = definitions[section.__name__]
        lines += ["", *_comment(declared["description"]), f"[{name}]"]
        for key, setting in declared["properties"].items():
            lines += _setting(key, setting)
    return "\n".join(lines) + "\n"


def _setting(key: str, setting: dict[str, Any]) -> Iterator[str]:
    yield from _comment(setting["description"] + _accepted(setting))
    default = setting["default"]
    # TOML has no value for unset; its other values are written as in JSON.
    yield f"#{key} = {json.dumps(_example(setting) if default is None else default)}"


def _example(setting: dict[str, Any]) -> object:
    """Return an example value of a setting that is unset by default."""
    accepted: dict[str, Any] = setting["anyOf"][0]
    return accepted["enum"][0] if "enum" in accepted else accepted.get("minimum", True)


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text.strip(), WIDTH, initial_indent="# ", subsequent_indent="# ")


def _accepted(setting: dict[str, Any]) -> str:
    """Return what a setting accepts according to the schema."""
    if choices := setting.get("enum"):
        return f" ({', '.join(json.dumps(choice) for choice in choices)})"
    limits = [
        f"{words} {setting[name]}"
        for name, words in (
            ("minimum", "at least"),
            ("exclusiveMinimum", "above"),
            ("maximum", "at most"),
            ("exclusiveMaximum", "below"),
        )
        if name in setting
    ]
    return f" ({', '.join(limits)})" if limits else ""
