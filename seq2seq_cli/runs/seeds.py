"""The runs of several seeds: NAME-seed-0, NAME-seed-1, and so on."""

import itertools
import re
from collections.abc import Iterable
from pathlib import Path

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.errors import ExistsError, ModelError
from seq2seq_cli.runs.checkpoint_files import CHECKPOINTS
from seq2seq_cli.runs.folder import has_checkpoint
from seq2seq_cli.runs.location import check_free, check_name, default_name, folders_in


def seed_run(name: str, seed: int) -> str:
    """Return the name of a seed's run."""
    return f"{name}-seed-{seed}"


def free_name(
    runs_dir: Path, name: str | None, task: TaskConfig, seeds: Iterable[int], force: bool
) -> str:
    """Return the name under which all these seeds can be trained, before anything has begun.

    Without a name it is the task's default one, numbered if a seed's run has it already. Raises
    ExistsError where a named run exists or is in use.
    """
    seeds = list(seeds)
    base = check_name(name or default_name(task))
    for number in itertools.count(1):
        wanted = base if number == 1 else f"{base}-{number}"
        try:
            for seed in seeds:
                check_free(runs_dir, seed_run(wanted, seed), force)
        except ExistsError:
            if name or force:
                raise
        else:
            break
    return wanted


def find_seeds(runs_dir: Path, name: str | None) -> tuple[str, list[int]]:
    """Return the name of several seeds' runs and the seeds that there are, in their order.

    Without a name they are those of which one was saved last. Raises ModelError where there is
    none.
    """
    found: dict[str, dict[int, float]] = {}
    for folder in folders_in(runs_dir):
        parts = re.fullmatch(r"(.+)-seed-(0|[1-9]\d*)", folder.name)
        if parts and has_checkpoint(folder):
            saved = (folder / CHECKPOINTS).stat().st_mtime
            found.setdefault(parts[1], {})[int(parts[2])] = saved
    if name and check_name(name) not in found:
        raise ModelError(f"there is no run {runs_dir / name}-seed-...: leave out --resume")
    if not found:
        raise ModelError(f"there are no runs of several seeds in {runs_dir}: leave out --resume")
    base = name or max(found, key=lambda base: max(found[base].values()))
    return base, sorted(found[base])
