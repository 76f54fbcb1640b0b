"""Finding, listing, removing and renaming the sweeps in the runs' folder."""

import os
from contextlib import suppress
from pathlib import Path

from seq2seq_cli.errors import ExistsError, S2sError, StorageError
from seq2seq_cli.runs.checkpoint import has_checkpoint
from seq2seq_cli.runs.claim import remove_run
from seq2seq_cli.runs.listing import run_folders
from seq2seq_cli.runs.lock import LOCK, hold_lock, is_locked
from seq2seq_cli.runs.manifest import MANIFEST
from seq2seq_cli.runs.names import check_name, training_path
from seq2seq_cli.settings import MOST_TOML
from seq2seq_cli.storage import read_text
from seq2seq_cli.sweep.description import parse_sweep
from seq2seq_cli.sweep.results import RESULTS_FILES, read_records, write_records

SWEEP_FILE = "sweep.toml"
"""The description of a sweep, in its folder."""


def is_sweep(folder: Path) -> bool:
    """Return whether a folder is a sweep's."""
    try:
        return (folder / SWEEP_FILE).is_file()
    except OSError:  # a folder of someone else
        return False


def list_sweeps(runs_dir: Path) -> list[tuple[str, int, int]]:
    """Return the sweeps in the runs' folder: name, number of complete runs, number of all runs.

    Of a search, whose cells are found as it proceeds, all runs are those that have begun.
    """
    sweeps = []
    for folder in sorted(runs_dir.glob("*")):
        if is_sweep(folder):
            try:
                begun = [run for run in run_folders(folder) if has_checkpoint(run)]
            except S2sError:  # a folder of someone else
                continue
            complete = sum((run / MANIFEST).is_file() for run in begun)
            sweeps.append((folder.name, complete, _planned_runs(folder) or len(begun)))
    return sweeps


def _planned_runs(folder: Path) -> int | None:
    """Return the number of runs that a sweep's description asks for; None if it is not known."""
    with suppress(S2sError):
        file = folder / SWEEP_FILE
        sweep = parse_sweep(read_text(file, MOST_TOML), file)
        return None if sweep.until else len(sweep.cells()) * sweep.seeds
    return None


def remove_sweep(folder: Path) -> bool:
    """Remove a sweep's runs, and then its own files; return whether the folder is gone.

    Other files stay, and with them the folder. Raises ExistsError if the sweep or one of its runs
    is in training, before anything is removed; StorageError if something cannot be removed.
    """
    try:
        with hold_lock(folder):
            for run in _idle_runs(folder):
                remove_run(run)
            for file in (*folder.glob(RESULTS_FILES), folder / SWEEP_FILE):
                file.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot remove {folder}: {error.strerror or error}") from error
    return not folder.exists()


def rename_sweep(folder: Path, name: str) -> Path:
    """Rename a sweep, and its runs in the results; return the new folder.

    Raises what `rename_run` raises.
    """
    renamed = folder.with_name(check_name(name))
    try:
        with hold_lock(folder):
            _idle_runs(folder)
            if os.path.lexists(renamed):
                raise ExistsError(f"{renamed} exists: choose another name")
            folder.rename(renamed)
            (renamed / LOCK).unlink()
    except OSError as error:
        raise StorageError(f"cannot rename {folder}: {error.strerror or error}") from error
    for file in renamed.glob(RESULTS_FILES):
        records = (
            record.model_copy(update={"run": f"{name}/{record.run.partition('/')[2]}"})
            for record in read_records(file)
        )
        write_records(file, records)
    return renamed


def _idle_runs(folder: Path) -> list[Path]:
    """Return a sweep's runs; ExistsError if one is in training, perhaps by an orphaned cell."""
    runs = run_folders(folder)
    if busy := next((run for run in runs if is_locked(training_path(run))), None):
        raise ExistsError(f"{busy} is in use: another process trains this run")
    return runs
