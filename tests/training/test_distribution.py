"""Several workers: real processes on loopback train one model."""

import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import run_s2s
from tiny import checkpoint_arrays, read_history
from workers import free_addresses, tf_config

pytestmark = pytest.mark.slow

OPTIONS = ["--n-in", "4", "--n-out", "2", "--cardinality", "13", "--units", "8", "--batch-size",
           "16", "--n-samples", "1600"]  # fmt: skip

# A worker writes its own copy of the weights at the end, for the test to compare.
WORKER = """
import sys
import numpy as np
from seq2seq_cli.training import trainer
path = sys.argv.pop(1)
run = trainer.Trainer.run
def keep(self, *arguments):
    run(self, *arguments)
    np.savez(path, *self._loop.state.weights)
trainer.Trainer.run = keep
from seq2seq_cli.cli.process import main
main()
"""


def start_worker(folder: Path, addresses: list[str], index: int, *options: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, f"weights-{index}.npz", "train", *options],
        cwd=folder, env={**os.environ, "TF_CONFIG": tf_config(addresses, index)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def start_workers(folder: Path, *options: str) -> list[subprocess.Popen]:
    addresses = free_addresses(2)
    return [start_worker(folder, addresses, index, *options) for index in range(2)]


def test_two_workers_train_one_model_as_one_process_does(tmp_path):
    options = [*OPTIONS, "--epochs", "2", "--set", "training.validate_every=640"]
    workers = start_workers(tmp_path, *options, "--run", "two")
    ended = [worker.communicate(timeout=300) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], ended
    run_s2s("train", *options, "--run", "one", cwd=tmp_path)
    weights = []
    for index in range(2):
        with np.load(tmp_path / f"weights-{index}.npz") as arrays:
            weights.append([arrays[key] for key in arrays.files])
    assert weights[0]
    one = checkpoint_arrays(tmp_path / "runs" / "one")
    for number, (first, second) in enumerate(zip(*weights, strict=True)):
        assert first.tobytes() == second.tobytes()
        np.testing.assert_allclose(first, one[f"weights/{number}"], atol=2e-3)
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["one", "two"]
    steps = [
        [record.steps_done for record in read_history(tmp_path / "runs" / run / "history.jsonl")]
        for run in ("one", "two")
    ]
    assert steps == [[40, 80, 100, 140, 180, 200]] * 2
    lines = [[line for line in errors.splitlines() if "validation:" in line] for _, errors in ended]
    assert len(lines[0]) == len(lines[1]) == 6
    assert "this worker finished; the run is saved by worker 0" in ended[1][1]
    assert "saved in runs/two" in ended[0][1]


def test_a_killed_worker_stops_the_other_and_all_resume(tmp_path):
    options = [*OPTIONS, "--run", "part", "--checkpoint-seconds", "0.2"]
    workers = start_workers(tmp_path, *options, "--epochs", "100000")
    checkpoints = tmp_path / "runs" / "part.training" / "checkpoint"
    deadline = time.monotonic() + 600
    while len(list(checkpoints.glob("*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    workers[1].kill()
    errors = workers[0].communicate(timeout=600)[1]
    workers[1].communicate()
    assert workers[0].returncode == 6, errors
    assert "another worker of this training is gone" in errors
    assert "Traceback" not in errors
    resume = shlex.split(re.search(r"resume with: s2s train (.*)", errors)[1])
    epochs = int(checkpoint_arrays(tmp_path / "runs" / "part")["steps"]) // 100 + 1

    workers = start_workers(tmp_path, *resume, "--epochs", str(epochs))
    ended = [worker.communicate(timeout=300) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], ended
    assert "part resumes in epoch" in ended[0][1]


def test_a_signal_ends_a_worker_that_waits_for_others(tmp_path):
    worker = start_worker(tmp_path, free_addresses(2), 0, *OPTIONS)
    while "waiting for all" not in worker.stderr.readline():
        pass
    time.sleep(3)  # until it waits
    worker.terminate()
    errors = worker.communicate(timeout=60)[1]
    assert worker.returncode == 143
    assert errors.splitlines()[-1] == "s2s: terminated"


# One machine with several GPUs uses the same strategy as these two devices of the CPU.
MIRRORED = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from seq2seq_cli.config import ModelConfig
from seq2seq_cli.training import distribution, session
from seq2seq_cli.training.session import train_seeds
distribution._find_strategy = lambda cluster: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
sys.path.insert(0, sys.argv[1])
from tiny import tiny_config
session.train(tiny_config(), sys.argv[2], "mirrored")
config = tiny_config(epochs=1).model_copy(update={"model": ModelConfig(units=8, dropout=0.2)})
train_seeds(config, 2, sys.argv[2], "several")
seed = config.training.model_copy(update={"seed": 5})
session.train(config.model_copy(update={"training": seed}), sys.argv[2], "single")
"""


def test_one_process_with_two_devices_trains_one_model_and_several_seeds(tmp_path, whole):
    here = str(Path(__file__).parents[1])
    subprocess.run([sys.executable, "-c", MIRRORED, here, str(tmp_path)], check=True)
    ours, one = checkpoint_arrays(tmp_path / "mirrored"), checkpoint_arrays(whole)
    for key, array in one.items():
        if key.startswith("weights"):
            np.testing.assert_allclose(ours[key], array, atol=2e-3)
    several, single = (checkpoint_arrays(tmp_path / name) for name in ("several-seed-5", "single"))
    for key, array in single.items():
        assert array.tobytes() == several[key].tobytes(), key
