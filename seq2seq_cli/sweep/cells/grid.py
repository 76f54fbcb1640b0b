"""The cells of a sweep: which settings are changed, and to what."""

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.runs.resumption import FILLED_IN
from seq2seq_cli.settings import find_setting, parse_value
from seq2seq_cli.sweep.cells.derivation import Derivation

MOST_CELLS = 10_000
BASE = "base"
"""The name of the cell in which nothing is changed."""
MOST_NAME = 40
"""Maximum characters of a value in a cell's name."""
MOST_CELL = 180
"""Maximum characters of a cell's name; a folder's name adds the seed."""


@dataclass(frozen=True)
class Axis:
    """A setting that is changed, and its values."""

    key: str
    values: tuple[object, ...]

    @classmethod
    def of(cls, key: str, values: Sequence[object]) -> "Axis":
        """Return an axis; ConfigurationError for an unknown setting, no value or a repeated one."""
        find_setting(key, list(values))
        if key == "training.seed":
            raise ConfigurationError(
                "training.seed is not an axis: seeds = N trains each cell under N seeds, from it on"
            )
        if key in FILLED_IN:
            raise ConfigurationError(f"{key} is filled in, and not an axis")
        if not values:
            raise ConfigurationError(f"{key}: should have values, such as {key}=1,2")
        names = [value_name(value) for value in values]
        for name in names:
            if names.count(name) > 1:
                raise ConfigurationError(f"{key}: {name} is given {names.count(name)} times")
        return cls(key, tuple(values))

    @classmethod
    def parse(cls, text: str) -> "Axis":
        """Return the axis written as `task.n_in=6,12`; raises what `of` raises."""
        key, equals, values = text.partition("=")
        if not equals:
            raise ConfigurationError(f"{text}: should be section.key=value,value,...")
        parts = [part.strip() for part in split_values(values)]
        if "" in parts:
            raise ConfigurationError(f"{text}: a value is missing")
        return cls.of(key.strip(), [parse_value(part) for part in parts])

    def with_values(self, values: Sequence[object]) -> "Axis":
        """Return the axis with these values added, unless it has them already."""
        known = {value_name(value) for value in self.values}
        return Axis(self.key, self.values + tuple(v for v in values if value_name(v) not in known))


@dataclass(frozen=True)
class Cell:
    """A configuration of a sweep: its changed settings, its derived ones, and all that are set."""

    name: str
    changes: Mapping[str, object]
    derived: Mapping[str, object]
    given: Mapping[str, object]  # section.key -> value, including the base's


def split_values(text: str) -> list[str]:
    """Split a text at the commas that are not in quotes."""
    parts, quote, escaped = [""], "", False
    for character in text:
        if quote:
            closes = character == quote and not escaped
            escaped = character == "\\" and quote == '"' and not escaped
            quote = "" if closes else quote
        elif character in "\"'":
            quote = character
        elif character == ",":
            parts.append("")
            continue
        parts[-1] += character
    return parts


def make_cell(
    base: Mapping[str, object], changes: Mapping[str, object], derivations: Sequence[Derivation]
) -> Cell:
    """Return the cell of these changes; ConfigurationError if a derived value is not a number."""
    settings, derived = {**base, **changes}, dict[str, object]()
    for derivation in derivations:
        settings[derivation.target] = derived[derivation.target] = derivation.value(settings)
    return Cell(cell_name(changes), changes, derived, settings)


def all_changes(axes: Sequence[Axis], one_factor: bool) -> Iterator[dict[str, object]]:
    """Yield the changes of each cell: all combinations, or none and then one at a time.

    Raises ConfigurationError if there are too many.
    """
    sizes = [len(axis.values) for axis in axes]
    n_cells = 1 + sum(sizes) if one_factor else prod(sizes)
    if n_cells > MOST_CELLS:
        raise ConfigurationError(
            f"the grid has {n_cells:,} cells: should be at most {MOST_CELLS:,}; give fewer values"
        )
    if one_factor:
        yield {}
        for axis in axes:
            yield from ({axis.key: value} for value in axis.values)
    else:
        for values in itertools.product(*(axis.values for axis in axes)):
            yield dict(zip([axis.key for axis in axes], values, strict=True))


def cell_name(changes: Mapping[str, object]) -> str:
    """Return the name of a cell, made from its changes alone, such as `n_in-6-units-64`."""
    parts = [f"{key.partition('.')[2]}-{value_name(value)}" for key, value in changes.items()]
    name = "-".join(parts) or BASE
    return name if len(name) <= MOST_CELL else f"{name[:MOST_CELL]}-{_digest(name)}"


def value_name(value: object) -> str:
    """Return a value as part of a cell's name; different values have different names."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    plain = re.sub(r"[^\w.+-]", "_", text, flags=re.ASCII)[:MOST_NAME]
    if plain == text and isinstance(value, str) == isinstance(parse_value(text), str):
        return plain
    return f"{plain}-{_digest(json.dumps(value, default=str))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]
