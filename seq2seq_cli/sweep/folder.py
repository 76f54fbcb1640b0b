"""A sweep's folder: its description, its results, and the runs of its cells.

    sweep.toml                its description
    sweep.jsonl               a line for each evaluated cell and seed
    sweep-I-of-N.jsonl        the same, of a process that has a share of the cells
    CELL-seed-0/  ...         complete runs
    CELL-seed-0.training/     trainings that are running or stopped

Only the runs decide what is complete. The results save evaluating them again.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from seq2seq_cli.config import RunConfig
from seq2seq_cli.custom_code import names_function
from seq2seq_cli.data.tasks import load_task
from seq2seq_cli.errors import ConfigurationError, ExistsError, ModelError
from seq2seq_cli.evaluation import evaluate
from seq2seq_cli.inference.loading import load_network
from seq2seq_cli.resources import validation_samples
from seq2seq_cli.runs.advice import list_command, remove_command, sweep_command
from seq2seq_cli.runs.checkpoint import is_stopped, newest_description
from seq2seq_cli.runs.listing import Run, open_run
from seq2seq_cli.runs.lock import LOCK
from seq2seq_cli.runs.manifest import MANIFEST, read_manifest
from seq2seq_cli.runs.names import check_name, seed_run
from seq2seq_cli.runs.resumption import CHANGEABLE, check_resumable
from seq2seq_cli.settings import MOST_TOML, flat_settings
from seq2seq_cli.storage import append_line, check_folder, read_text, write_text
from seq2seq_cli.sweep.description import Sweep, parse_sweep
from seq2seq_cli.sweep.listing import SWEEP_FILE
from seq2seq_cli.sweep.plan import PlannedCell
from seq2seq_cli.sweep.results import (
    EVALUATED,
    RESULTS_FILES,
    RunRecord,
    read_records,
    write_records,
)

RESULTS = "sweep.jsonl"

Shard = tuple[int, int]
"""A process's share of the cells: its number from 0, and the number of shares."""


class TrainedFurtherError(ConfigurationError):
    """A run has more epochs than its cell; the cell is not trained, and others are."""


