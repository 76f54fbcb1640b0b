"""Searches for the largest value of a setting at which each seed still learns its task.

The value is doubled until no seed learns, then the interval is halved. All seeds are trained at
each value. A seed that does not learn at a value is assumed not to learn beyond it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from seq2seq_cli.errors import S2sError
from seq2seq_cli.sweep.cells.description import Sweep
from seq2seq_cli.sweep.cells.grid import Cell
from seq2seq_cli.sweep.cells.plan import PlannedCell, plan_cell
from seq2seq_cli.sweep.record import RunRecord

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
        self._seeds, self._least, self.most = seeds, least, most
        self._learned: dict[int, Mapping[int, bool]] = {}  # by value and seed

    def add(self, value: int, learned: Mapping[int, bool]) -> None:
        """Add the result of a value: which seeds learned it."""
        self._learned[value] = learned

    def refuse(self, value: int) -> None:
        """Exclude this value and all larger ones, which cannot be trained."""
        self.most = max((known for known in self._learned if known < value), default=0)

    @property
    def is_over(self) -> bool:
        """Whether the largest value of every seed is known."""
        return self.next() is None

    def next(self) -> int | None:
        """Return the value to try next; None once the largest value of every seed is known."""
        if self.most is not None and self._least > self.most:
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
            value = 2 * low if self.most is None else min(2 * low, self.most)
            return value if value > low else None
        if high - low <= max(1, PRECISION * low):
            return None
        return (low + high) // 2

    def _bracket(self, seed: int) -> tuple[int | None, int | None]:
        """Return the largest value learned below the first one not learned, and that one."""
        failed = [value for value, learned in self._learned.items() if not learned[seed]]
        high = min(failed, default=None)
        fine = [v for v, learned in self._learned.items() if learned[seed]]
        return max((v for v in fine if high is None or v < high), default=None), high


class Searches:
    """A source of cells: a search for each cell of a sweep, all in parallel."""

    def __init__(self, sweep: Sweep, cells: Iterable[Cell], jobs: int = 1) -> None:
        assert sweep.until
        self._sweep, self._jobs, self._share = sweep, jobs, sweep.until.share
        least, most = sweep.bounds()
        self.cells = list(cells)
        # Problems with the smallest or largest value are reported before anything starts.
        self._planned = [
            self._plan(cell, value) for cell in self.cells for value in (least, most) if value
        ]
        seeds = self._planned[0].seeds if self._planned else range(0)
        self.searches = {cell.name: Search(seeds, least, most) for cell in self.cells}
        self._asked: dict[str, tuple[str, int]] = {}  # trained cell's name -> search and value
        self.notes: list[str] = []

    @property
    def first(self) -> list[PlannedCell]:
        """The cells known in advance: those with the smallest and largest value of each search."""
        return self._planned

    def take(self) -> list[PlannedCell]:
        """Return the next cell of each search that is not waiting for one."""
        waiting = {search for search, _ in self._asked.values()}
        cells = []
        for cell in self.cells:
            search = self.searches[cell.name]
            while cell.name not in waiting and (value := search.next()) is not None:
                try:
                    planned = self._plan(cell, value)
                except S2sError as error:
                    search.refuse(value)
                    first = str(error).splitlines()[0]
                    self.notes.append(f"{cell.name}: {value} could not be tried: {first}")
                    continue
                self._asked[planned.name] = cell.name, value
                cells.append(planned)
                break
        return cells

    def ended(self, planned: PlannedCell, records: Sequence[RunRecord], reason: str) -> None:
        """Add which seeds learned a value; nothing is known about a cell that failed.

        A seed whose loss is not finite has not learned.
        """
        if reason:
            return  # its search keeps waiting, and so ends here
        name, value = self._asked.pop(planned.name)
        learned = {
            record.seed: record.exact_match is not None and record.exact_match >= self._share
            for record in records
        }
        self.searches[name].add(value, learned)

    def _plan(self, cell: Cell, value: int) -> PlannedCell:
        return plan_cell(self._sweep.searched(cell, value), self._sweep.seeds, self._jobs)


class Grid:
    """A source of cells: those of a grid, all known in advance."""

    def __init__(self, planned: Sequence[PlannedCell]) -> None:
        self._planned = list(planned)

    def take(self) -> list[PlannedCell]:
        """Return all cells, once."""
        taken, self._planned = self._planned, []
        return taken

    def ended(self, planned: PlannedCell, records: Sequence[RunRecord], reason: str) -> None:
        """Do nothing: no cell depends on another."""
