"""A sweep's cells on workers that train nothing."""

import sys
from concurrent.futures import Executor, Future
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "runs"))
import small

from seq2seq_cli.sweep.description import Sweep, with_options
from seq2seq_cli.sweep.executors import Workers
from seq2seq_cli.sweep.folder import SweepFolder
from seq2seq_cli.sweep.job import Job, Outcome
from seq2seq_cli.sweep.plan import plan_cells
from seq2seq_cli.sweep.session import prepare_sweep, run_sweep


class Inline(Executor):
    """Does its work at once."""

    def submit(self, work, /, *arguments, **options):
        future = Future()
        try:
            future.set_result(work(*arguments, **options))
        except BaseException as error:
            future.set_exception(error)
        return future


def describe(*grid, seeds=2, derive=(), settings=(), until=None, one_factor=False) -> Sweep:
    return with_options(Sweep(), None, settings, grid, derive, one_factor, seeds, until)


def report(exact_match: float, notes=()) -> dict[str, object]:
    return {"exact_match": exact_match, "exact_match_low": 0.0, "exact_match_high": 1.0,
            "exact": False, "token_accuracy": 0.5, "loss": 0.5, "n_samples": 100,
            "notes": list(notes)}  # fmt: skip


class Fake:
    """Workers that leave runs in the sweep's folder without training them.

    `ends` has the outcomes, or exceptions, of each cell's first attempts; the next attempt leaves
    a run of each missing seed. `learned` returns the exact match of a cell's settings and a seed.
    """

    def __init__(self, folder: SweepFolder, ends=None, learned=lambda settings, seed: 1.0, slots=1):
        self.folder, self.ends, self.learned = folder, dict(ends or {}), learned
        self.jobs: list[Job] = []
        self.notes: dict[str, list[str]] = {}  # of the evaluations, by cell
        self.is_stopped = False
        self.workers = Workers(Inline(), self.work, lambda: slots, self.stop)

    def stop(self) -> None:
        self.is_stopped = True

    def work(self, job: Job) -> Outcome:
        self.jobs.append(job)
        ends = self.ends.get(job.cell, [])
        end = ends.pop(0) if ends else None
        if isinstance(end, BaseException):
            raise end
        if end:
            return end
        sweep = self.folder.read()
        cells = sweep.cells() if not sweep.until else [
            sweep.searched(cell, job.settings[sweep.until.setting]) for cell in sweep.cells()
        ]  # fmt: skip
        planned = next(p for p in plan_cells(cells, sweep.seeds) if p.name == job.cell)
        for seed in job.missing:
            config = planned.with_seed(seed)
            small.train(self.folder.path, f"{job.cell}-seed-{seed}", config=config, force=True)
        notes = self.notes.get(job.cell, ())
        reports = {seed: report(self.learned(job.settings, seed), notes) for seed in planned.seeds}
        return Outcome(0, "", reports, 2.0)


def folder_at(path: Path, shard=None) -> SweepFolder:
    path.mkdir(exist_ok=True)
    return SweepFolder(path, shard)


def run(sweep: Sweep, folder: SweepFolder, fake: Fake | None = None, **options):
    """Run a sweep on fake workers; return its result and its events."""
    events = []
    fake = fake or Fake(folder)
    prepared = prepare_sweep(sweep, folder, options.get("shard"))
    result = run_sweep(prepared, folder, fake.workers, events.append, **options)
    return result, events
