"""Progress on standard error: animated on a terminal, otherwise not shown."""

import sys
from collections.abc import Sequence
from functools import cached_property
from math import log
from typing import TYPE_CHECKING, Self

from seq2seq_cli.cli.rendering.output import message
from seq2seq_cli.cli.rendering.tables import make_console

if TYPE_CHECKING:
    from rich import progress
    from rich.console import Console

LEAST_WIDTH = 72
"""Minimum columns of a terminal for a bar."""

CURVE_FROM, CURVE_WIDTH = 80, 24
"""Minimum columns of a terminal for the curve of losses, and the curve's maximum columns."""

LEVELS = "▁▂▃▄▅▆▇█"

WHOLE = ""
"""The key of the whole work's bar among those of its parts."""


class Progress:
    """A bar for a command's whole work, and one for each part, while the `with` block runs.

    What the block prints on `console`, or with `say`, appears above the bars.
    """

    def __init__(self, label: str, total: int = 1, quiet: bool = False) -> None:
        self.quiet = quiet
        self._bars: progress.Progress | None = None
        self._tasks: dict[str, progress.TaskID] = {}
        self._losses: list[float] = []
        if not quiet and sys.stderr.isatty():
            self._bars = self._make_bars()
            self._tasks[WHOLE] = self._bars.add_task(label, total=total, note="", curve="")

    @cached_property
    def console(self) -> "Console":
        """The console on standard error."""
        return make_console(stderr=True)

    def _make_bars(self) -> "progress.Progress":
        """Return the bars; a narrow terminal shows only their text."""
        from rich import progress
        from rich.table import Column

        text = progress.TextColumn("{task.description}")
        share = progress.TaskProgressColumn("{task.percentage:.0f}%")
        note = progress.TextColumn("{task.fields[note]}", table_column=Column(overflow="fold"))
        columns: list[progress.ProgressColumn] = [text, share, note]
        if self.console.width >= LEAST_WIDTH:
            bar, times = progress.BarColumn(None, table_column=Column(ratio=1)), self._times()
            columns = [progress.SpinnerColumn("line"), text, bar, share, times, note]
        if self.console.width >= CURVE_FROM:
            columns.insert(-1, progress.TextColumn("{task.fields[curve]}", style="cyan"))
        return progress.Progress(*columns, console=self.console, transient=True, expand=True)

    def _times(self) -> "progress.ProgressColumn":
        from rich.progress import TimeRemainingColumn

        return TimeRemainingColumn(compact=True)

    def __enter__(self) -> Self:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars:
            self._bars.stop()

    def say(self, text: str) -> None:
        """Write a message for the user."""
        message(text, self.quiet)

    def advance(
        self, n: int = 0, note: str = "", label: str = "", total: int = 0, loss: float | None = None
    ) -> None:
        """Advance the whole bar by `n`; an empty note or label, or total 0, changes nothing."""
        if not self._bars:
            return
        task = self._tasks[WHOLE]
        self._bars.update(task, advance=n, description=label or None, total=total or None)
        if note:
            self._bars.update(task, note=note)
        if loss is not None:
            self._losses.append(loss)
            width = min(CURVE_WIDTH, self.console.width - LEAST_WIDTH)
            self._bars.update(task, curve=sparkline(self._losses, width))

    def skip(self, n: int) -> None:
        """Advance the whole bar by work done earlier, which says nothing about the time left."""
        if self._bars:
            whole = self._bars.tasks[0]
            self._bars.reset(whole.id, completed=int(whole.completed) + n)

    def begin(self, name: str, note: str) -> None:
        """Show a part that has begun."""
        if self._bars:
            self._tasks[name] = self._bars.add_task(name, total=None, note=note, curve="")

    def end(self, name: str) -> None:
        """Remove a part that has ended, if it is shown."""
        if self._bars and name in self._tasks:
            self._bars.remove_task(self._tasks.pop(name))


def sparkline(values: Sequence[float], width: int) -> str:
    """Return a curve of values as a line of characters; many are averaged with their neighbours.

    Positive values, such as losses, are drawn on a logarithmic scale.
    """
    n = min(width, len(values))
    parts = [values[i * len(values) // n : (i + 1) * len(values) // n] for i in range(n)]
    means = [sum(part) / len(part) for part in parts]
    if means and min(means) > 0:
        means = [log(mean) for mean in means]
    low, high = min(means, default=0.0), max(means, default=0.0)
    steps = (len(LEVELS) - 1) / (high - low) if high > low else 0.0
    return "".join(LEVELS[round((mean - low) * steps)] for mean in means)
