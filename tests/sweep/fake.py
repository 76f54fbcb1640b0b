"""Trainings of a sweep's cells that take no time: what the tests of its engine are made of."""

import sys
from concurrent.futures import Executor, Future
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "runs"))
import small

from seq2seq_cli.sweep.cells.description import Sweep, with_options
from seq2seq_cli.sweep.cells.plan import plan_cells
from seq2seq_cli.sweep.engine.executors import Workers
from seq2seq_cli.sweep.engine.job import Job, Outcome
from seq2seq_cli.sweep.folder import SweepFolder
from seq2seq_cli.sweep.session import prepare_sweep, run_sweep


class Inline(Executor):
    """Does what it is given at once."""

    def submit(self, work, /, *arguments, **options):
        future = Future()
        try:
            future.set_result(work(*arguments, **options))
        except BaseException as error:
            future.set_exception(error)
        return future


def describe(*grid, seeds=2, **options) -> Sweep:
    given = {"derive": (), "settings": (), "until": None, "one_factor": False} | options
    return with_options(
        Sweep(), None, given["settings"], grid, given["derive"], given["one_factor"], seeds,
        given["until"],
    )  # fmt: skip


def report(exact_match: float) -> dict[str, object]:
    return {"exact_match": exact_match, "exact_match_low": 0.0, "exact_match_high": 1.0,
            "exact": False, "token_accuracy": 0.5, "loss": 0.5, "n_samples": 100,
            "notes": []}  # fmt: skip


class Fake:
    """Workers whose trainings end as they are told to, and leave runs in the sweep's folder.

    `ends` has for a cell how its attempts end: an outcome, an exception, or True for a run of each
    missing seed; then all end well. `learned` tells the exact match of a cell's settings.
    """

    def __init__(self, folder: SweepFolder, ends=None, learned=lambda given, seed: 1.0, slots=1):
        self.folder, self.ends, self.learned = folder, dict(ends or {}), learned
        self.jobs: list[Job] = []
        self.notes: dict[str, list[str]] = {}  # of the evaluations, by cell
        self.is_stopped = False
        self.workers = Workers(Inline(), self.work, lambda: slots, self.stop)

    def stop(self) -> None:
        self.is_stopped = True

    def work(self, job: Job) -> Outcome:
        self.jobs.append(job)
        told = self.ends.get(job.cell, [])
        end = told.pop(0) if told else True
        if isinstance(end, BaseException):
            raise end
        if isinstance(end, Outcome):
            return end
        sweep = self.folder.read()
        cells = sweep.cells() if not sweep.until else [
            sweep.searched(cell, job.given[sweep.until.setting]) for cell in sweep.cells()
        ]  # fmt: skip
        planned = next(p for p in plan_cells(cells, sweep.seeds) if p.name == job.cell)
        for seed in job.missing:
            config = planned.with_seed(seed)
            small.train(self.folder.path, f"{job.cell}-seed-{seed}", config=config, force=True)
        reports = {
            seed: report(self.learned(job.given, seed)) | {"notes": self.notes.get(job.cell, [])}
            for seed in planned.seeds
        }
        return Outcome(0, "", reports, 2.0)


def folder_at(path: Path, shard=None) -> SweepFolder:
    path.mkdir(exist_ok=True)
    return SweepFolder(path, shard)


def run(sweep: Sweep, folder: SweepFolder, fake: Fake | None = None, **options):
    """Run a sweep on fake workers; return its result and what it has told."""
    events = []
    fake = fake or Fake(folder)
    prepared = prepare_sweep(sweep, folder, options.get("shard"))
    result = run_sweep(prepared, folder, fake.workers, events.append, **options)
    return result, events
