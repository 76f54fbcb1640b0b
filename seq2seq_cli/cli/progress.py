"""How far a command has come, while it runs: an animated bar on a terminal."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from seq2seq_cli.cli.bars import sparkline
from seq2seq_cli.cli.output import console_of_progress

LEAST_WIDTH = 72
"""Columns of a terminal that has room for a bar."""

CURVE_FROM, CURVE_WIDTH = 110, 24
"""Columns of a terminal that has room for the losses' course too, and those that it takes."""


class Advance(Protocol):
    """Moves a progress bar forward by `n`, and says what to show beside it."""

    def __call__(
        self, n: int, note: str = "", label: str = "", total: int = 0, loss: float | None = None
    ) -> None:
        """Advance by `n`; an empty note or label, or a total of 0, leaves the one before.

        The course of the losses is drawn beside the bar, where there is room.
        """


@contextmanager
def progress(total: int, label: str, quiet: bool = False) -> Iterator[Advance]:
    """Show an animated bar on standard error while the block runs, on a terminal only.

    On a narrow one there is no room for a bar. What is noted beside it takes more lines there.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda n, note="", label="", total=0, loss=None: None
        return
    from rich import progress
    from rich.table import Column

    text = progress.TextColumn("{task.description}")
    share = progress.TextColumn("{task.percentage:.0f}%")
    note = progress.TextColumn("{task.fields[note]}", table_column=Column(overflow="fold"))
    curve = progress.TextColumn("{task.fields[curve]}", style="cyan")
    columns: tuple[progress.ProgressColumn, ...] = (text, share, note)
    with ExitStack() as stack:
        console = stack.enter_context(console_of_progress())
        if console.width >= LEAST_WIDTH:
            bar_column, left = progress.BarColumn(bar_width=None), progress.TimeRemainingColumn()
            columns = (progress.SpinnerColumn(), text, bar_column, share, left, curve, note)
        shown = progress.Progress(*columns, console=console, transient=True, expand=True)
        bar = stack.enter_context(shown)
        task = bar.add_task(label, total=total, note="", curve="")
        losses: list[float] = []

        def advance(
            n: int, note: str = "", label: str = "", total: int = 0, loss: float | None = None
        ) -> None:
            bar.update(task, advance=n, description=label or None, total=total or None)
            if loss is not None and console.width >= CURVE_FROM:
                losses.append(loss)
                bar.update(task, curve=sparkline(losses, CURVE_WIDTH))
            if note:
                bar.update(task, note=note)

        yield advance