class SweepFolder:
    """The folder of a sweep; `results` is the file that this process appends its results to."""

    def __init__(self, path: Path, shard: Shard | None = None) -> None:
        self.path = path
        self.name = path.name
        self.results = path / (f"sweep-{shard[0]}-of-{shard[1]}.jsonl" if shard else RESULTS)

    def read(self) -> Sweep:
        """Return the saved description; ModelError if there is none."""
        file = self.path / SWEEP_FILE
        if not file.is_file():
            raise ModelError(
                f"there is no sweep {self.path}: `{list_command(self.path.parent)}` lists them"
            )
        sweep = parse_sweep(read_text(file, MOST_TOML), file)
        if not sweep.axes and not sweep.until:
            raise ModelError(f"{file} is damaged: it does not say what to change")
        return sweep

    def write(self, sweep: Sweep) -> None:
        """Save the description."""
        write_text(self.path / SWEEP_FILE, sweep.to_toml())

    def remaining(self, planned: PlannedCell) -> PlannedCell:
        """Return the cell with the seeds that are not complete.

        Raises ConfigurationError if one was begun with other settings, TrainedFurtherError if it
        has more epochs.
        """
        missing = tuple(seed for seed in planned.seeds if not self._complete_run(planned, seed))
        return replace(planned, missing=missing)

    def _complete_run(self, planned: PlannedCell, seed: int) -> Run | None:
        path, config = self.path / seed_run(planned.name, seed), planned.with_seed(seed)
        newest, run = newest_description(path), _open(path)
        saved = run.config if run else newest.config if newest else None
        if saved:
            check_resumable(saved, config, path.name)
        if run and run.config.training.epochs > config.training.epochs:
            raise TrainedFurtherError(
                f"{path.name}: it has been trained further, to training.epochs = "
                f"{run.config.training.epochs}, and the sweep has {config.training.epochs}: remove "
                f"it with `{remove_command(path)}`, and it is trained again"
            )
        return run if run and _changeable(run.config) == _changeable(config) else None

    def collect(
        self, planned: PlannedCell, reports: Mapping[int, Mapping[str, Any]], problem: str = ""
    ) -> list[RunRecord]:
        """Return a cell's records and save those that are new.

        `reports` are evaluations of its seeds by the training; a complete run without one is
        evaluated here. The record of an incomplete run has the problem in its report, or `problem`.
        """
        records = []
        for seed in planned.seeds:
            known = self._known.get((planned.name, seed))
            record = self._record(planned, seed, known, reports.get(seed, {}), problem)
            if record != known:
                append_line(self.results, record.model_dump_json())
                self._known[planned.name, seed] = record
            records.append(record)
        return records

    def _record(
        self,
        planned: PlannedCell,
        seed: int,
        known: RunRecord | None,
        report: Mapping[str, Any],
        problem: str,
    ) -> RunRecord:
        path = self.path / seed_run(planned.name, seed)
        values: dict[str, Any] = {
            "cell": planned.name, "seed": seed, "run": f"{self.name}/{path.name}",
            "settings": planned.cell.varied,
        }  # fmt: skip
        try:
            run = self._complete_run(planned, seed)
        except ConfigurationError as error:
            return RunRecord(**values, problem=str(error))
        if run is None:
            reason = str(report.get("problem") or problem or "it is not trained yet")
            return RunRecord(**values, problem=reason)
        manifest = run.manifest
        if known and known.completed_at == manifest.completed_at:
            return known
        report = report if "exact_match" in report else _evaluate(run, planned.config.task.name)
        values |= {name: report[name] for name in EVALUATED}
        return RunRecord(**values, seconds=manifest.seconds, completed_at=manifest.completed_at)

    @cached_property
    def _known(self) -> dict[tuple[str, int], RunRecord]:
        return self.saved()

    def saved(self) -> dict[tuple[str, int], RunRecord]:
        """Return the last record of each cell and seed in all result files."""
        paths = sorted(self.path.glob(RESULTS_FILES))
        records = [record for path in paths for record in read_records(path)]
        return {(record.cell, record.seed): record for record in records}

    def read_results(self) -> tuple[Sweep, list[RunRecord]]:
        """Return the saved description and the results of the runs as they are now.

        Raises ModelError if there are none.
        """
        sweep = self.read()
        records = list(filter(self._is_current, self.saved().values()))
        if not records:
            command = sweep_command(self.path, sweep.custom_tasks())
            raise ModelError(
                f"the sweep {self.path} has no results: resume it with `{command}`, which also "
                "collects the runs that are complete"
            )
        return sweep, records

    def _is_current(self, record: RunRecord) -> bool:
        """Return whether a record is that of its run, which may be gone or trained further."""
        try:
            run = read_manifest(self.path / seed_run(record.cell, record.seed))
        except ModelError:
            return not record.completed_at
        return record.completed_at == run.completed_at

    def run(self, record: RunRecord) -> Run | None:
        """Return the run of a record, if it is complete."""
        return _open(self.path / seed_run(record.cell, record.seed))

    def write_results(self, records: Sequence[RunRecord]) -> None:
        """Rewrite the results, a line for each cell and seed."""
        write_records(self.results, records)


def _open(path: Path) -> Run | None:
    """Return a complete run, unless a training is about to replace it."""
    try:
        if (path / MANIFEST).is_file() and not is_stopped(path):
            return open_run(path.parent, path.name)
    except ModelError:
        return None  # damaged, so it is trained again
    return None


def new_folder(runs_dir: Path, name: str | None, default: str) -> SweepFolder:
    """Return the folder of a new sweep; without a name the default one, numbered if it is taken.

    Raises ExistsError if the named folder exists, StorageError if it cannot be created.
    """
    base = check_name(name or default)
    for number in itertools.count(1):
        path = runs_dir / (base if number == 1 else f"{base}-{number}")
        check_folder(path)
        if not path.exists() or {file.name for file in path.iterdir()} <= {LOCK}:  # killed early
            return SweepFolder(path)
        if name:
            break
    raise ExistsError(f"{path} exists: give another --name, or resume it with --resume {name}")


def shared_folder(runs_dir: Path, name: str, sweep: Sweep, shard: Shard) -> SweepFolder:
    """Return the folder of a sweep for one of several processes, which may exist already.

    Raises ExistsError if it is that of another sweep, StorageError if it cannot be created.
    """
    folder = SweepFolder(runs_dir / check_name(name), shard)
    check_folder(folder.path)
    file = folder.path / SWEEP_FILE
    if file.is_file() and read_text(file, MOST_TOML) != sweep.to_toml():
        raise ExistsError(f"{folder.path} is another sweep's: give another --name")
    return folder


def _changeable(config: RunConfig) -> list[object]:
    values = flat_settings(config.model_dump())
    return [values[name] for name in CHANGEABLE]


def _evaluate(run: Run, name: str) -> dict[str, Any]:
    """Evaluate a run on the task of this name, which may be a custom one that has moved."""
    task = load_task(name) if names_function(name) else None
    report = evaluate(load_network(run), validation_samples(run.config), n_examples=0, task=task)
    return dict(vars(report))
