"""Where a decoder looks, as shades of characters."""

import shutil
from collections.abc import Sequence

from seq2seq_cli.cli.output import write

SHADES = " ░▒▓█"


def heat_map(
    rows: Sequence[object], columns: Sequence[object], weights: Sequence[Sequence[float]]
) -> None:
    """Print weights (rows, columns) from 0 to 1 as a table of shades, each with its name.

    Columns that do not fit side by side follow below.
    """
    width = max(len(str(value)) for value in (*rows, *columns))
    room = max(1, (shutil.get_terminal_size().columns - width) // (width + 1))
    for start in range(0, len(columns), room):
        if start:
            write("")
        part = slice(start, start + room)
        write(" " * (width + 1) + " ".join(str(value).rjust(width) for value in columns[part]))
        for value, row in zip(rows, weights, strict=True):
            shades = (SHADES[min(len(SHADES) - 1, int(w * len(SHADES)))] * width for w in row[part])
            write(f"{str(value).rjust(width)} {' '.join(shades)}")
