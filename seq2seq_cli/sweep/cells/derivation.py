"""Settings derived from others: `NAME = NAME * NUMBER` or `NAME = NAME / NUMBER`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.settings import find_setting

GRAMMAR = re.compile(
    r"\s*(\w+\.\w+)\s*=\s*(\w+\.\w+)\s*([*/])\s*(\d{1,9}(?:\.\d{1,9})?)\s*", re.ASCII
)

WHOLE = (int, int | str)
"""Types of settings that take whole numbers; a length may be a range too."""


@dataclass(frozen=True)
class Derivation:
    """A setting that is a multiple of another one, rounded down if it takes whole numbers."""

    target: str
    source: str
    factor: Fraction
    text: str

    @classmethod
    def parse(cls, text: str) -> "Derivation":
        """Return the derivation written in a text, such as `task.n_out = task.n_in / 2`.

        Raises ConfigurationError for any other text, and for settings that are not numbers.
        """
        match = GRAMMAR.fullmatch(text)
        if not match:
            raise ConfigurationError(
                f"derived setting {text!r}: should be NAME = NAME * NUMBER or NAME = NAME / NUMBER"
            )
        target, source, sign, digits = match.groups()
        number = Fraction(digits)
        if not number:
            raise ConfigurationError(f"derived setting {text!r}: the number should not be 0")
        for name in (target, source):
            if not takes_number(name):
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


def is_whole(key: str) -> bool:
    """Return whether a setting takes whole numbers."""
    return find_setting(key).annotation in WHOLE


def takes_number(key: str) -> bool:
    """Return whether a setting takes numbers; ConfigurationError if there is no such setting."""
    return is_whole(key) or find_setting(key).annotation is float
