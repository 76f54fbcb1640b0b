"""Many machines: real worker processes on loopback end with one model."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import run_s2s
from tiny import checkpoint_arrays
from workers import free_addresses, tf_config

from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.runs.history import read_history
from seq2seq_cli.training.cluster import ALONE, Cluster, read_cluster

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
from seq2seq_cli.cli import main
main()
"""


def start_workers(
    folder: Path, *options: str, second: Sequence[str] | None = None
) -> list[subprocess.Popen[str]]:
    """Start a chief and a second worker, with the chief's options unless it has its own."""
    addresses = free_addresses(2)
    processes = []
    for index in range(2):
        config = tf_config(addresses, index)
        processes.append(
            subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    WORKER,
                    f"weights-{index}.npz",
                    "train",
                    *(second if index and second is not None else options),
                ],
                cwd=folder,
                env={**os.environ, "TF_CONFIG": config},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return processes


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
    told = [[line for line in errors.splitlines() if "held out" in line] for _, errors in ended]
    assert len(told[0]) == len(told[1]) == 6
    assert "the run is where the chief has it" in ended[1][1]
    assert "saved in runs/two" in ended[0][1]


def test_a_worker_that_dies_stops_the_other_and_all_resume(tmp_path):
    options = [*OPTIONS, "--run", "part", "--checkpoint-seconds", "0.2"]
    workers = start_workers(tmp_path, *options, "--epochs", "100000")
    checkpoints = tmp_path / "runs" / "part" / "checkpoint"
    deadline = time.monotonic() + 600
    while len(list(checkpoints.glob("*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    workers[1].kill()
    _, errors = workers[0].communicate(timeout=600)
    workers[1].communicate()
    assert workers[0].returncode == 6, errors
    assert "another worker of this training is gone" in errors
    assert "Traceback" not in errors
    steps = checkpoint_arrays(tmp_path / "runs" / "part")["steps"]
    epochs = str(int(steps) // 100 + 1)
    told = re.search(r"start all workers again .*, each with: s2s train (.*)", errors)[1]
    workers = start_workers(tmp_path, *shlex.split(told), "--epochs", epochs)
    ended = [worker.communicate(timeout=300) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], ended
    assert "part goes on in epoch" in ended[0][1]


def ended(workers: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """Return each worker's exit code, and what it says; WORKER itself imports TensorFlow aloud."""
    errors = [worker.communicate(timeout=300)[1].splitlines() for worker in workers]
    said = ["\n".join(line for line in text if line.startswith("s2s: ")) for text in errors]
    return [(worker.returncode, text) for worker, text in zip(workers, said, strict=True)]


def test_workers_go_on_with_the_chiefs_configuration(tmp_path):
    """With own data and a changed rate; the second one is told nothing but to resume."""
    lines = [f"{a} {b} {c},{c} {a}" for a in range(1, 10) for b in range(1, 8) for c in range(1, 9)]
    (tmp_path / "own.csv").write_text("\n".join(lines))
    options = ["--data", "own.csv", "--units", "8", "--batch-size", "16", "--learning-rate",
               "0.002", "--set", "training.schedule=constant", "--seed", "3"]  # fmt: skip
    for run, epochs in (("whole", "2"), ("part", "1")):
        found = ended(start_workers(tmp_path, *options, "--run", run, "--epochs", epochs))
        assert [code for code, _ in found] == [0, 0], found
    resumed = ["--resume", "--run", "part", "--epochs", "2"]
    found = ended(start_workers(tmp_path, *resumed, second=["--resume"]))
    assert [code for code, _ in found] == [0, 0], found
    whole, part = (checkpoint_arrays(tmp_path / "runs" / run) for run in ("whole", "part"))
    for key, array in whole.items():
        assert array.tobytes() == part[key].tobytes(), key


def test_a_worker_with_other_data_stops_all_with_one_line(tmp_path):
    for name, value in (("own", 3), ("other", 4)):
        lines = [f"{a} {b},{value}" for a in range(1, 20) for b in range(1, 20)]
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
    workers = start_workers(
        tmp_path, "--data", "own.csv", "-q", second=["--data", "other.csv", "-q"]
    )
    (chief, said), (code, named) = ended(workers)
    assert (chief, code) == (6, 2), (said, named)
    assert len(said.splitlines()) == len(named.splitlines()) == 1, (said, named)
    assert "another worker of this training cannot take part" in said
    assert "'other.csv': the file is not the one that the run was started with" in named
    assert not list((tmp_path / "runs").glob("*"))


BAD = ["{", "[]", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
       '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}',
       '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": -1}}',
       '{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}',
       '{"cluster": {"worker": ["a:1"]}, "task": {"type": "evaluator", "index": 0}}']  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_a_bad_tf_config_is_named(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigurationError, match="TF_CONFIG"):
        read_cluster()


@pytest.mark.parametrize(("task", "expected"), [
    (None, ALONE),
    (("chief", 0), Cluster(3, 0)),
    (("worker", 0), Cluster(3, 1)),
    (("worker", 1), Cluster(3, 2)),
])  # fmt: skip
def test_the_chief_is_the_task_of_that_type(monkeypatch, task, expected):
    monkeypatch.setenv("TF_CONFIG", "{}")
    if task:
        cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
        document = {"cluster": cluster, "task": {"type": task[0], "index": task[1]}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(document))
    assert read_cluster() == expected


# One machine with several GPUs takes the same path; two devices of the CPU stand for them.
MIRRORED = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from seq2seq_cli.training import exchange, session
exchange.find_strategy = lambda cluster: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
sys.path.insert(0, sys.argv[1])
from tiny import tiny_config
run = session.train(tiny_config(), sys.argv[2], "mirrored")
"""


def test_one_process_with_two_devices_trains_one_model(tmp_path, whole):
    here = str(Path(__file__).parents[1])
    subprocess.run([sys.executable, "-c", MIRRORED, here, str(tmp_path)], check=True)
    ours, one = checkpoint_arrays(tmp_path / "mirrored"), checkpoint_arrays(whole)
    for key, array in one.items():
        if key.startswith("weights"):
            np.testing.assert_allclose(ours[key], array, atol=2e-3)


SEVERAL = """
from seq2seq_cli.config import ModelConfig
from seq2seq_cli.training.seeds import train_seeds
config = tiny_config(epochs=1).model_copy(update={"model": ModelConfig(units=8, dropout=0.2)})
train_seeds(config, 2, sys.argv[2], "several")
seed = config.training.model_copy(update={"seed": 5})
session.train(config.model_copy(update={"training": seed}), sys.argv[2], "single")
"""


def test_two_devices_train_several_seeds_as_each_by_itself(tmp_path):
    here = str(Path(__file__).parents[1])
    code = MIRRORED.rpartition("run = ")[0] + SEVERAL
    subprocess.run([sys.executable, "-c", code, here, str(tmp_path)], check=True)
    several, single = (checkpoint_arrays(tmp_path / name) for name in ("several-seed-5", "single"))
    for key, array in single.items():
        assert array.tobytes() == several[key].tobytes(), key


def one_worker(folder: Path, index: int, addresses: list[str], *options: str) -> subprocess.Popen:
    config = tf_config(addresses, index)
    return subprocess.Popen(
        [sys.executable, "-m", "seq2seq_cli", "train", *options],
        cwd=folder, env={**os.environ, "TF_CONFIG": config},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_that_waits_for_others_hears_signals(tmp_path, number):
    worker = one_worker(tmp_path, 0, free_addresses(2), *OPTIONS)
    assert "waiting for all" in worker.stderr.readline()
    time.sleep(3)  # until TensorFlow waits
    worker.send_signal(number)
    _, told = worker.communicate(timeout=300)
    assert worker.returncode == 128 + number
    assert told.splitlines()[-1] in ("s2s: interrupted", "s2s: terminated")


def test_both_workers_of_a_training_hear_sigterm(tmp_path):
    workers = start_workers(tmp_path, *OPTIONS, "--run", "part", "--epochs", "100000")
    history = tmp_path / "runs" / "part" / "history.jsonl"
    deadline = time.monotonic() + 600
    while not (history.is_file() and history.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    for worker in workers:
        worker.terminate()
    assert [worker.wait(300) for worker in workers] == [143, 143]
    (_, chief), (_, other) = ended(workers)
    assert "s2s train --resume --run part" in chief
    assert "the chief has the checkpoint" in other


@pytest.mark.parametrize(
    ("wrong", "expected"), [("--no-such-option", 2), ("--units=0", 2), ("--run=there", 5)]
)
def test_a_chief_that_fails_before_it_joins_stops_the_others(tmp_path, wrong, expected):
    (tmp_path / "runs" / "there").mkdir(parents=True)
    (tmp_path / "runs" / "there" / "config.toml").touch()
    addresses = free_addresses(2)
    other = one_worker(tmp_path, 1, addresses, *OPTIONS)
    chief = one_worker(tmp_path, 0, addresses, wrong)
    said, told = (process.communicate(timeout=300)[1].splitlines() for process in (chief, other))
    assert (chief.returncode, other.returncode) == (expected, 6), (said, told)
    assert len(said) == 1
    assert told[0] == "worker 1 of 2, waiting for all"
    assert len(told) == 2, told
    assert "another worker of this training cannot take part" in told[1]
