"""Bars and courses, drawn with characters; each has one that stands for it in ASCII."""

import shutil
from collections.abc import Sequence
from math import log


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
