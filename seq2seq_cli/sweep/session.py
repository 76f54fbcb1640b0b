"""A sweep from its description to its results."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from seq2seq_cli.errors import ConfigurationError, ExistsError, ModelError, S2sError
from seq2seq_cli.runs.lock import hold_lock
from seq2seq_cli.runs.names import check_name
from seq2seq_cli.runs.resumption import State
from seq2seq_cli.settings import MOST_TOML
from seq2seq_cli.storage import make_folder, read_text
from seq2seq_cli.sweep.cells.description import Sweep, parse_sweep
from seq2seq_cli.sweep.cells.grid import Axis
from seq2seq_cli.sweep.cells.plan import PlannedCell, plan_cells
from seq2seq_cli.sweep.cells.search import Grid, Reach, Searches
from seq2seq_cli.sweep.engine.dispatch import Dispatcher, Failure, failure_error
from seq2seq_cli.sweep.engine.events import CellEnded, Event, OnEvent
from seq2seq_cli.sweep.engine.executors import Workers, fitting_jobs
from seq2seq_cli.sweep.folder import SweepFolder, new_folder
from seq2seq_cli.sweep.listing import SWEEP_FILE
from seq2seq_cli.sweep.record import RunRecord, write_csv

Shard = tuple[int, int]
"""This process's share of the cells: its number from 0, and the number of shares."""


@dataclass(frozen=True)
class Prepared:
    """A sweep that has been checked; its folder may not exist yet."""

    sweep: Sweep
    planned: tuple[PlannedCell, ...]  # of a search those known in advance
    searches: Searches | None
    states: dict[str, dict[int, State]]  # by cell and seed

    @property
    def steps(self) -> int:
        """Optimizer steps that are left; stopped trainings count in full."""
        return sum(
            len(self.missing(planned)) * planned.config.training.total_steps
            for planned in self.planned
        )

    @property
    def fitting_jobs(self) -> int:
        """The best number of cells at a time: one per core, as far as the memory allows.

        All cells count, since a resumed one must have as many threads as it began with: the
        weights' last bits depend on them.
        """
        n = len(self.searches.cells if self.searches else self.planned)
        return fitting_jobs(
            n, max((planned.estimate.memory for planned in self.planned), default=1)
        )

    def missing(self, planned: PlannedCell) -> list[int]:
        """Return the seeds of a cell that are not complete."""
        states = self.states.get(planned.name, {})
        return [seed for seed in planned.seeds if states.get(seed) is not State.COMPLETE]

    def estimated_seconds(self, planned: PlannedCell) -> float:
        """Return the time that the missing seeds of a cell are estimated to take."""
        return planned.estimate.seconds(len(self.missing(planned)))


@dataclass
class Result:
    """The results of a sweep, including those that were complete before."""

    folder: SweepFolder
    sweep: Sweep
    ended: list[tuple[PlannedCell, tuple[RunRecord, ...]]] = field(default_factory=list)
    left: list[PlannedCell] = field(default_factory=list)  # cells that there was no time for
    failures: list[Failure] = field(default_factory=list)
    searches: Searches | None = None

    @property
    def records(self) -> list[RunRecord]:
        """All records, grouped by cell."""
        return [record for _, records in self.ended for record in records]

    @property
    def error(self) -> S2sError | None:
        """The error of a sweep with failed cells."""
        return failure_error(self.failures, len(self.ended) + len(self.left))

    def reaches(self) -> dict[str, list[Reach]]:
        """Return the results of each search's seeds."""
        searches = self.searches.searches if self.searches else {}
        return {name: search.reaches() for name, search in searches.items()}


def read_sweep(file: Path) -> Sweep:
    """Return the sweep in a file; raises ConfigurationError and StorageError."""
    return parse_sweep(read_text(file, MOST_TOML), file)


