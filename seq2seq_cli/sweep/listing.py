"""Which folders among the runs are sweeps."""

from pathlib import Path

from seq2seq_cli.runs.folder import has_checkpoint
from seq2seq_cli.runs.location import folders_in
from seq2seq_cli.runs.manifest import MANIFEST

SWEEP_FILE = "sweep.toml"
"""The description of a sweep, in its folder."""


def is_sweep(folder: Path) -> bool:
    """Tell whether a folder is a sweep's."""
    try:
        return (folder / SWEEP_FILE).is_file()
    except OSError:  # a folder of someone else
        return False


def list_sweeps(runs_dir: Path) -> list[tuple[str, int, int]]:
    """Return the sweeps in the runs' folder: name, complete runs, and all runs that are begun."""
    found = []
    for path in folders_in(runs_dir):
        try:
            if is_sweep(path):
                begun = [run for run in path.iterdir() if has_checkpoint(run)]
                complete = sum((run / MANIFEST).is_file() for run in begun)
                found.append((path.name, complete, len(begun)))
        except OSError:  # a folder of someone else
            continue
    return found
