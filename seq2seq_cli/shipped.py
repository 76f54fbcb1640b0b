"""The configurations shipped with the package, found by name."""

import difflib
import re
from pathlib import Path

from seq2seq_cli.config import RunConfig
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.storage import read_text

SCHEMA_LINE = "#:schema ./s2s.schema.json"
"""The line that names a configuration's schema, which editors use to complete settings."""


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


def find_file(wanted: Path, folder: str = "") -> Path:
    """Return the file that a user means: an existing one, or the shipped one of this name.

    Raises ConfigurationError for a plain name that is neither.
    """
    is_name = wanted.name == str(wanted) and not wanted.suffix
    if wanted.exists():
        return wanted
    if is_name:
        return shipped_file(wanted.name, folder)
    if wanted.suffix == ".toml" and wanted.stem in shipped_names(folder):
        raise ConfigurationError(
            f"there is no file {wanted}; by its name, {wanted.stem}, it is shipped with s2s"
        )
    return wanted


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
