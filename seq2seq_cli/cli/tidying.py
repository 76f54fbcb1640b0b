"""`s2s runs --remove` and `--rename`: runs that go, or get another name."""

import sys
from collections.abc import Sequence
from pathlib import Path

from seq2seq_cli.cli import output
from seq2seq_cli.errors import ConfigurationError


def remove(runs_dir: Path, names: Sequence[str], is_sure: bool, quiet: bool) -> None:
    """Remove runs, which a user on a terminal is asked about first.

    All are looked at before any is removed. Raises ConfigurationError where nobody can be asked.
    """
    from seq2seq_cli.runs.tidying import find_run, remove_run

    folders = [find_run(runs_dir, name) for name in dict.fromkeys(names)]
    if not is_sure:
        if not sys.stdin.isatty():
            raise ConfigurationError(
                f"--remove {names[0]}: nobody can be asked here: add --yes to remove it"
            )
        listed = ", ".join(map(str, folders))
        sys.stderr.write(f"remove {listed} with all checkpoints and models? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            output.message("nothing is removed", quiet)
            return
    for folder in folders:
        gone = remove_run(folder)
        rest = "" if gone else "; what no training has written there stays"
        output.message(f"removed {folder}{rest}", quiet)


def rename(runs_dir: Path, old: str, new: str, quiet: bool) -> None:
    """Give a run another name."""
    from seq2seq_cli.runs.tidying import find_run, rename_run

    renamed = rename_run(find_run(runs_dir, old), new)
    output.message(f"{runs_dir / old} is now {renamed}", quiet)
