"""The cells of a sweep: which settings are changed, to what, and which others follow from them."""

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import floor, prod

from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.runs.resumption import FILLED_IN
from seq2seq_cli.settings import find_setting, parse_value

MOST_CELLS = 10_000
BASE = "base"
"""The name of the cell in which nothing is changed."""
MOST_NAME = 40
"""Maximum characters of a value in a cell's name."""
MOST_CELL = 180
"""Maximum characters of a cell's name; a folder's name adds the seed."""

RULE = re.compile(r"\s*(\w+\.\w+)\s*=\s*(\w+\.\w+)\s*([*/])\s*(\d{1,9}(?:\.\d{1,9})?)\s*", re.ASCII)


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
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ConfigurationError(f"{key}: {twice} is given {names.count(twice)} times")
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
class Derivation:
    """A setting that is a multiple of another one, rounded down if it takes whole numbers."""

    target: str
    source: str
    factor: Fraction
    text: str

    @classmethod
    def parse(cls, text: str) -> "Derivation":
        """Return the derivation `NAME = NAME * NUMBER` or `NAME = NAME / NUMBER`.

        Raises ConfigurationError for any other text, and for settings that are not numbers.
        """
        match = RULE.fullmatch(text)
        if not match:
            raise ConfigurationError(
                f"derived setting {text!r}: should be NAME = NAME * NUMBER or NAME = NAME / NUMBER"
            )
        target, source, sign, digits = match.groups()
        number = Fraction(digits)
        if not number:
            raise ConfigurationError(f"derived setting {text!r}: the number should not be 0")
        for name in (target, source):
            if not is_whole(name) and find_setting(name).annotation is not float:
                raise ConfigurationError(f"derived setting {text!r}: {name} takes no number")
        factor = number if sign == "*" else 1 / number
        return cls(target, source, factor, f"{target} = {source} {sign} {digits}")

    def value(self, settings: Mapping[str, object]) -> int | float:
        """Return the target's value, from the source's value in these settings or its default.

        Raises ConfigurationError if that is not a number, such as a range of lengths.
        """
        value = settings.get(self.source, find_setting(self.source).default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigurationError(f"{self.text}: {self.source} = {value!r} is not a number")
        exact = Fraction(str(value)) * self.factor
        return floor(exact) if is_whole(self.target) else float(exact)


@dataclass(frozen=True)
class Cell:
    """A configuration of a sweep: its changed settings, its derived ones, and all that are set."""

    changes: Mapping[str, object]
    derived: Mapping[str, object]
    settings: Mapping[str, object]  # section.key -> value, including the base's

    @cached_property
    def name(self) -> str:
        """The cell's name, made from its changes alone, such as `n_in-6-units-64`."""
        parts = [f"{key.partition('.')[2]}-{value_name(v)}" for key, v in self.changes.items()]
        name = "-".join(parts) or BASE
        return name if len(name) <= MOST_CELL else f"{name[:MOST_CELL]}-{_digest(name)}"

    @property
    def varied(self) -> dict[str, object]:
        """The changed and derived settings."""
        return {**self.changes, **self.derived}


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
    return Cell(changes, derived, settings)


def is_whole(key: str) -> bool:
    """Return whether a setting takes whole numbers; a length may be a range too.

    Raises ConfigurationError if there is no such setting.
    """
    return find_setting(key).annotation in (int, int | str)


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


def value_name(value: object) -> str:
    """Return a value as part of a cell's name; different values have different names."""
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    plain = re.sub(r"[^\w.+-]", "_", text, flags=re.ASCII)[:MOST_NAME]
    if plain == text and isinstance(value, str) == isinstance(parse_value(text), str):
        return plain
    return f"{plain}-{_digest(json.dumps(value, default=str))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:6]
