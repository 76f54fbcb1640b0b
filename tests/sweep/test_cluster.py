"""A Dask cluster of a scheduler and workers on this machine, with replaced trainings."""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from seq2seq_cli.errors import ConfigurationError, StorageError
from seq2seq_cli.sweep import executors
from seq2seq_cli.sweep.executors import dask_workers

needs_distributed = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None,
    reason="distributed, the extra `cluster`, is not installed",
)

PRELOAD = """
import sys
from dataclasses import replace
from seq2seq_cli.sweep import executors, job

job.COMMAND = (sys.executable, {script!r}, {seconds!r})
run_job = job.run_job

def run_elsewhere(task, *arguments):
    return run_job(replace(task, folder=task.folder + "-of-another-machine"), *arguments)

if not {shared!r}:
    executors.run_job = run_elsewhere
"""


class Cluster:
    """A scheduler and its workers, each a process."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes = folder, []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        self._begin("dask_scheduler", "--host", "127.0.0.1", "--port", str(port))
        while self.processes[0].poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)

    def add_worker(self, shared: bool, seconds: str) -> None:
        preload = self.folder / "preload.py"
        script = str(Path(__file__).with_name("fake_training.py"))
        preload.write_text(PRELOAD.format(script=script, seconds=seconds, shared=shared))
        self._begin("dask_worker", self.address, "--nthreads", "1", "--no-nanny",
                    "--preload", str(preload))  # fmt: skip

    def _begin(self, module: str, *arguments: str) -> None:
        environment = {**os.environ, "BEGUN": str(self.folder / "begun")}
        command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments, "--no-dashboard"]
        with (self.folder / f"{module}-{len(self.processes)}.log").open("wb") as log:
            self.processes.append(
                subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
            )

    def sweep(self, *options: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "seq2seq_cli", "sweep", "--scheduler", self.address,
             "--grid", "model.units=1,2,3", "--seeds", "2", "--name", "far", *options],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def begun(self) -> list[Path]:
        """Return the files PARENT-CELL of the trainings that are running."""
        return sorted((self.folder / "begun").glob("[0-9]*"))

    def wait_for(self, n: int, process: "subprocess.Popen[str]") -> None:
        while len(self.begun()) < n:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)

    def end(self) -> None:
        for process in self.processes[::-1]:
            process.kill()
            process.wait()
        for mark in self.begun():
            with suppress(ProcessLookupError):
                os.kill(int(mark.read_text()), signal.SIGKILL)


@pytest.fixture
def cluster(tmp_path):
    started = Cluster(tmp_path)
    yield started
    started.end()


@pytest.mark.slow
@needs_distributed
@pytest.mark.parametrize("shared", [True, False])
def test_the_cells_of_a_killed_worker_are_trained(cluster, shared):
    for _ in range(2):
        cluster.add_worker(shared, "1")
    process = cluster.sweep("--json")
    cluster.wait_for(2, process)
    victim = int(cluster.begun()[0].name.partition("-")[0])
    assert victim in [worker.pid for worker in cluster.processes[1:]]
    os.kill(victim, signal.SIGKILL)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    lines = [json.loads(line) for line in output.splitlines()]
    runs = [line for line in lines if line["kind"] == "run"]
    assert sorted((run["cell"], run["seed"], run["exact_match"]) for run in runs) == [
        (f"units-{units}", seed, seed / 10) for units in (1, 2, 3) for seed in (0, 1)
    ]
    for run in runs:
        assert (cluster.folder / "runs" / run["run"] / "run.json").is_file()
    assert not list(cluster.folder.glob("runs/far/.shared-*"))
    assert not list(cluster.folder.glob("runs/*-of-another-machine"))


@pytest.mark.slow
@needs_distributed
def test_an_interrupted_sweep_ends_its_trainings_on_the_workers(cluster):
    cluster.add_worker(True, "600")
    process = cluster.sweep()
    cluster.wait_for(1, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == (
        f"s2s: interrupted; resume with: s2s sweep --resume far --scheduler {cluster.address}"
    )
    deadline = time.monotonic() + 60
    while cluster.begun():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
@needs_distributed
def test_a_sweep_ends_with_its_scheduler(cluster):
    cluster.add_worker(True, "600")
    process = cluster.sweep()
    cluster.wait_for(1, process)
    cluster.processes[0].kill()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == StorageError.exit_code
    assert "the scheduler is gone; resume with: s2s sweep --resume far" in errors
    assert "Traceback" not in errors


@needs_distributed
def test_a_missing_scheduler_is_reported(monkeypatch):
    monkeypatch.setattr(executors, "CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port in (1, silent.getsockname()[1]):
            address = f"tcp://127.0.0.1:{port}"
            expected = pytest.raises(StorageError, match=f"{address}: there is no scheduler")
            with expected, dask_workers(address):
                pass


@needs_distributed
@pytest.mark.parametrize("address", ["http://127.0.0.1:8787", "tls://127.0.0.1:1", "localhost"])
def test_other_addresses_are_refused(address):
    expected = pytest.raises(ConfigurationError, match="is not a scheduler's address")
    with expected, dask_workers(address):
        pass


def test_without_distributed_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigurationError, match=r"'\.\[cluster\]'"), dask_workers("x"):
        pass
