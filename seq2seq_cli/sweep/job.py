"""A cell's training, in a separate process wherever the executor runs it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import IO, Any

from seq2seq_cli.machine import GPU_VARIABLE, visible_gpus
from seq2seq_cli.runs.checkpoint import has_checkpoint
from seq2seq_cli.runs.folder import clear, hold_run, take_place
from seq2seq_cli.runs.lock import is_locked, lock_file
from seq2seq_cli.runs.manifest import MANIFEST
from seq2seq_cli.runs.names import seed_run, training_path
from seq2seq_cli.storage import sha256_of
from seq2seq_cli.sweep.description import toml_value

COMMAND = (sys.executable, "-m", "seq2seq_cli", "train")
THREADS_VARIABLE = "TF_NUM_INTRAOP_THREADS"

STOP_SECONDS = 30.0
"""How long to wait for a process to end before it is killed; it takes about two seconds."""

IsStopped = Callable[[], bool]


@dataclass(frozen=True)
class Job:
    """The input of a cell's process: plain values, since it may be started on another machine.

    `seal` is the name of a file in the sweep's folder that shows a worker whether it shares the
    folder; empty, it does. `missing` are the seeds that are not complete.
    """

    cell: str
    settings: Mapping[str, object]
    seeds: range
    missing: tuple[int, ...]
    folder: str
    cwd: str
    seal: str = ""
    threads: int = 0  # that it may use; 0: all
    has_own_gpu: bool = False  # otherwise it uses all visible GPUs
    checkpoint_seconds: float = 60.0

    @property
    def runs(self) -> list[Path]:
        """The folders of its seeds' runs."""
        return [Path(self.folder, seed_run(self.cell, seed)) for seed in self.seeds]


@dataclass(frozen=True)
class Outcome:
    """How a cell's process ended: its exit code, or the negative number of its signal."""

    code: int
    reason: str = ""  # the last line that it wrote to standard error
    reports: Mapping[int, Mapping[str, Any]] | None = None  # by seed; None if missing
    seconds: float = 0.0
    files: Mapping[str, bytes] = field(default_factory=dict)  # of runs sent back


def run_job(job: Job, is_stopped: IsStopped, poll_seconds: float = 0.1) -> Outcome:
    """Train a cell in a process and return how it ended; once stopped, it ends in two seconds.

    If this machine does not share the sweep's folder, the missing seeds are trained in a temporary
    one, and the complete runs are sent back with the outcome.
    """
    if not job.seal or Path(job.folder, job.seal).is_file():
        # A process of a killed sweep may still be training one of the runs.
        while any(is_locked(training_path(run)) for run in job.runs):
            if is_stopped():
                return Outcome(-signal.SIGTERM)
            time.sleep(poll_seconds)
        return _train(job, is_stopped, poll_seconds)
    with tempfile.TemporaryDirectory() as name:
        seeds = range(min(job.missing), max(job.missing) + 1)
        here = replace(job, folder=name, cwd=".", seeds=seeds)
        outcome = _train(here, is_stopped, poll_seconds)
        files = {
            str(path.relative_to(name)): path.read_bytes()
            for run, seed in zip(here.runs, seeds, strict=True)
            if seed in job.missing and (run / MANIFEST).is_file()
            for path in run.rglob("*")
            if path.is_file()
        }
        return replace(outcome, files=files)


def receive(folder: Path, files: Mapping[str, bytes]) -> None:
    """Put the runs that were sent back into the sweep's folder, unless they are complete there.

    Raises ValueError if a file is not a run's.
    """
    runs: dict[str, dict[Path, bytes]] = {}
    for name, content in files.items():
        parts = Path(name).parts
        if Path(name).is_absolute() or ".." in parts or not 2 <= len(parts) <= 4:
            raise ValueError(f"{name!r} is not a run's file")
        runs.setdefault(parts[0], {})[Path(*parts[1:])] = content
    for name, contents in runs.items():
        with hold_run(folder / name) as training:
            if (folder / name / MANIFEST).is_file():
                continue
            clear(training)
            for file in sorted(contents, key=lambda file: file.name == MANIFEST):
                (training / file).parent.mkdir(parents=True, exist_ok=True)
                (training / file).write_bytes(contents[file])
            take_place(folder / name)


@contextmanager
def least_used_gpu() -> Iterator[str | None]:
    """Yield the visible GPU that the fewest cells use; None without a GPU.

    Cells of other sweeps and Dask workers on this machine count too: each cell holds a lock while
    the block runs.
    """
    gpus = visible_gpus()
    if not gpus:
        yield None
        return
    for n_others in count():
        for gpu in gpus:
            name = f"s2s-gpu-{os.getuid()}-{sha256_of(gpu.encode())[:16]}-{n_others}.lock"
            if file := lock_file(Path(tempfile.gettempdir(), name)):
                with file:
                    yield gpu
                return


def _train(job: Job, is_stopped: IsStopped, poll_seconds: float) -> Outcome:
    command = [*COMMAND, "--json", "-q", "--run", job.cell, "--runs-dir", job.folder]
    command += ["--seed", str(job.seeds.start), "--seeds", str(len(job.seeds))]
    command += ["--checkpoint-seconds", str(job.checkpoint_seconds)]
    if any(map(has_checkpoint, job.runs)):
        command.append("--resume")
    for key, value in job.settings.items():
        command += ["--set", f"{key}={toml_value(value)}"]
    # A cell is always trained by a single worker.
    environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    if job.threads:
        environment[THREADS_VARIABLE] = str(job.threads)
    started = time.monotonic()
    gpu = least_used_gpu() if job.has_own_gpu else nullcontext()
    with gpu as name, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        if name is not None:
            environment[GPU_VARIABLE] = name
        # In a new session, Ctrl-C on the terminal reaches the process only through the sweep.
        process = subprocess.Popen(
            command, cwd=job.cwd if Path(job.cwd).is_dir() else None, env=environment,
            stdin=subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True,
        )  # fmt: skip
        code = _wait(process, is_stopped, poll_seconds)
        return Outcome(code, _reason(errors, code), _reports(output), time.monotonic() - started)


def _wait(process: "subprocess.Popen[bytes]", is_stopped: IsStopped, poll_seconds: float) -> int:
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(poll_seconds)
        if is_stopped():
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                return process.wait(STOP_SECONDS)
            process.kill()
            return process.wait()


def _reason(errors: IO[bytes], code: int) -> str:
    """Return the error of a process, or else its last line, or the signal that killed it."""
    errors.seek(0)
    lines = [line.strip() for line in errors.read().decode(errors="replace").splitlines()]
    last = next((line for line in reversed(lines) if line), "")
    for line in lines:
        with suppress(ValueError, KeyError, TypeError):
            last = json.loads(line)["error"].replace("\n", "; ")
    if code < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}" + (f": {last}" if last else "")
    return last or f"it ended with code {code}"


def _reports(output: IO[bytes]) -> dict[int, Mapping[str, Any]] | None:
    """Return the reports in the last line that has any; custom code may print others."""
    output.seek(0)
    for line in reversed(output.read().splitlines()):
        with suppress(ValueError, KeyError, TypeError):
            return {int(report["seed"]): report for report in json.loads(line)["seeds"]}
    return None
