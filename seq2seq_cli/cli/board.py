"""Progress of several things at once, on a terminal: a bar for all, and a line for each."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from seq2seq_cli.cli import output

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Board:
    """A bar for all, and one for each thing under way by the seconds that it is expected to take.

    Without a terminal there is nothing to see.
    """

    def __init__(self, bar: "Progress | None", total: int) -> None:
        self._bar = bar
        self._all = bar.add_task("all", total=total, note="") if bar else None
        self._lines: dict[str, tuple[TaskID, float]] = {}

    @property
    def is_shown(self) -> bool:
        """Whether there is a terminal that shows it."""
        return self._bar is not None

    def move(self, done: int, total: int, note: str) -> None:
        """Show how many are done, and of each under way the time that has passed."""
        if self._bar and self._all is not None:
            self._bar.update(self._all, completed=done, total=total, note=note)
            for task, started in self._lines.values():
                self._bar.update(task, completed=time.monotonic() - started)

    def begin(self, name: str, seconds: float) -> None:
        """Show a line for a thing that is expected to take so many seconds."""
        if self._bar:
            task = self._bar.add_task(name, total=seconds, note=f"of about {spell(seconds)}")
            self._lines[name] = task, time.monotonic()

    def end(self, name: str) -> None:
        """Show a thing no more."""
        if self._bar and name in self._lines:
            self._bar.remove_task(self._lines.pop(name)[0])


@contextmanager
def board(total: int, quiet: bool = False) -> Iterator[Board]:
    """Show a board on standard error while the block runs, on a terminal only."""
    if quiet or not sys.stderr.isatty():
        yield Board(None, total)
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
        console=output.make_console(stderr=True),
        transient=True,
    ) as bar:
        yield Board(bar, total)


def spell(seconds: float) -> str:
    """Return a time for people, such as 45 s, 12 min or 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
