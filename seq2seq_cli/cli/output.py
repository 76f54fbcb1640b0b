"""What people see: tables, progress and examples. The only user of rich.

Data goes to standard output, messages and progress to standard error. Rich is imported where it
is needed, so that a command with plain output starts without it.
"""

import codecs
import json
import shutil
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from seq2seq_cli.cli import streams

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
            sys.stderr.write(streams.printable(text) + "\n")
            sys.stderr.flush()


def end_with_reader() -> None:
    """End quietly when whoever reads standard output has gone, as Unix tools do."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


_IN_ASCII = {
    "…": "...",
    "─": "-",
    "━": "-",
    "╺": "-",
    "╸": "-",
    "░": ".",
    "▒": ":",
    "▓": "+",
    "█": "#",
}
"""What is written for characters that the reader's encoding does not have; others become `?`."""


def fall_back_to_ascii() -> None:
    """Write what the encoding of standard output or error cannot show in ASCII, and never fail."""

    def replace(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeEncodeError)
        part = error.object[error.start : error.end]
        return "".join(_IN_ASCII.get(character, "?") for character in part), error.end

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


def _console(stderr: bool = False) -> "Console":
    from rich import console

    class Console(console.Console):
        def on_broken_pipe(self) -> None:
            raise

    return Console(stderr=stderr, highlight=False, soft_wrap=False)


def format_ids(ids: Iterable[int]) -> str:
    """Return integers as text, separated by spaces."""
    return " ".join(map(str, ids))


MOST_SHOWN = 24
"""Integers of a sequence that a table shows."""


def shorten(ids: Sequence[int]) -> str:
    """Return integers as text; of many, the first ones and how many there are."""
    if len(ids) <= MOST_SHOWN:
        return format_ids(ids)
    return f"{format_ids(ids[:MOST_SHOWN])} … ({len(ids)})"


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], stderr: bool = False
) -> None:
    """Print a table to standard output, or error.

    Columns whose name begins with `>` are right-aligned.
    """
    from rich import box
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD)
    for number, column in enumerate(columns):
        drawn.add_column(
            column.removeprefix(">"),
            justify="right" if column.startswith(">") else "left",
            overflow="fold",
            no_wrap=number == 0 and len(columns) > LONG_CELLS,
        )
    for row in rows:
        drawn.add_row(*row)
    console = _console(stderr)
    with suppress(*([OSError] if stderr else [])):  # as `message`
        console.print(title, style="bold")
        console.print(drawn)


SHADES = " ░▒▓█"


def heat_map(
    rows: Sequence[int], columns: Sequence[int], weights: Sequence[Sequence[float]]
) -> None:
    """Print weights (rows, columns) from 0 to 1 as a table of shades, each with its integer.

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
        text.append(f"… ({len(predicted)}, {wrong} wrong)" if wrong else f"… ({len(predicted)})")
    text.rstrip()
    return text


class Advance(Protocol):
    """Moves a progress bar forward by `n`, and says what to show beside it."""

    def __call__(self, n: int, note: str = "", label: str = "", total: int = 0) -> None:
        """Advance by `n`; an empty note or label, or a total of 0, leaves the one before."""


@contextmanager
def progress(total: int, label: str, quiet: bool = False) -> Iterator[Advance]:
    """Show an animated bar on standard error while the block runs, on a terminal only."""
    if quiet or not sys.stderr.isatty():
        yield lambda n, note="", label="", total=0: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=_console(stderr=True),
        transient=True,
        expand=True,
    ) as bar:
        task = bar.add_task(label, total=total, note="")

        def advance(n: int, note: str = "", label: str = "", total: int = 0) -> None:
            bar.update(task, advance=n, description=label or None, total=total or None)
            if note:
                bar.update(task, note=note)

        yield advance
