"""Runs with random weights and a history, and a sweep, for reports and charts."""

from pathlib import Path

from random_run import replace_file, save_random_run

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.runs.history import Call, EpochRecord, history_text
from seq2seq_cli.sweep.description import Sweep, with_options
from seq2seq_cli.sweep.folder import SweepFolder
from seq2seq_cli.sweep.results import RunRecord

PLAIN = RunConfig(
    task=TaskConfig(n_in=4, n_out=3, cardinality=13),
    model=ModelConfig(units=8),
    training=TrainingConfig(n_samples=640, batch_size=16),
)
LOOKING = RunConfig(
    task=TaskConfig(name="copy", n_in="2-6", cardinality=21),
    model=ModelConfig(units=8, attention="dot"),
    training=TrainingConfig(n_samples=640, batch_size=32, seed=5),
)
CALLS = tuple(
    Call(steps, 8, round(3 / steps, 6), steps / 50, 0.01 - steps / 5000)
    for steps in range(8, 41, 8)
)


def record(epoch: int, **values: object) -> EpochRecord:
    figures = (epoch, 3, 640, 1.5, 1.25, 0.5, 0.4, 0.6, 0.75, 0.01, 2.0, 320.0)
    return EpochRecord(*figures, **{"steps_done": 40 * epoch} | values)  # type: ignore[arg-type]


def with_seed(config: RunConfig, seed: int) -> RunConfig:
    training = config.training.model_copy(update={"seed": seed})
    return config.model_copy(update={"training": training})


def save_runs(runs_dir: Path, *more: str) -> Path:
    """Write runs "plain", "looking" and `more` plain ones with a history; return their folder.

    The seeds of `more` are 1, 2 and so on.
    """
    seeds = {name: with_seed(PLAIN, seed) for seed, name in enumerate(more, 1)}
    for name, config in {"plain": PLAIN, "looking": LOOKING, **seeds}.items():
        path = save_random_run(runs_dir, name, config)
        ended = record(1, steps_done=40, calls=CALLS)
        replace_file(path, "history.jsonl", history_text([ended]).encode())
    return runs_dir


def described(*grid: str, one_factor: bool = False, until: str | None = None) -> Sweep:
    """Return the description of a sweep of two seeds."""
    return with_options(Sweep(), None, (), grid, (), one_factor, 2, until)


def swept(seed: int, share: float | None, **settings: object) -> RunRecord:
    """Return the result of a cell; in its settings' names `__` replaces the dot."""
    named = {key.replace("__", "."): value for key, value in settings.items()}
    cell = "-".join(map(str, named.values())) or "base"
    problem = "" if share is not None else "its loss is not finite"
    return RunRecord(
        cell=cell, seed=seed, run=f"s/{cell}-seed-{seed}", settings=named, exact_match=share,
        problem=problem,
    )  # fmt: skip


SWEPT = [
    swept(seed, round(units / n_in / (seed + 3), 6), task__n_in=n_in, model__units=units)
    for n_in in (12, 6) for units in (8, 16) for seed in (0, 1)
]  # fmt: skip


def save_sweep(runs_dir: Path) -> None:
    """Write sweep "grid", without its runs."""
    folder = SweepFolder(runs_dir / "grid")
    folder.path.mkdir()
    folder.write(described("task.n_in=6,12", "model.units=8,16"))
    folder.write_results(SWEPT)
