"""Runs without a training: what the tests of their folders are made of."""

from pathlib import Path

import numpy as np
from random_run import edit

from seq2seq_cli.architecture import Architecture
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.runs.checkpoint import Checkpoint, TrainingStatus, TrainState
from seq2seq_cli.runs.claim import create_folder, reopen_folder
from seq2seq_cli.runs.folder import RunFolder
from seq2seq_cli.runs.history import EpochRecord
from seq2seq_cli.runs.manifest import (
    CONFIG_FILE,
    DECODER_MODEL,
    ENCODER_MODEL,
    MANIFEST,
    TRAIN_MODEL,
    Environment,
    Manifest,
    Results,
)

TASK = TaskConfig()
CONFIG = RunConfig(task=TASK, model=ModelConfig(units=1))
SHAPES = [shape for layer in Architecture.of(CONFIG).all_layers for shape in layer.shapes]
SHAPES.remove((4,))
REST = [np.zeros(shape, np.float32) for shape in SHAPES]  # whatever its arrays are after the first
NOON = "2026-01-02T12:00:00Z"
RESULTS = Results(
    exact_match=0.5,
    exact_match_low=0.4,
    exact_match_high=0.6,
    teacher_forced_token_accuracy=0.75,
    loss=1.25,
    n_samples=100,
)
ENVIRONMENT = Environment(
    versions={"keras": "3.15.1", "numpy": "2.0.0"}, device="CPU", threads=2, flags={}
)
MODELS = (TRAIN_MODEL, ENCODER_MODEL, DECODER_MODEL)


def record(epoch: int) -> EpochRecord:
    return EpochRecord(epoch, 3, 640, 1.5, 1.25, 0.5, 0.4, 0.6, 0.75, 0.01, 2.0, 320.0, 40 * epoch)


def a_checkpoint(
    steps: int,
    epochs_done: int = 0,
    value: float = 0.0,
    config: RunConfig = CONFIG,
    written_at: str = NOON,
) -> Checkpoint:
    """Return a checkpoint whose arrays show its step and `value`, the training that it is of."""
    arrays = [np.array([steps, value, 0, 0], np.float32), *REST]
    return Checkpoint(
        state=TrainState(arrays, arrays, arrays, steps, 0.5),
        best_weights=arrays,
        status=TrainingStatus(epochs_done=epochs_done, seconds=12.5),
        config=config,
        environment=ENVIRONMENT,
        written_at=written_at,
        history=tuple(record(epoch) for epoch in range(1, epochs_done + 1)),
    )


def complete(
    folder: RunFolder, checkpoint: Checkpoint, now: str = NOON, results: Results = RESULTS
) -> Manifest:
    value = checkpoint.state.weights[0][1]
    save = {
        name: lambda path, name=name: path.write_bytes(f"{name} of {value}".encode() * 10)
        for name in MODELS
    }
    return folder.complete(checkpoint, results, save, now)


def train(
    runs_dir: Path,
    name: str = "a",
    now: str = NOON,
    force: bool = False,
    value: float = 0.0,
    config: RunConfig = CONFIG,
    results: Results = RESULTS,
) -> Path:
    """Do what a training of two epochs does, and return its run."""
    with create_folder(runs_dir, name, TASK, force) as folder:
        folder.begin(config)
        for epochs_done in (0, 1, 2):
            if epochs_done:
                folder.add_record(record(epochs_done))
            folder.save_checkpoint(a_checkpoint(40 * epochs_done, epochs_done, value, config))
        complete(folder, a_checkpoint(80, 2, value, config), now, results)
    return folder.run


def stop(
    runs_dir: Path,
    steps: int,
    name: str = "a",
    value: float = 0.0,
    force: bool = False,
    written_at: str = NOON,
) -> Path:
    """Do what a training that is stopped after this step does, and return its run."""
    with create_folder(runs_dir, name, TASK, force) as folder:
        folder.begin(CONFIG)
        for steps_done in (0, steps):
            folder.save_checkpoint(a_checkpoint(steps_done, value=value, written_at=written_at))
    return folder.run


def stop_further(runs_dir: Path, steps: int, name: str = "a") -> Path:
    """Do what a training of a complete run does that is stopped after this step."""
    with reopen_folder(runs_dir, name) as folder:
        folder.resume(a_checkpoint(80, 2))
        folder.save_checkpoint(a_checkpoint(steps, 2))
    return folder.run


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file in a folder and its folders."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def make_incomplete(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def damage(folder: Path) -> None:
    flip(folder / CONFIG_FILE, 5)


def edit_manifest(folder: Path, change: object) -> None:
    edit(folder / MANIFEST, change)
