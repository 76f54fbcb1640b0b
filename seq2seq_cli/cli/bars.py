"""Bars, courses and shades, drawn with characters; each has one that stands for it in ASCII."""

import shutil
from collections.abc import Iterator, Sequence
from math import log

SHADES = " ░▒▓█"


def heat_map(
    rows: Sequence[object], columns: Sequence[object], weights: Sequence[Sequence[float]]
) -> Iterator[str]:
    """Yield the lines of weights (rows, columns) from 0 to 1 as shades, each with its name.

    Columns that do not fit side by side follow below.
    """
    width = max(len(str(value)) for value in (*rows, *columns))
    room = max(1, (terminal_width() - width) // (width + 1))
    for start in range(0, len(columns), room):
        if start:
            yield ""
        part = slice(start, start + room)
        yield " " * (width + 1) + " ".join(str(value).rjust(width) for value in columns[part])
        for value, row in zip(rows, weights, strict=True):
            shades = (SHADES[min(len(SHADES) - 1, int(w * len(SHADES)))] * width for w in row[part])
            yield f"{str(value).rjust(width)} {' '.join(shades)}"


def terminal_width() -> int:
    """Return how many characters wide the terminal is, or what stands for one."""
    return shutil.get_terminal_size().columns


def bar(share: float, width: int) -> str:
    """Return a bar of a share from 0 to 1, by half characters; 1 alone fills its width."""
    halves = int(share * 2 * width)
    return ("━" * (halves // 2) + "╸" * (halves % 2)).ljust(width, "·")


LEVELS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
    """Return the course of some values in a line of characters, means of some where they are many.

    Positive values, as losses are, stand by their logarithms.
    """
    n = min(width, len(values))
    parts = [values[i * len(values) // n : (i + 1) * len(values) // n] for i in range(n)]
    means = [sum(part) / len(part) for part in parts]
    if means and min(means) > 0:
        means = [log(mean) for mean in means]
    low, high = min(means, default=0.0), max(means, default=0.0)
    steps = (len(LEVELS) - 1) / (high - low) if high > low else 0.0
    return "".join(LEVELS[round((mean - low) * steps)] for mean in means)