def find_sweep(runs_dir: Path, name: str, shard: Shard | None = None) -> SweepFolder:
    """Return the folder of a sweep; ModelError if there is none."""
    folder = SweepFolder(runs_dir / check_name(name), shard)
    if not (folder.path / SWEEP_FILE).is_file():
        raise ModelError(f"there is no sweep {folder.path}: begin it without --resume")
    return folder


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
    planned = searches.first if searches else plan_cells(cells, sweep.seeds, jobs)
    states, problems = dict[str, dict[int, State]](), list[str]()
    for item in planned if folder else ():
        try:
            assert folder
            states[item.name] = folder.states(item)
        except ConfigurationError as error:
            problems += str(error).splitlines()
    if problems:
        raise ConfigurationError("\n".join(problems))
    return Prepared(sweep, tuple(planned), searches, states)


def extend(saved: Sweep, described: Sweep | None, grid: Sequence[str], seeds: int | None) -> Sweep:
    """Return a saved sweep, or the described one in its place, with axes and seeds added.

    Raises ConfigurationError for an unknown axis or fewer seeds.
    """
    axes = [Axis.parse(text) for text in grid]
    if described is None:
        return saved.extended(axes, seeds)
    n_seeds = max(described.seeds, saved.seeds) if seeds is None else seeds
    return replace(described, seeds=saved.seeds).extended(axes, n_seeds)


def default_name(sweep: Sweep) -> str:
    """Return the default name of a sweep, such as sweep-n_in-units."""
    keys = [axis.key for axis in sweep.axes]
    if sweep.until and sweep.until.setting not in keys:
        keys.append(sweep.until.setting)
    return "-".join(["sweep", *(key.partition(".")[2] for key in keys)])


def open_folder(
    runs_dir: Path, name: str | None, default: str, sweep: Sweep, shard: Shard | None
) -> SweepFolder:
    """Create a sweep's folder; with a shard it may exist, if it is that of the same sweep."""
    if shard is None:
        folder = new_folder(runs_dir, name, default)
    else:
        folder = SweepFolder(runs_dir / check_name(name or default), shard)
        make_folder(folder.path)
        path = folder.path / SWEEP_FILE
        if path.is_file() and read_text(path, MOST_TOML) != sweep.to_toml():
            raise ExistsError(f"{folder.path} is another sweep's: give another --name")
    return folder


def run_sweep(
    prepared: Prepared,
    folder: SweepFolder,
    workers: Workers,
    report: OnEvent,
    *,
    shard: Shard | None = None,
    deadline: float | None = None,
    checkpoint_seconds: float = 60.0,
) -> Result:
    """Train a sweep's cells in its folder and return the results.

    `deadline` is a time of `time.monotonic`. Raises ExistsError if the folder is in use; the
    problems of cells are in the result.
    """
    result = Result(folder, prepared.sweep, searches=prepared.searches)

    def told(event: Event) -> None:
        if isinstance(event, CellEnded):
            result.ended.append((event.planned, event.records))
        report(event)

    dispatcher = Dispatcher(folder, workers, told, deadline, checkpoint_seconds)
    with _locked(folder, shard):
        folder.write(prepared.sweep)
        dispatcher.run(prepared.searches or Grid(prepared.planned))
        order = {planned.name: number for number, planned in enumerate(prepared.planned)}
        if prepared.searches is None:
            result.ended.sort(key=lambda item: order[item[0].name])
        else:
            result.ended.sort(key=lambda item: _search_order(item[0], prepared))
        if result.records or shard is None:
            folder.write_results(result.records)
    result.left, result.failures = dispatcher.left, dispatcher.failures
    return result


def write_table(path: Path, result: Result) -> None:
    """Write a CSV line for each cell and seed, with all settings."""
    write_csv(
        path,
        (
            (record, planned.with_seed(record.seed))
            for planned, records in result.ended
            for record in records
        ),
    )


def _search_order(planned: PlannedCell, prepared: Prepared) -> tuple[str, float]:
    assert prepared.sweep.until
    key = prepared.sweep.until.setting
    others = {name: value for name, value in planned.cell.changes.items() if name != key}
    return str(others), float(str(planned.cell.changes[key]))


@contextmanager
def _locked(folder: SweepFolder, shard: Shard | None) -> Iterator[None]:
    """Hold the sweep's folder; processes with a share hold it together."""
    with ExitStack() as stack:
        if shard is None:
            try:
                stack.enter_context(hold_lock(folder.path))
            except ExistsError:
                raise ExistsError(f"{folder.path} is in use: another process trains it") from None
        yield
