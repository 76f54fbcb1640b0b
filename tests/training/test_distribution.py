"""Many machines: real worker processes on loopback end with one model."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import run_s2s
from tiny import checkpoint_arrays

from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.training.cluster import ALONE, Cluster, read_cluster

OPTIONS = ["--n-in", "4", "--n-out", "2", "--cardinality", "13", "--units", "8", "--batch-size",
           "16", "--n-samples", "1600"]  # fmt: skip

# A worker writes its own copy of the weights at the end, for the test to compare.
WORKER = """
import sys
import numpy as np
from seq2seq_cli.training import session
path = sys.argv.pop(1)
complete = session._Training._complete
def keep(self):
    np.savez(path, *self.loop.state.weights)
    complete(self)
session._Training._complete = keep
from seq2seq_cli.cli import main
main()
"""


def free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    for opened in sockets:
        opened.bind(("localhost", 0))
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def start_workers(folder: Path, *options: str) -> list[subprocess.Popen[str]]:
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    processes = []
    for index in range(2):
        task = {"type": "worker", "index": index}
        config = json.dumps({"cluster": {"worker": addresses}, "task": task})
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", WORKER, f"weights-{index}.npz", "train", *OPTIONS, *options],
                cwd=folder,
                env={**os.environ, "TF_CONFIG": config},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return processes


def test_two_workers_train_one_model_as_one_process_does(tmp_path):
    workers = start_workers(tmp_path, "--epochs", "2", "--run", "two")
    ended = [worker.communicate(timeout=300) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], ended
    run_s2s("train", *OPTIONS, "--epochs", "2", "--run", "one", cwd=tmp_path)
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
    assert "the run is where the chief has it" in ended[1][1]
    assert "saved in runs/two" in ended[0][1]


def test_a_worker_that_dies_stops_the_other_and_all_resume(tmp_path):
    options = ["--run", "part", "--checkpoint-seconds", "0.2"]
    workers = start_workers(tmp_path, *options, "--epochs", "100000")
    checkpoints = tmp_path / "runs" / "part" / "checkpoint"
    deadline = time.monotonic() + 120
    while len(list(checkpoints.glob("*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    workers[1].kill()
    _, errors = workers[0].communicate(timeout=120)
    workers[1].communicate()
    assert workers[0].returncode == 6, errors
    assert "another worker of this training is gone" in errors
    assert "Traceback" not in errors
    steps = checkpoint_arrays(tmp_path / "runs" / "part")["steps"]
    epochs = str(int(steps) // 100 + 1)
    workers = start_workers(tmp_path, "--run", "part", "--resume", "--epochs", epochs)
    ended = [worker.communicate(timeout=300) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], ended
    assert "goes on in epoch" in ended[0][1]


BAD = ["{", "[]", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
       '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}',
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
    monkeypatch.delenv("TF_CONFIG", raising=False)
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
from seq2seq_cli.training import session
session.find_strategy = lambda cluster: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
sys.path.insert(0, sys.argv[1])
from tiny import tiny_config
run = session.train(tiny_config(), sys.argv[2], "mirrored")
"""


def test_one_process_with_two_devices_trains_one_model(tmp_path, whole):
    here = str(Path(__file__).parent)
    subprocess.run([sys.executable, "-c", MIRRORED, here, str(tmp_path)], check=True)
    ours, one = checkpoint_arrays(tmp_path / "mirrored"), checkpoint_arrays(whole)
    for key, array in one.items():
        if key.startswith("weights"):
            np.testing.assert_allclose(ours[key], array, atol=2e-3)
