"""Configuration files for users: those shipped with the package, and the file of all settings."""

import difflib
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seq2seq_cli.config import RunConfig
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.storage import read_text

SCHEMA_LINE = "#:schema ./s2s.schema.json"
"""The line that names a configuration's schema, which editors use to complete settings."""

HEADER = """\
Every setting, its meaning and its default. To change a setting, remove its # and edit the value.
The defaults, the task or the data determine the others. Editors complete the settings if the schema
is next to this file: s2s init --schema > s2s.schema.json
"""

WIDTH = 100

SWEEPS = "sweeps"
"""The folder of the shipped sweeps."""

COPYING = ("reverse-prefix", "reverse", "copy")
"""The tasks for which the longest source that a model learns is known."""

LONGEST_LEARNED = {"none": 12, "dot": 25}
"""The longest source learned to 99% without attention, and with attention by content alone."""

FOR_LONG_SOURCES = {
    50: "attention", 400: "long", 1000: "thousand", 2000: "two-thousand", 10_000: "ten-thousand"
}  # fmt: skip
"""Shipped configurations by the longest source that they learn."""


def shipped_folder() -> Path:
    """Return the folder of the shipped configurations: in the package, or next to it in a clone."""
    packaged = Path(__file__).with_name("configs")
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "configs"


def shipped_names(folder: str = "") -> list[str]:
    """Return the names of the shipped configurations, or of those in a folder of them."""
    return sorted(path.stem for path in (shipped_folder() / folder).glob("*.toml"))


def shipped_file(name: str, folder: str = "") -> Path:
    """Return a shipped configuration's file; ConfigurationError for an unknown name."""
    names = shipped_names(folder)
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        meant = f"did you mean {close[0]}?" if close else f"use one of {', '.join(names)}"
        what = "sweep" if folder == SWEEPS else "configuration"
        raise ConfigurationError(f"no {what} {name!r} is shipped with s2s; {meant}")
    return shipped_folder() / folder / f"{name}.toml"


def find_file(path: Path, folder: str = "") -> Path:
    """Return the file that a user means: an existing one, or the shipped one of this name.

    The name may begin with the folder, as in sweeps/lengths. Raises ConfigurationError for a plain
    name that is neither.
    """
    is_name = str(path) in (path.name, str(Path(folder) / path.name)) and not path.suffix
    if path.exists():
        return path
    if is_name:
        return shipped_file(path.name, folder)
    if path.suffix == ".toml" and path.stem in shipped_names(folder):
        raise ConfigurationError(
            f"there is no file {path}; by its name, {path.stem}, it is shipped with s2s"
        )
    return path


def summary(file: Path) -> str:
    """Return the first sentence of a shipped configuration."""
    lines = read_text(file).removeprefix(SCHEMA_LINE).lstrip().splitlines()
    paragraph = []
    for line in lines:
        if not line.startswith("# "):
            break
        paragraph.append(line.removeprefix("# ").strip())
    text = " ".join(paragraph)
    sentence = re.match(r".*?\.(?=\s|$)", text)
    return sentence[0] if sentence else text


def suggest(config: RunConfig) -> str:
    """Return the name of a configuration that learns sources too long for these settings, or ""."""
    task, model = config.task, config.model
    has_positions = model.attention != "none" and model.attention_radius
    longest = task.lengths.longest
    if task.data or task.name not in COPYING or has_positions:
        return ""
    if longest <= LONGEST_LEARNED[model.attention]:
        return ""
    if task.lengths.vary:
        return "varying"
    return next(
        (name for n_in, name in FOR_LONG_SOURCES.items() if longest <= n_in), "ten-thousand"
    )


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
    for name, section in RunConfig.model_fields.items():
        assert section.annotation
        declared = definitions[section.annotation.__name__]
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
