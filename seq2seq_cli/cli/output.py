"""What people see: tables and examples. With `progress` the only user of rich.

Data goes to standard output, messages and progress to standard error. Rich is imported where it
is needed, so that a command with plain output starts without it.
"""

import codecs
import json
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from seq2seq_cli.cli.process import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

LONG_CELLS = 4
"""Tables with more columns than this are lists by name, and keep the name on one line."""


def write(line: str) -> None:
    """Write a line of data to standard output."""
    sys.stdout.write(line + "\n")


def flush() -> None:
    """Let whoever reads standard output have what is written."""
    sys.stdout.flush()


def write_json(document: Any) -> None:
    """Write a value as one line of JSON to standard output."""
    write(json.dumps(document, allow_nan=False))


def message(text: str, quiet: bool = False) -> None:
    """Write a message for the user to standard error; nothing ends because none can read it."""
    if not quiet:
        with suppress(OSError):
            sys.stderr.write(printable(text) + "\n")
            sys.stderr.flush()


def end_with_reader() -> None:
    """End quietly when whoever reads standard output has gone, as Unix tools do."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)


_IN_ASCII = {
    "…": "~",
    "→": ">",
    "─": "-",
    "━": "-",
    "╺": "-",
    "╸": "-",
    "░": ".",
    "·": ".",
    "▒": ":",
    "▓": "+",
    "█": "#",
    "▁": "_",
    "▂": ".",
    "▃": "-",
    "▄": "=",
    "▅": "+",
    "▆": "*",
    "▇": "%",
}
"""What is written for characters that the reader's encoding does not have; others become `?`.

It is as wide as they are, or tables would be out of shape."""


_NO_DOTS, _ALL_DOTS = "\u2800", "\u28ff"
"""The first and last of the characters of eight dots, which curves are drawn with."""


def _in_ascii(character: str) -> str:
    if _NO_DOTS <= character <= _ALL_DOTS:
        return " " if character == _NO_DOTS else "*"
    return _IN_ASCII.get(character, "?")


def fall_back_to_ascii() -> None:
    """Write what the encoding of standard output or error cannot show in ASCII, and never fail."""

    def replace(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeEncodeError)
        part = error.object[error.start : error.end]
        return "".join(_in_ascii(character) for character in part), error.end

    codecs.register_error("s2s-ascii", replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="s2s-ascii")


@contextmanager
def open_input(file: Path | None) -> Iterator[BinaryIO]:
    """Open a file, or standard input for None, to be read."""
    if file is None:
        yield sys.stdin.buffer
        return
    with file.open("rb") as opened:
        yield opened


def make_console(stderr: bool = False) -> "Console":
    """Return what writes to standard output, or error, and is as wide as the terminal."""
    from rich import console

    class Console(console.Console):
        def on_broken_pipe(self) -> None:
            raise

    if stderr and _of_progress:
        return _of_progress
    return Console(stderr=stderr, highlight=False, soft_wrap=False)


_of_progress: "Console | None" = None
"""What shows progress on standard error: while it does, all that is printed there stands above."""


@contextmanager
def console_of_progress() -> Iterator["Console"]:
    """Give the console that all tables on standard error share while the block runs."""
    global _of_progress
    _of_progress = make_console(stderr=True)
    try:
        yield _of_progress
    finally:
        _of_progress = None


def format_ids(ids: Iterable[int]) -> str:
    """Return integers as text, separated by spaces."""
    return " ".join(map(str, ids))


MOST_SHOWN = 24
"""Integers of a sequence that a table shows."""


def shorten(ids: Sequence[int]) -> str:
    """Return integers as text; of many, the first ones and how many there are."""
    if len(ids) <= MOST_SHOWN:
        return format_ids(ids)
    return f"{format_ids(ids[:MOST_SHOWN])} ... ({len(ids)})"


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], stderr: bool = False
) -> None:
    """Print a table to standard output, or error.

    Columns whose name begins with `>` are right-aligned. Where the terminal has no room for the
    longest words of all columns, each row is a list by the columns' names.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    names = [column.removeprefix(">") for column in columns]
    cells = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    console = make_console(stderr)
    room = console.width - 3 * len(columns) - 1  # beside the edges and what stands between
    widths = _fit(
        [[Text(name), *column] for name, *column in zip(names, *cells, strict=True)], room
    )
    drawn = Table(box=box.SIMPLE_HEAD)
    for name, column, width in zip(names, columns, widths, strict=bool(widths)):
        drawn.add_column(
            name,
            justify="right" if column.startswith(">") else "left",
            overflow="fold",
            width=width,
        )
    with suppress(*([OSError] if stderr else [])):  # as `message`
        console.print(title, style="bold", markup=False)
        if not widths:
            _print_records(console, names, cells)
            return
        for row in cells:
            drawn.add_row(*row)
        console.print(drawn)


def _fit(columns: Sequence[Sequence["Text"]], room: int) -> list[int]:
    """Return the columns' widths, of which the widest are made smaller to be `room` together.

    None is so small that a word of it would be cut, nor is the name that begins a long row; where
    that is not possible there are none.
    """
    from rich.cells import cell_len

    widths = [max(cell.cell_len for cell in column) for column in columns]
    least = [
        max((cell_len(word) for cell in column for word in cell.plain.split()), default=0)
        for column in columns
    ]
    if len(columns) > LONG_CELLS:
        least[0] = widths[0]
    if sum(least) > room:
        return []
    while sum(widths) > room:
        widest = max(range(len(widths)), key=lambda i: (widths[i] > least[i], widths[i]))
        widths[widest] -= 1
    return widths


def _print_records(
    console: "Console", names: Sequence[str], rows: Sequence[Sequence["Text"]]
) -> None:
    """Print each row as its first cell, and the others by their names below it."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    console.print()
    for first, *others in rows:
        if len(others) == 1 and first.cell_len + others[0].cell_len + 2 <= console.width:
            console.print(Text.assemble(first, "  ", others[0]))
            continue
        console.print(first, overflow="fold")
        drawn = Table.grid(padding=(0, 2, 0, 0))
        for name, cell in zip(names[1:], others, strict=True):
            if cell:
                cell.overflow = "fold"
                drawn.add_row(*([name] if len(others) > 1 else []), cell)
        console.print(Padding(drawn, (0, 0, 0, 2), expand=False))
    console.print()


def mark_errors(target: Sequence[int], predicted: Sequence[int]) -> "Text":
    """Return the predicted tokens with the wrong ones marked, by colour and by a `!`."""
    from rich.text import Text

    text = Text()
    for position, token in enumerate(predicted[:MOST_SHOWN]):
        right = position < len(target) and token == target[position]
        text.append(str(token) if right else f"{token}!", style="" if right else "bold red")
        text.append(" ")
    if len(predicted) > MOST_SHOWN:
        wrong = sum(a != b for a, b in zip(target, predicted, strict=False))
        text.append(
            f"... ({len(predicted)}, {wrong} wrong)" if wrong else f"... ({len(predicted)})"
        )
    text.rstrip()
    return text
