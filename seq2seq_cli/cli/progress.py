"""How far a command has come, while it runs: an animated bar on a terminal."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from seq2seq_cli.cli.output import console_of_progress

LEAST_WIDTH = 72
"""Columns of a terminal that has room for a bar."""


class Advance(Protocol):
    """Moves a progress bar forward by `n`, and says what to show beside it."""

    def __call__(self, n: int, note: str = "", label: str = "", total: int = 0) -> None:
        """Advance by `n`; an empty note or label, or a total of 0, leaves the one before."""


@contextmanager
def progress(total: int, label: str, quiet: bool = False) -> Iterator[Advance]:
    """Show an animated bar on standard error while the block runs, on a terminal only.

    On a narrow one there is no room for a bar. What is noted beside it takes more lines there.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda n, note="", label="", total=0: None
        return
    from rich import progress
    from rich.table import Column

    text = progress.TextColumn("{task.description}")
    share = progress.TextColumn("{task.percentage:.0f}%")
    note = progress.TextColumn("{task.fields[note]}", table_column=Column(overflow="fold"))
    columns: tuple[progress.ProgressColumn, ...] = (text, share, note)
    with ExitStack() as stack:
        console = stack.enter_context(console_of_progress())
        if console.width >= LEAST_WIDTH:
            bar_column, left = progress.BarColumn(bar_width=None), progress.TimeRemainingColumn()
            columns = (progress.SpinnerColumn(), text, bar_column, share, left, note)
        shown = progress.Progress(*columns, console=console, transient=True, expand=True)
        bar = stack.enter_context(shown)
        task = bar.add_task(label, total=total, note="")

        def advance(n: int, note: str = "", label: str = "", total: int = 0) -> None:
            bar.update(task, advance=n, description=label or None, total=total or None)
            if note:
                bar.update(task, note=note)

        yield advance
