"""`s2s runs --remove` and `--rename`: runs and sweeps that go, or get another name."""

import sys
from collections.abc import Sequence
from pathlib import Path

from seq2seq_cli.cli import output
from seq2seq_cli.errors import ConfigurationError, ModelError


def remove(runs_dir: Path, names: Sequence[str], is_sure: bool, quiet: bool) -> None:
    """Remove runs, and sweeps with theirs, which a user on a terminal is asked about first.

    All are looked at before any is removed. Raises ConfigurationError where nobody can be asked.
    """
    from seq2seq_cli.runs.tidying import remove_run
    from seq2seq_cli.sweep.listing import is_sweep
    from seq2seq_cli.sweep.tidying import remove_sweep

    folders = [_find(runs_dir, name) for name in dict.fromkeys(names)]
    if not is_sure:
        if not sys.stdin.isatty():
            raise ConfigurationError(
                f"--remove {names[0]}: nobody can be asked here: add --yes to remove it"
            )
        listed = ", ".join(
            f"the sweep {folder} and its runs," if is_sweep(folder) else str(folder)
            for folder in folders
        )
        sys.stderr.write(f"remove {listed} with all checkpoints and models? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            output.message("nothing is removed", quiet)
            return
    for folder in folders:
        gone = remove_sweep(folder) if is_sweep(folder) else remove_run(folder)
        rest = "" if gone else "; what no training has written there stays"
        output.message(f"removed {folder}{rest}", quiet)


def rename(runs_dir: Path, old: str, new: str, quiet: bool) -> None:
    """Give a run or a sweep another name; a sweep's run keeps its own, by which it is known."""
    from seq2seq_cli.runs.tidying import rename_run
    from seq2seq_cli.sweep.listing import is_sweep
    from seq2seq_cli.sweep.tidying import rename_sweep

    folder = _find(runs_dir, old)
    if is_sweep(folder.parent):
        raise ConfigurationError(f"--rename {old}: its sweep knows it by that name: leave it")
    renamed = (rename_sweep if is_sweep(folder) else rename_run)(folder, new)
    output.message(f"{folder} is now {renamed}", quiet)


def _find(runs_dir: Path, name: str) -> Path:
    """Return the folder of a run or a sweep; raises as `find_run`."""
    from seq2seq_cli.runs.location import run_path
    from seq2seq_cli.runs.tidying import find_run
    from seq2seq_cli.sweep.listing import is_sweep

    folder = run_path(runs_dir, name.rstrip("/"))
    if not is_sweep(folder):
        return find_run(runs_dir, name)
    if folder.is_symlink():
        raise ModelError(f"{folder} is a link to a sweep, and is left as it is: give its own name")
    return folder
