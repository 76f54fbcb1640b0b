"""Settings that follow from others: `NAME = NAME * NUMBER` or `NAME = NAME / NUMBER`."""

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
    """A setting that is another one's multiple; of one that takes whole numbers, rounded down."""

    target: str
    source: str
    factor: Fraction
    text: str

    @classmethod
    def parse(cls, text: str) -> "Derivation":
        """Return the derivation that a text stands for, such as `task.n_out = task.n_in / 2`.

        Raises ConfigurationError for any other text, and for settings that take no number.
        """
        found = GRAMMAR.fullmatch(text)
        if not found:
            raise ConfigurationError(
                f"derived setting {text!r}: should be NAME = NAME * NUMBER or NAME = NAME / NUMBER"
            )
        target, source, sign, digits = found.groups()
        number = Fraction(digits)
        if not number:
            raise ConfigurationError(f"derived setting {text!r}: the number should not be 0")
        for name in (target, source):
            if not takes_number(name):
                raise ConfigurationError(f"derived setting {text!r}: {name} takes no number")
        factor = number if sign == "*" else 1 / number
        return cls(target, source, factor, f"{target} = {source} {sign} {digits}")

    def value(self, settings: Mapping[str, object]) -> int | float:
        """Return the target's value where the source's is among these, or its default.

        Raises ConfigurationError where that is no number, as a range of lengths.
        """
        value = settings.get(self.source, find_setting(self.source).default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigurationError(f"{self.text}: {self.source} = {value!r} is not a number")
        exact = Fraction(str(value)) * self.factor
        return floor(exact) if is_whole(self.target) else float(exact)


def is_whole(key: str) -> bool:
    """Tell whether a setting takes whole numbers."""
    return find_setting(key).annotation in WHOLE


def takes_number(key: str) -> bool:
    """Tell whether a setting takes numbers; ConfigurationError where there is none of this name."""
    return is_whole(key) or find_setting(key).annotation is float
