"""A Dask cluster of a scheduler and two workers on this machine, one of which is killed."""

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
from seq2seq_cli.sweep.executors import dask_workers

HAS_DISTRIBUTED = importlib.util.find_spec("distributed") is not None
needs_distributed = pytest.mark.skipif(
    not HAS_DISTRIBUTED, reason="distributed, the extra `cluster`, is not installed"
)

pytestmark = pytest.mark.slow

PRELOAD = """
import sys
from dataclasses import replace
from pathlib import Path
from seq2seq_cli.sweep import executors, job

job.COMMAND = (sys.executable, {script!r}, {seconds!r})
run_job = job.run_job

def run_elsewhere(task, *arguments):
    return run_job(replace(task, folder=task.folder + "-of-another-machine"), *arguments)

if not {shared!r}:
    executors.run_job = run_elsewhere
"""


class Cluster:
    """A scheduler and its workers, each a process; none is left at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes = folder, []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
        port = self.address.rpartition(":")[2]
        self._begin("dask_scheduler", "--host", "127.0.0.1", "--port", port)
        while self.processes[0].poll() is None:  # a machine may be slow to start it
            with suppress(OSError), socket.create_connection(("127.0.0.1", int(port))):
                break
            time.sleep(0.05)

    def add_worker(self, shared: bool, seconds: float) -> None:
        preload = self.folder / "preload.py"
        script = str(Path(__file__).with_name("fake_training.py"))
        preload.write_text(PRELOAD.format(script=script, seconds=str(seconds), shared=shared))
        self._begin("dask_worker", self.address, "--nthreads", "1", "--no-nanny",
                    "--preload", str(preload))  # fmt: skip

    def _begin(self, module: str, *arguments: str) -> None:
        environment = {**os.environ, "BEGUN": str(self.folder / "begun")}
        log = (self.folder / f"{module}-{len(self.processes)}.log").open("wb")
        with log:
            command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
            self.processes.append(
                subprocess.Popen([*command, "--no-dashboard"], cwd=self.folder, env=environment,
                                 stdout=log, stderr=log)
            )  # fmt: skip

    def begun(self) -> list[str]:
        """Return PARENT-CELL of each training that is under way."""
        found = (path.name for path in (self.folder / "begun").glob("[0-9]*"))
        return sorted(found)

    def end(self) -> None:
        for process in self.processes[::-1]:
            process.kill()
            process.wait()
        for name in self.begun():
            with suppress(ProcessLookupError):
                os.kill(int((self.folder / "begun" / name).read_text()), signal.SIGKILL)


@pytest.fixture
def cluster(tmp_path):
    started = Cluster(tmp_path)
    yield started
    started.end()


def sweep(cluster, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "seq2seq_cli", "sweep", "--scheduler", cluster.address,
         "--grid", "model.units=1,2,3", "--seeds", "2", "--name", "far", *options],
        cwd=cluster.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for(found, process) -> None:
    while not found():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@needs_distributed
@pytest.mark.parametrize("shared", [True, False])
def test_a_worker_that_is_killed_takes_no_cell_with_it(cluster, shared):
    for _ in range(2):
        cluster.add_worker(shared, 1.0)
    process = sweep(cluster, "--json")
    wait_for(lambda: len(cluster.begun()) == 2, process)
    victim = int(cluster.begun()[0].partition("-")[0])
    assert victim in [worker.pid for worker in cluster.processes[1:]]
    os.kill(victim, signal.SIGKILL)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    lines = [json.loads(line) for line in output.splitlines()]
    runs = [line for line in lines if line["kind"] == "run"]
    assert sorted((run["cell"], run["seed"], run["exact_match"]) for run in runs) == [
        (f"units-{units}", seed, seed / 10) for units in (1, 2, 3) for seed in (0, 1)
    ]
    place = cluster.folder / "runs" / "far"
    for run in runs:
        assert (cluster.folder / "runs" / run["run"] / "run.json").is_file()
    assert not list(place.glob(".shared-*"))
    assert not list(cluster.folder.glob("runs/*-of-another-machine"))


@needs_distributed
def test_an_interrupted_sweep_ends_its_trainings_on_the_workers(cluster):
    cluster.add_worker(True, 600)
    process = sweep(cluster)
    wait_for(cluster.begun, process)
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


@needs_distributed
def test_a_scheduler_that_is_gone_ends_the_sweep(cluster):
    cluster.add_worker(True, 600)
    process = sweep(cluster)
    wait_for(cluster.begun, process)
    cluster.processes[0].kill()
    _, errors = process.communicate(timeout=120)
    assert process.returncode == StorageError.exit_code
    assert "the scheduler is gone; resume with: s2s sweep --resume far" in errors
    assert "Traceback" not in errors


@needs_distributed
def test_a_scheduler_that_is_not_there_is_told(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "seq2seq_cli", "sweep", "--scheduler", "tcp://127.0.0.1:1",
         "--grid", "model.units=1"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == StorageError.exit_code
    assert "s2s: tcp://127.0.0.1:1: there is no scheduler" in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_distributed_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigurationError, match=r"seq2seq-cli\[cluster\]"), dask_workers("x"):
        pass
