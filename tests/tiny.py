"""What the tests of training share: the settings of a very short training, and how to read it."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.data.sampling import Split
from seq2seq_cli.data.streams import GeneratedStream
from seq2seq_cli.data.tasks import find_task
from seq2seq_cli.errors import Interrupted
from seq2seq_cli.runs.checkpoint import load_checkpoint
from seq2seq_cli.runs.history import EpochRecord, parse_history
from seq2seq_cli.training.events import Advanced, Event

EPOCH_STEPS = 40

TINY = "--n-in 4 --n-out 2 --cardinality 13 --units 8 --batch-size 16 --n-samples 640".split()
"""The options of `tiny_config(epochs=1)`: trainings of one shape share a compiled program."""


def tiny_config(**training: object) -> RunConfig:
    settings = {"n_samples": 640, "batch_size": 16, "epochs": 3, "seed": 4} | training
    return RunConfig(
        task=TaskConfig(n_in=4, n_out=2, cardinality=13),
        model=ModelConfig(units=8),
        training=TrainingConfig.model_validate(settings),
    )


def stop_after(n_events: int, kind: type[Event] = Advanced) -> Callable[[Event], None]:
    """Return a progress callback that interrupts the training at the n-th event of a kind."""
    seen: list[bool] = []

    def progress(event: Event) -> None:
        seen.append(isinstance(event, kind))
        if sum(seen) == n_events:
            raise Interrupted("interrupted")

    return progress


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file in a folder and its folders."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def draw_pairs(
    task: TaskConfig, split: Split, seed: int, start: int, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of a built-in task's stream: sources and targets."""
    return GeneratedStream(find_task(task), task, seed).draw(split, start, n)


def read_history(path: Path) -> tuple[EpochRecord, ...]:
    """Return the records in a run's history."""
    return parse_history(path.read_bytes(), path)


def untimed(folder: Path) -> list[dict[str, object]]:
    """Return the lines of a run's history without what depends on time."""
    lines = map(json.loads, (folder / "history.jsonl").read_text().splitlines())
    timed = ("seconds", "samples_per_s", "calls")
    return [{key: value for key, value in line.items() if key not in timed} for line in lines]


def checkpoint_arrays(folder: Path) -> dict[str, np.ndarray]:
    """Return the arrays of the newest checkpoint in a run's folder, and its step."""
    checkpoint, notes = load_checkpoint(folder)
    assert notes == []
    groups = {**checkpoint.state._asdict(), "best": checkpoint.best_weights}
    arrays = {
        f"{name}/{number}": array
        for name in ("weights", "first", "second", "best")
        for number, array in enumerate(groups[name])
    }
    return arrays | {"steps": np.array(checkpoint.state.steps_done)}


def assert_identical(first: Path, second: Path, but: Sequence[str] = ()) -> None:
    """Assert that two runs end with the same bits: weights, moments, steps and best weights."""
    ours, theirs = checkpoint_arrays(first), checkpoint_arrays(second)
    assert ours.keys() == theirs.keys()
    for key, array in ours.items():
        if not key.startswith(tuple(but)):
            assert array.tobytes() == theirs[key].tobytes(), key
