"""Tables, drawn with rich, which is imported only when needed."""

import os
import re
from collections.abc import Iterable, Sequence
from contextlib import nullcontext, suppress
from itertools import zip_longest
from typing import TYPE_CHECKING

from seq2seq_cli.cli.rendering.output import format_ids, stdout

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod, RenderableType
    from rich.text import Text

SHORTEST_BAR, LONGEST_BAR = 8, 24

SHORT = 16
"""Maximum characters of a cell that stays on one line if its column's name is one word."""

MOST_SHOWN = 24
"""Maximum integers of a sequence in a table."""


def make_console(stderr: bool = False) -> "Console":
    """Return a console for standard output, or error, as wide as the terminal."""
    from rich import console

    class Console(console.Console):
        def on_broken_pipe(self) -> None:
            raise

    columns = os.environ.get("COLUMNS", "")
    is_width = re.fullmatch(r"0*[1-9][0-9]{0,3}", columns)
    return Console(
        file=None if stderr else stdout(),
        stderr=stderr,
        color_system=None if os.environ.get("NO_COLOR") else "auto",  # without bold text, too
        highlight=False,
        markup=False,
        emoji=False,
        _environ={**os.environ, "COLUMNS": columns if is_width else ""},
    )


def one_line(text: str, least: int = 11) -> "Text":
    """Return a cell that is cut off, after `least` characters, where others need its room."""
    from rich.measure import Measurement
    from rich.text import Text

    class Line(Text):
        def __rich_measure__(self, *_: object) -> Measurement:
            return Measurement(min(least, len(text)), len(text))

    return Line(text, no_wrap=True, overflow="ellipsis")


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence["RenderableType"]],
    bars: Sequence[float | None] = (),
    console: "Console | None" = None,
) -> None:
    """Print a table to standard output, or to a console.

    Columns whose name begins with `>` are right-aligned. `bars` are shares from 0 to 1, one per
    row, drawn if there is room. Long cells are folded. If the words of three or more columns do not
    fit side by side, each row is printed as a list of column names and values.
    """
    from rich import box
    from rich.bar import Bar
    from rich.table import Table

    def drawn(columns: Sequence[str], rows: Sequence[Sequence["RenderableType"]]) -> Table:
        result = Table(box=box.SIMPLE_HEAD)
        for number, column in enumerate(columns):
            name = column.removeprefix(">")
            justify: JustifyMethod = "left" if column == name else "right"
            cells = [str(row[number]) for row in rows if not isinstance(row[number], Bar)]
            # Rich would break words in the widest column before wrapping another one.
            has_lines = " " in name or any(" " in cell and len(cell) > SHORT for cell in cells)
            no_wrap = len(columns) > 2 and not has_lines
            least = max(map(len, cells), default=0) if no_wrap else None
            result.add_column(
                name, justify=justify, overflow="fold", no_wrap=no_wrap, min_width=least
            )
        for row in rows:
            result.add_row(*row)
        return result

    console = console or make_console()
    rows = list(rows)
    result = drawn(columns, rows)
    size = result.__rich_measure__(console, console.options)
    room = min(LONGEST_BAR, console.width - size.maximum - 3)
    if bars and room >= SHORTEST_BAR:
        cells = [Bar(1, 0, share or 0, width=room, color="cyan") for share in bars]
        rows = [(*row, cell) for row, cell in zip(rows, cells, strict=True)]
        result = drawn((*columns, ""), rows)
    with suppress(OSError) if console.stderr else nullcontext():
        console.print(title, style="bold")
        if size.minimum <= console.width or len(columns) <= 2:
            console.print(result)
            return
        console.print()
        for row in rows:
            listed = Table.grid(padding=(0, 2, 0, 0))
            for column, cell in zip(columns, row, strict=True):
                if cell:
                    listed.add_row(column.removeprefix(">"), cell)
            for part in listed.columns:
                part.overflow = "fold"
            console.print(listed)
            console.print()


def coloured_message(result: str, colour: str, text: str, quiet: bool) -> None:
    """Write a message to standard error, its result in bold colour on a terminal."""
    from rich.text import Text

    if not quiet:
        with suppress(OSError):
            line = Text.assemble((result, f"bold {colour}"), text)
            make_console(stderr=True).print(line, soft_wrap=True)


def first_wrong(target: Sequence[int], predicted: Sequence[int]) -> int:
    """Return the index of the first wrong, missing or additional token; 0 if there is none."""
    pairs = enumerate(zip_longest(target, predicted))
    return next((index for index, (right, token) in pairs if token != right), 0)


def shorten(ids: Sequence[int], near: int = 0) -> str:
    """Return integers as text; of many only those near an index, and the total number."""
    if len(ids) <= MOST_SHOWN:
        return format_ids(ids)
    label, part = _excerpt(near)
    return f"{label}{format_ids(ids[part])}{' ...' * (part.stop < len(ids))} ({len(ids)})"


def _excerpt(near: int) -> tuple[str, slice]:
    """Return the part of a long sequence to show, and its label: the beginning has none."""
    start = 0 if near < MOST_SHOWN else near - MOST_SHOWN // 2
    return f"from {start + 1}: " * bool(start), slice(start, start + MOST_SHOWN)


def mark_errors(target: Sequence[int], predicted: Sequence[int]) -> tuple[str, "Text"]:
    """Return the target and the predicted tokens, of many only those near the first wrong one.

    Wrong tokens are marked by colour and a `!`, and missing ones are `_!`.
    """
    from rich.text import Text

    first = first_wrong(target, predicted)
    label, part = _excerpt(first)
    pairs = list(zip_longest(target, predicted, fillvalue="_"))
    text = Text(label)
    for right, token in pairs[part]:
        is_right = token == right
        text.append(f"{token} " if is_right else f"{token}! ", "" if is_right else "bold red")
    if len(pairs) > MOST_SHOWN:
        n_wrong = sum(right != token for right, token in pairs)
        wrong = f", {n_wrong} wrong" if n_wrong else ""
        text.append(f"{'... ' * (part.stop < len(pairs))}({len(predicted)}{wrong})")
    text.rstrip()
    return shorten(target, first), text


def markdown(text: str) -> None:
    """Print Markdown, formatted on a terminal, otherwise unchanged."""
    console = make_console()
    if not console.is_terminal:
        console.file.write(text)
        return
    from rich.markdown import Markdown

    console.print(Markdown(text))
