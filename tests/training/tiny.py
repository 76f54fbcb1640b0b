"""What the tests of training share: settings of a training of a second, and its arrays."""

from pathlib import Path

import numpy as np

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig, TrainingConfig


def tiny_config(**training: object) -> RunConfig:
    settings = {"n_samples": 640, "batch_size": 16, "epochs": 3, "seed": 4} | training
    return RunConfig(
        task=TaskConfig(n_in=4, n_out=2, cardinality=13),
        model=ModelConfig(units=8),
        training=TrainingConfig.model_validate(settings),
    )


def checkpoint_arrays(folder: Path) -> dict[str, np.ndarray]:
    """Return the arrays of the newest checkpoint in a run's folder."""
    newest = max((folder / "checkpoint").glob("*.npz"))
    with np.load(newest) as arrays:
        return {"steps": np.array(int(newest.stem))} | {key: arrays[key] for key in arrays.files}


def assert_identical(first: Path, second: Path) -> None:
    """Assert that two runs end with the same bits: weights, moments, steps and best weights."""
    ours, theirs = checkpoint_arrays(first), checkpoint_arrays(second)
    assert ours.keys() == theirs.keys()
    for key, array in ours.items():
        assert array.tobytes() == theirs[key].tobytes(), key
