"""Sweeps that are removed or get another name, with all of their runs."""

from pathlib import Path

from seq2seq_cli.errors import ExistsError
from seq2seq_cli.runs.listing import is_run
from seq2seq_cli.runs.location import folders_in
from seq2seq_cli.runs.lock import is_in_training
from seq2seq_cli.runs.tidying import remove_folder, remove_run, rename_run
from seq2seq_cli.sweep.listing import SWEEP_FILE
from seq2seq_cli.sweep.record import RESULTS_FILES, read_records, write_records


def remove_sweep(folder: Path) -> bool:
    """Remove a sweep's runs, and then its own files; tell whether the folder is gone.

    What else lies in it stays, and the folder with it. Raises ExistsError where the sweep or one of
    its runs is in training, before anything is removed; StorageError where something cannot be.
    """

    def clear() -> None:
        for run in _idle_runs(folder):
            remove_run(run)
        for file in (*folder.glob(RESULTS_FILES), folder / SWEEP_FILE):
            file.unlink(missing_ok=True)

    return remove_folder(folder, clear)


def rename_sweep(folder: Path, name: str) -> Path:
    """Give a sweep's folder another name, by which its results then name their runs; return it.

    Raises as `rename_run`.
    """
    _idle_runs(folder)
    renamed = rename_run(folder, name)
    for file in renamed.glob(RESULTS_FILES):
        records = (
            record.model_copy(update={"run": f"{name}/{record.run.partition('/')[2]}"})
            for record in read_records(file)
        )
        write_records(file, records)
    return renamed


def _idle_runs(folder: Path) -> list[Path]:
    """Return a sweep's runs; ExistsError where one is in training, if by a cell left alone."""
    runs = list(filter(is_run, folders_in(folder)))
    if busy := next(filter(is_in_training, runs), None):
        raise ExistsError(f"{busy} is in use: another process trains this run")
    return runs
