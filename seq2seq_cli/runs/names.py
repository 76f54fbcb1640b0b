"""The names of runs and of their folders.

`NAME` is a complete run, `NAME.training` the training that will become it, running or stopped, and
`NAME.replaced` the earlier run that it replaces, only between the last two renames.
"""

import re
from pathlib import Path

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.data.tasks import is_custom, takes_n_out
from seq2seq_cli.errors import ConfigurationError

TRAINING = ".training"
REPLACED = ".replaced"

MOST_NAME = 255 - len(TRAINING)
"""Maximum bytes of a name that file systems accept."""

MOST_STEM = 150
"""Maximum bytes that a default name takes from a data file's name; other parts follow."""


def check_name(name: str, alone: str = "") -> str:
    """Return the run's name, or raise ConfigurationError if it is not a plain folder name.

    `alone` is the name that the error advises for a path, by default the path's last part.
    """
    if isinstance(name, str) and "/" in name:
        raise ConfigurationError(
            f"run name {name!r}: give the name alone, {alone or Path(name).name!r}, without its "
            "folder"
        )
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.+-]*", name):
        raise ConfigurationError(
            f"run name {name!r}: use letters, digits, '.', '-' and '_', beginning with no dot"
        )
    if name.endswith((TRAINING, REPLACED)):
        raise ConfigurationError(f"run name {name!r}: must not end in {TRAINING} or {REPLACED}")
    if (size := len(name.encode())) > MOST_NAME:
        raise ConfigurationError(
            f"run name {name[:20]}...: has {size} bytes, and a run's name at most {MOST_NAME}"
        )
    return name


def runs_path(runs_dir: str | Path) -> Path:
    """Return the folder of runs; ConfigurationError if its name is empty or not a path."""
    if not isinstance(runs_dir, str | Path) or not str(runs_dir):
        raise ConfigurationError(f"runs_dir = {runs_dir!r}: should be the path of a folder")
    return Path(runs_dir)


def run_path(runs_dir: Path, name: str) -> Path:
    """Return the folder of the run of this name; SWEEP/RUN is a sweep's.

    Raises ConfigurationError if it is not such a name.
    """
    sweep, _, run = str(name).partition("/")
    is_path = not sweep.strip(".") or (sweep == runs_dir.name and not (runs_dir / sweep).exists())
    if run and not is_path:
        return runs_dir / check_name(sweep) / check_name(run)
    path = Path(str(name))
    alone = str(path.relative_to(runs_dir)) if path.is_relative_to(runs_dir) else ""
    return runs_dir / check_name(name, alone)


def training_path(run: Path) -> Path:
    """Return the folder of a run's training."""
    return run.with_name(run.name + TRAINING)


def replaced_path(run: Path) -> Path:
    """Return the path of a run while another one replaces it."""
    return run.with_name(run.name + REPLACED)


def run_of(folder: Path) -> Path:
    """Return the run that a folder belongs to."""
    return folder.with_name(folder.name.removesuffix(TRAINING).removesuffix(REPLACED))


def seed_run(name: str, seed: int) -> str:
    """Return the name of a seed's run."""
    return f"{name}-seed-{seed}"


def split_seed(name: str) -> tuple[str, int | None]:
    """Return the name that the runs of several seeds share, and the seed; None in other names."""
    parts = re.fullmatch(r"(.+)-seed-(0|[1-9]\d*)", name)
    return (parts[1], int(parts[2])) if parts else (name, None)


def task_lengths(task: TaskConfig) -> list[str]:
    """Return n_in, and n_out unless it follows from the source."""
    n_out = [task.n_out] if is_custom(task) or takes_n_out(task) else []
    return list(map(str, [task.n_in, *n_out]))


def default_name(task: TaskConfig) -> str:
    """Return the default name of a run on this task, such as reverse-prefix-6-3-51."""
    stem = Path(task.data.split(",")[0]).stem if task.data else task.name.rpartition(":")[2]
    stem = stem.encode(errors="replace")[:MOST_STEM].decode(errors="ignore")
    name = re.sub(r"[^\w.+-]", "_", stem).lstrip(".-+") or "own"
    return "-".join([name, *task_lengths(task), str(task.cardinality)])
