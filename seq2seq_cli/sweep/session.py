"""A sweep from its description to its results."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from seq2seq_cli.errors import ConfigurationError, S2sError
from seq2seq_cli.runs.lock import hold_lock
from seq2seq_cli.sweep.description import Sweep
from seq2seq_cli.sweep.dispatch import CellEnded, Dispatcher, Event
from seq2seq_cli.sweep.executors import Workers, fitting_jobs
from seq2seq_cli.sweep.folder import Shard, SweepFolder, TrainedFurtherError
from seq2seq_cli.sweep.plan import PlannedCell, plan_cells
from seq2seq_cli.sweep.results import RunRecord, write_csv
from seq2seq_cli.sweep.search import Searches


@dataclass(frozen=True)
class Prepared:
    """A sweep that has been checked; its folder may not exist yet."""

    sweep: Sweep
    planned: tuple[PlannedCell, ...]  # of a search those known in advance
    searches: Searches | None

    @property
    def fitting_jobs(self) -> int:
        """The best number of cells at a time: one per core, as far as the memory allows.

        All cells count, since a resumed one must have as many threads as it began with: the
        weights' last bits depend on them.
        """
        n = len(self.searches.searches if self.searches else self.planned)
        most = max((planned.estimate.memory for planned in self.planned), default=1)
        return fitting_jobs(n, most)


@dataclass(frozen=True)
class Result:
    """The results of a sweep, including those that were complete before."""

    folder: SweepFolder
    searches: Searches | None
    ended: list[CellEnded]
    left: list[PlannedCell]  # cells that there was no time for

    @property
    def records(self) -> list[RunRecord]:
        """All records, grouped by cell."""
        return [record for cell in self.ended for record in cell.records]

    @property
    def error(self) -> S2sError | None:
        """The error of a sweep with failed cells, with the exit code of the first one."""
        failed = [cell for cell in self.ended if cell.code]
        if not failed:
            return None
        n_cells = len(self.ended) + len(self.left)
        kinds = [kind for kind in S2sError.__subclasses__() if kind.exit_code == failed[0].code]
        lines = [f"{cell.planned.name}: {cell.reason}" for cell in failed]
        lines.append(f"{len(lines)} of {n_cells} cells have failed; the others are as shown")
        return next(iter(kinds), S2sError)("\n".join(lines))

    def write_table(self, path: Path) -> None:
        """Write a CSV line for each cell and seed, with all settings."""
        rows = (
            (record, cell.planned.with_seed(record.seed))
            for cell in self.ended
            for record in cell.records
        )
        write_csv(path, rows)


def prepare_sweep(
    sweep: Sweep, folder: SweepFolder | None = None, shard: Shard | None = None, jobs: int = 1
) -> Prepared:
    """Return what can be trained: the cells of this process's share, `jobs` at a time.

    Raises ConfigurationError, DataError or StorageError with the problems of all cells, and if runs
    in the folder were begun with other settings.
    """
    cells = sweep.cells()
    if shard:
        cells = cells[shard[0] :: shard[1]]
    searches = Searches(sweep, cells, jobs) if sweep.until else None
    planned, problems = list[PlannedCell](), list[str]()
    for item in searches.known if searches else plan_cells(cells, sweep.seeds, jobs):
        try:
            planned.append(folder.remaining(item) if folder else item)
        except TrainedFurtherError:
            planned.append(item)  # its cell fails alone
        except ConfigurationError as error:
            problems.append(str(error))
    if problems:
        raise ConfigurationError("\n".join(problems))
    return Prepared(sweep, tuple(planned), searches)


def run_sweep(
    prepared: Prepared,
    folder: SweepFolder,
    workers: Workers,
    report: Callable[[Event], None],
    *,
    shard: Shard | None = None,
    deadline: float | None = None,
    checkpoint_seconds: float = 60.0,
) -> Result:
    """Train a sweep's cells in its folder and return the results.

    `deadline` is a time of `time.monotonic`. Raises ExistsError if the folder is in use, which
    processes with a share of the cells use together; the problems of cells are in the result.
    """
    searches = prepared.searches
    dispatcher = Dispatcher(folder, workers, report, searches, deadline, checkpoint_seconds)
    with nullcontext() if shard else hold_lock(folder.path):
        folder.write(prepared.sweep)
        dispatcher.run(searches.first() if searches else prepared.planned)
        numbers = {planned.name: number for number, planned in enumerate(prepared.planned)}
        ended = sorted(
            dispatcher.ended,
            key=lambda cell: (
                searches.order(cell.planned) if searches else (numbers[cell.planned.name], 0)
            ),
        )
        result = Result(folder, searches, ended, dispatcher.left)
        if result.records or shard is None:
            folder.write_results(result.records)
    return result
