"""The looks of a picture in a paper: its size, resolution and title."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from seq2seq_cli.errors import ConfigurationError

LABEL = 11
"""The size of labels in the units in which charts are laid out."""

WIDTHS = {"column": 85, "text": 178}
"""The widths of a paper, in millimetres."""

POINT = 25.4 / 72
"""Millimetres per point."""


@dataclass(frozen=True)
class Style:
    """The looks of a picture: its width is "column", "text" or in mm, its font size in points.

    Raises ConfigurationError for values that are out of range.
    """

    width: str | float = "column"
    font_size: float = 8
    dpi: float = 300  # of a PNG
    title: str | None = None

    def __post_init__(self) -> None:
        most = min(24, int(self.mm / POINT * LABEL / 200))  # a chart needs 200 units of width
        _checked("font_size", self.font_size, 5, most, f" at a width of {self.mm:g} mm")
        _checked("dpi", self.dpi, 72, 600)

    @property
    def mm(self) -> float:
        """The width in millimetres."""
        return _checked("width", WIDTHS.get(str(self.width), self.width), 40, 400, " mm")

    @property
    def units(self) -> int:
        """The width in the units in which charts are laid out."""
        return round(self.mm / POINT * LABEL / self.font_size)


def _checked(name: str, value: Any, least: float, most: float, unit: str = "") -> float:
    with suppress(TypeError, ValueError):
        if least <= float(value) <= most:
            return float(value)
    words = "column, text or " * (name == "width")
    shown = f"{value:g}" if isinstance(value, float) else value
    raise ConfigurationError(f"{name} = {shown}: should be {words}{least:g} to {most:g}{unit}")
