"""Searches for the largest value of a setting at which each seed still learns its task.

The value is doubled until no seed learns, then the interval is halved. All seeds are trained at
each value. A seed that does not learn at a value is assumed not to learn beyond it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seq2seq_cli.errors import S2sError
from seq2seq_cli.sweep.description import Sweep
from seq2seq_cli.sweep.grid import Cell
from seq2seq_cli.sweep.plan import PlannedCell, plan_cell, plan_cells
from seq2seq_cli.sweep.results import RunRecord

PRECISION = 0.05
"""A search ends when the smallest value not learned is within this share, or 1, of one learned."""


@dataclass(frozen=True)
class Reach:
    """The largest value that a seed learned; 0 for none. `at_least`: none larger was tried."""

    seed: int
    value: int
    at_least: bool


class Search:
    """What is known about each value, and which one to try next."""

    def __init__(self, seeds: Sequence[int], least: int, most: int | None = None) -> None:
        self._seeds, self._least, self._most = seeds, least, most
        self._learned: dict[int, Mapping[int, bool]] = {}  # by value and seed

    def add(self, value: int, learned: Mapping[int, bool]) -> None:
        """Add the result of a value: which seeds learned it."""
        self._learned[value] = learned

    def refuse(self, value: int) -> None:
        """Exclude this value and all larger ones, which cannot be trained."""
        self._most = max((known for known in self._learned if known < value), default=0)

    @property
    def is_over(self) -> bool:
        """Whether the largest value of every seed is known."""
        return self.next() is None

    def next(self) -> int | None:
        """Return the value to try next; None once the largest value of every seed is known."""
        if self._most is not None and self._least > self._most:
            return None
        if self._least not in self._learned:
            return self._least
        values = (self._next(seed) for seed in self._seeds)
        return next((value for value in values if value is not None), None)

    def reaches(self) -> list[Reach]:
        """Return the result of each seed."""
        results = []
        for seed in self._seeds:
            low, high = self._bracket(seed)
            results.append(Reach(seed, low or 0, high is None and low is not None))
        return results

    def _next(self, seed: int) -> int | None:
        low, high = self._bracket(seed)
        if low is None:
            return None
        if high is None:
            value = 2 * low if self._most is None else min(2 * low, self._most)
            return value if value > low else None
        return (low + high) // 2 if high - low > max(1, PRECISION * low) else None

    def _bracket(self, seed: int) -> tuple[int | None, int | None]:
        """Return the largest value learned below the first one not learned, and that one."""
        high = min((v for v, learned in self._learned.items() if not learned[seed]), default=None)
        below = (v for v in self._learned if high is None or v < high)
        return max(below, default=None), high


class Searches:
    """A search for each cell of a sweep, all in parallel."""

    def __init__(self, sweep: Sweep, cells: Sequence[Cell], jobs: int = 1) -> None:
        assert sweep.until
        self.until, self._sweep, self._jobs = sweep.until, sweep, jobs
        bounds = sweep.bounds()
        self._cells = {cell.name: cell for cell in cells}
        # Problems with the smallest or largest value are reported before anything starts.
        known = [sweep.searched(cell, value) for cell in cells for value in bounds]
        self.known = plan_cells(known, sweep.seeds, jobs)
        seeds = self.known[0].seeds if self.known else range(0)
        self.searches = {name: Search(seeds, *bounds) for name in self._cells}
        self._tried: dict[str, tuple[str, int]] = {}  # trained cell's name -> search and value
        self.notes: list[str] = []

    def first(self) -> list[PlannedCell]:
        """Return the first cell of each search."""
        return [planned for name in self._cells for planned in self._after(name)]

    def after(self, planned: PlannedCell, records: Sequence[RunRecord]) -> list[PlannedCell]:
        """Return the cell to try after a complete one, if there is any.

        A seed whose loss is not finite has not learned.
        """
        name, value = self._tried[planned.name]
        learned = {
            record.seed: record.exact_match is not None and record.exact_match >= self.until.share
            for record in records
        }
        self.searches[name].add(value, learned)
        return self._after(name)

    def order(self, planned: PlannedCell) -> tuple[int, int]:
        """Return what sorts tried cells: by their searches, and by their values."""
        name, value = self._tried[planned.name]
        return list(self._cells).index(name), value

    def _after(self, name: str) -> list[PlannedCell]:
        value = self.searches[name].next()
        if value is None:
            return []
        try:
            planned = self._plan(self._cells[name], value)
        except S2sError as error:
            self.searches[name].refuse(value)
            first = str(error).splitlines()[0]
            self.notes.append(f"{name}: {value} could not be tried: {first}")
            return self._after(name)
        self._tried[planned.name] = name, value
        return [planned]

    def _plan(self, cell: Cell, value: int) -> PlannedCell:
        return plan_cell(self._sweep.searched(cell, value), self._sweep.seeds, self._jobs)
