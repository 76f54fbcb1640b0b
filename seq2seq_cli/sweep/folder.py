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
from seq2seq_cli.runs.manifest import MANIFEST
from seq2seq_cli.runs.names import check_name, seed_run
from seq2seq_cli.runs.resumption import CHANGEABLE, State, check_resumable
from seq2seq_cli.settings import MOST_TOML
from seq2seq_cli.storage import append_line, make_folder, read_text, unwritable, write_text
from seq2seq_cli.sweep.cells.description import Sweep, parse_sweep
from seq2seq_cli.sweep.cells.grid import Cell
from seq2seq_cli.sweep.cells.plan import PlannedCell
from seq2seq_cli.sweep.listing import SWEEP_FILE
from seq2seq_cli.sweep.record import (
    RESULTS_FILES,
    RunRecord,
    evaluated,
    read_records,
    write_records,
)

RESULTS = "sweep.jsonl"


class SweepFolder:
    """The folder of a sweep; `results` is the file that this process appends its results to."""

    def __init__(self, path: Path, shard: tuple[int, int] | None = None) -> None:
        self.path = path
        self.name = path.name
        own = RESULTS if shard is None else f"sweep-{shard[0]}-of-{shard[1]}.jsonl"
        self.results = path / own
        self._known: dict[tuple[str, int], RunRecord] | None = None

    def read(self) -> Sweep:
        """Return the saved description; ModelError if there is none."""
        if not (self.path / SWEEP_FILE).is_file():
            raise ModelError(
                f"there is no sweep {self.path}: `{list_command(self.path.parent)}` lists them"
            )
        file = self.path / SWEEP_FILE
        sweep = parse_sweep(read_text(file, MOST_TOML), file)
        if not sweep.axes and not sweep.until:
            raise ModelError(f"{file} is damaged: it says nothing that is to be changed")
        return sweep

    def write(self, sweep: Sweep) -> None:
        """Save the description."""
        write_text(self.path / SWEEP_FILE, sweep.to_toml())

    def run_path(self, cell: str, seed: int) -> Path:
        """Return the folder of a cell's run."""
        return self.path / seed_run(cell, seed)

    def state(self, planned: PlannedCell, seed: int) -> State:
        """Return what exists of a run; ConfigurationError if it was begun with other settings."""
        path, config = self.run_path(planned.name, seed), planned.with_seed(seed)
        newest = newest_description(path)
        run = self._complete_run(path)
        saved = run.config if run else newest.config if newest else None
        if saved is None:
            return State.NEW
        check_resumable(saved, config, path.name)
        if run and _changeable(run.config) == _changeable(config):
            return State.COMPLETE
        if run and run.config.training.epochs > config.training.epochs:
            raise ConfigurationError(
                f"{path.name}: it has been trained further, to training.epochs = "
                f"{run.config.training.epochs}, and the sweep has {config.training.epochs}: remove "
                f"it with `{remove_command(path)}`, and it is trained again"
            )
        return State.STOPPED

    def states(self, planned: PlannedCell) -> dict[int, State]:
        """Return what exists of each seed's run; raises what `state` raises."""
        return {seed: self.state(planned, seed) for seed in planned.seeds}

    def missing(self, planned: PlannedCell) -> list[int]:
        """Return the seeds that are not complete."""
        states = self.states(planned)
        return [seed for seed, state in states.items() if state is not State.COMPLETE]

    def collect(
        self, planned: PlannedCell, reports: Mapping[int, Mapping[str, Any]], problem: str = ""
    ) -> list[RunRecord]:
        """Return a cell's records and save those that are new.

        `reports` are evaluations of its seeds by the training; a complete run without one is
        evaluated here. The record of an incomplete run has the problem in its report, or `problem`.
        """
        if self._known is None:
            self._known = self.saved()
        known, records = self._known, []
        for seed in planned.seeds:
            path, report = self.run_path(planned.name, seed), reports.get(seed, {})
            run = self._complete_run(path)
            record = known.get((planned.name, seed))
            if run is None:
                reason = str(report.get("problem", "")) or problem or "it is not trained yet"
                record = self._record(planned.cell, seed, problem=reason)
            elif not (record and record.completed_at == run.manifest.completed_at):
                record = self._record(
                    planned.cell,
                    seed,
                    **evaluated(report if "exact_match" in report else _evaluate(run)),
                    seconds=run.manifest.seconds,
                    completed_at=run.manifest.completed_at,
                )
            if record != known.get((planned.name, seed)):
                append_line(self.results, record.model_dump_json())
                known[planned.name, seed] = record
            records.append(record)
        return records

    def saved(self) -> dict[tuple[str, int], RunRecord]:
        """Return the last record of each cell and seed in all result files."""
        paths = sorted(self.path.glob(RESULTS_FILES))
        records = [record for path in paths for record in read_records(path)]
        return {(record.cell, record.seed): record for record in records}

    def read_results(self) -> tuple[Sweep, list[RunRecord]]:
        """Return the saved description and the results; ModelError if there are none."""
        sweep, records = self.read(), list(self.saved().values())
        if not records:
            raise ModelError(
                f"the sweep {self.path} has no results: resume it with "
                f"`{sweep_command(self.path)}`, which also collects the runs that are complete"
            )
        return sweep, records

    def write_results(self, records: Sequence[RunRecord]) -> None:
        """Rewrite the results, a line for each cell and seed."""
        write_records(self.results, records)

    def _record(self, cell: Cell, seed: int, **values: Any) -> RunRecord:
        run = f"{self.name}/{seed_run(cell.name, seed)}"
        settings = {**cell.changes, **cell.derived}
        return RunRecord(cell=cell.name, seed=seed, run=run, settings=settings, **values)

    def _complete_run(self, path: Path) -> Run | None:
        """Return a complete run, unless a training is about to replace it."""
        try:
            if (path / MANIFEST).is_file() and not is_stopped(path):
                return open_run(path.parent, path.name)
        except ModelError:
            return None  # damaged, so it is trained again
        return None


def new_folder(runs_dir: Path, name: str | None, default: str) -> SweepFolder:
    """Create the folder of a sweep; without a name the default one, numbered if it is taken.

    Raises ExistsError if the named folder exists.
    """
    base = check_name(name or default)
    make_folder(runs_dir)
    for number in itertools.count(1):
        path = runs_dir / (base if number == 1 else f"{base}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            if not {file.name for file in path.glob("*")} - {LOCK}:  # killed early
                break
            if name:
                raise ExistsError(
                    f"{path} exists: give another --name, or resume it with --resume {name}"
                ) from None
        except OSError as error:
            raise unwritable(path, error) from error
        else:
            break
    return SweepFolder(path)


def _changeable(config: RunConfig) -> list[object]:
    values = config.model_dump()
    return [values[section][key] for section, key in (name.split(".") for name in CHANGEABLE)]


def _evaluate(run: Run) -> dict[str, Any]:
    name = run.config.task.name
    task = load_task(name) if names_function(name) else None
    report = evaluate(load_network(run), validation_samples(run.config), n_examples=0, task=task)
    return dict(vars(report))
