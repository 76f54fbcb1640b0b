"""The configurations that travel with the package, each known by its name."""

import difflib
import re
from pathlib import Path

from seq2seq_cli.config import RunConfig
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.storage import read_text

SCHEMA_LINE = "#:schema ./s2s.schema.json"
"""With which a configuration names its schema, from which editors complete it."""


SWEEPS = "sweeps"
"""The folder of the shipped sweeps."""

COPYING = ("reverse-prefix", "reverse", "copy")
"""The tasks of which it is known which lengths are too long for which models."""

LONGEST_LEARNED = {"none": 12, "dot": 25}
"""The longest source learned to 99% without attention, and with attention by content alone."""

FOR_LONG_SOURCES = {
    50: "attention", 400: "long", 1000: "thousand", 2000: "two-thousand", 10_000: "ten-thousand"
}  # fmt: skip
"""The longest source of shipped configurations, and their names."""


def shipped_folder() -> Path:
    """Return the folder of the shipped configurations: in a package, or beside it in a clone."""
    packaged = Path(__file__).with_name("configs")
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "configs"


def shipped_names(folder: str = "") -> list[str]:
    """Return the names of the shipped configurations, or of those in a folder of them."""
    return sorted(path.stem for path in (shipped_folder() / folder).glob("*.toml"))


def shipped_file(name: str, folder: str = "") -> Path:
    """Return a shipped configuration's file; ConfigurationError for a name that there is not."""
    names = shipped_names(folder)
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        meant = f"did you mean {close[0]}?" if close else f"use one of {', '.join(names)}"
        what = "sweep" if folder == SWEEPS else "configuration"
        raise ConfigurationError(f"no {what} {name!r} is shipped with s2s; {meant}")
    return shipped_folder() / folder / f"{name}.toml"


def find_file(wanted: Path, folder: str = "") -> Path:
    """Return the file that a user means: one that is there, or else the shipped one so named.

    Raises ConfigurationError for a mere name that is neither.
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
    """Return the sentence that a shipped configuration opens with."""
    lines = read_text(file).removeprefix(SCHEMA_LINE).lstrip().splitlines()
    paragraph = []
    for line in lines:
        if not line.startswith("# "):
            break
        paragraph.append(line.removeprefix("# ").strip())
    text = " ".join(paragraph)
    found = re.match(r".*?\.(?=\s|$)", text)
    return found[0] if found else text


def suggest(config: RunConfig) -> str:
    """Return the name of a configuration for sources that these settings cannot learn, or ""."""
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
