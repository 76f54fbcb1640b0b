"""Stop commands at random moments with SIGKILL, Ctrl-C and SIGTERM, and see what is left of them.

    python tests/kill_and_resume.py 200 [--seed 0] [--kinds seeds,dropout]
    python tests/kill_and_resume.py 20 --kinds "two workers"

A training is stopped and resumed until it is complete; then the next one begins, of the next kind.
It is stopped while it starts or trains, while a checkpoint is being written, or while the models
are. Its weights, moments, models and history must be those of a training that nobody stopped, bit
for bit, and another seed must end elsewhere. Of two workers one is killed, or both are interrupted.

Kinds that do not train are stopped once. After Ctrl-C or SIGTERM, every command must end within
seconds with code 130 or 143 and at most one line, and leave no temporary file.
"""

import os
import random
import shutil
import signal
import time
import zipfile
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from harness import Forked, finish, fork, import_package, parse, work_folder
from random_run import save_random_run
from tiny import TINY, tiny_config
from workers import free_addresses, tf_config

from seq2seq_cli.runs.checkpoint import has_checkpoint, load_checkpoint
from seq2seq_cli.runs.history import history_text
from seq2seq_cli.runs.listing import run_folders
from seq2seq_cli.runs.lock import LOCK
from seq2seq_cli.training.compilation_cache import open_cache

LONG = [*TINY, "--n-samples", "1600", "--epochs", "6"]
TRAININGS = {
    "generated": LONG,
    "validate_every": [*LONG, "--set", "training.validate_every=640"],
    "custom data": ["--data", "pairs.csv", "--units", "8", "--batch-size", "16", "--epochs", "8"],
    "attention": [*LONG, "--attention", "dot"],
    "dropout": [*LONG, "--set", "model.dropout=0.2", "--set", "model.recurrent_dropout=0.1"],
    "varying lengths": ["--task", "reverse", "--n-in", "1-5", *LONG[4:]],
    "seeds": [*LONG, "--epochs", "3", "--seeds", "2"],
}
READERS = {
    "generate": "generate --n-samples 300000 --output big.csv -q",
    "evaluate": "evaluate --n-samples 60000 -q",
    "predict": "predict --input many.txt",
    "predict -": "predict -",
    "encode": "encode --input many.txt",
    "runs": "runs",
}
MOMENTS = {
    "start": "",
    "steps": "checkpoint/*.json",
    "checkpoint": "checkpoint/.*",
    "models": ".*.keras",
}
"""The files that appear before a training is stopped, by the moment's name."""

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
LIMIT_SECONDS = 10.0
"""Two for the command, and the rest for a machine that is busy."""

WAITING_SECONDS = 60
"""How long a worker may take to notice that the other one was killed."""


def digest(folder: Path) -> str:
    """Return a hash of a run: last and best weights, moments, models, history without times."""
    checkpoint, notes = load_checkpoint(folder)
    assert not notes, notes
    timed = {"seconds": 0.0, "samples_per_s": 0.0, "calls": ()}
    history = [replace(record, **timed) for record in checkpoint.history]
    result = sha256(f"{checkpoint.state.steps_done} {history_text(history)}".encode())
    for group in (*checkpoint.state[:3], checkpoint.best_weights):
        for array in group:
            result.update(array.tobytes())
    for path in sorted(folder.glob("*.keras")):
        with zipfile.ZipFile(path) as archive:
            result.update(archive.read("model.weights.h5"))
    return result.hexdigest()


def judge_end(process: Forked, number: int, seconds: float) -> list[str]:
    """Return what is wrong with the end of a command, this many seconds after the signal."""
    codes = {0, -number, 6} if number == signal.SIGKILL else {0, 128 + number}
    lines = process.err.splitlines()
    wrong = []
    if process.code not in codes or "Traceback" in process.err:
        wrong.append(f"ended with {process.code}: {process.err}")
    if number != signal.SIGKILL and seconds > LIMIT_SECONDS:
        wrong.append(f"ended after {seconds:.1f} s")
    is_short = len(lines) == 1 and lines[0].startswith(("s2s: interrupted", "s2s: terminated"))
    if process.code == 128 + number and not is_short:
        wrong.append(f"not one line: {process.err}")
    return [f"{signal.Signals(number).name}: {line}" for line in wrong]


class Training:
    """Trainings of one kind, one after the other, in a folder."""

    def __init__(self, kind: str, top: Path) -> None:
        self.kind, self._folder, self._temporary = kind, top / kind, top / f"{kind}.tmp"
        self._options = [*TRAININGS.get(kind, LONG), "-q", "--checkpoint-seconds", "0.02"]
        self._n_workers, self._n_seeds = 1 + (kind == "two workers"), 1 + (kind == "seeds")
        self.wrong: list[str] = []
        self._folder.mkdir()
        self._temporary.mkdir()
        pairs = [f"{a} {b} {c},{c} {a}" for a in range(1, 9) for b in range(1, 9) for c in range(9)]
        (self._folder / "pairs.csv").write_text("\n".join(pairs).replace(" 0,0", " 9,9"))
        other = self.finish("--seed", "7")
        self.remove()
        started = time.monotonic()
        self._expected = self.finish()
        self._seconds = time.monotonic() - started
        self.remove()
        if other == self._expected:
            self.wrong.append(f"{kind}: another seed ends with the same bits")

    @property
    def _runs(self) -> list[Path]:
        return run_folders(self._folder / "runs")

    @property
    def is_complete(self) -> bool:
        return sum((run / "run.json").exists() for run in self._runs) == self._n_seeds

    def _start(self, *options: str) -> list[Forked]:
        """Begin, or resume what is there."""
        if any(has_checkpoint(run) for run in self._runs):
            options = ("--resume", *options)
        if cache := open_cache():
            for path in cache.own.glob("*.pb"):  # which each process has to itself
                path.unlink()
        command = ["train", *self._options, "--run", "a", *options]
        addresses, environment = free_addresses(self._n_workers), {"TMPDIR": str(self._temporary)}
        processes = []
        for index in range(self._n_workers):
            if self._n_workers > 1:
                environment["TF_CONFIG"] = tf_config(addresses, index)
            processes.append(fork(command, self._folder, environment=environment))
        return processes

    def finish(self, *options: str) -> str:
        """Train to the end; return the hash of all runs."""
        for process in () if self.is_complete else self._start(*options):
            if process.end():
                raise RuntimeError(f"{process.arguments} ended with {process.code}: {process.err}")
        return " ".join(digest(run) for run in self._runs)

    def remove(self) -> None:
        shutil.rmtree(self._folder / "runs")

    def stop(self, moment: str, generator: random.Random) -> bool:
        """Start it and stop it at a moment; return whether it was not complete before."""
        pattern, number = MOMENTS[moment], generator.choice(SIGNALS)
        before = self._files(pattern)
        processes = self._start()
        first = generator.choice(processes)
        while pattern and not first.has_ended() and not self._files(pattern) - before:
            time.sleep(0.01 if moment == "steps" else 0)
        delay = generator.uniform(0, self._seconds if moment == "start" else 0.3 * self._seconds)
        if moment in ("checkpoint", "models"):
            delay *= generator.random() ** 4 * 0.05
        time.sleep(delay)
        sent = time.monotonic()
        for process in [first] if number == signal.SIGKILL else processes:
            process.send(number)
        codes = [process.end(WAITING_SECONDS) for process in processes]
        for process in processes:
            seconds = process.started + process.seconds - sent
            self.wrong += [f"{self.kind}: {x}" for x in judge_end(process, number, seconds)]
        if number != signal.SIGKILL and (left := list(self._temporary.iterdir())):
            self.wrong.append(f"{self.kind}: {signal.Signals(number).name} left {left}")
        return any(codes)

    def _files(self, pattern: str) -> set[Path]:
        return set((self._folder / "runs").glob(f"a*.training/{pattern}")) if pattern else set()

    def judge(self) -> str:
        """Complete it and return whether its bits are right."""
        if self.finish() == self._expected:
            return "the same bits"
        self.wrong.append(f"{self.kind}: other bits than those of a training that nobody stopped")
        return "OTHER BITS"


def stop_reader(kind: str, top: Path, generator: random.Random) -> list[str]:
    """Stop a command that does not train; return what is wrong."""
    folder, temporary = top / "readers", top / "readers.tmp"
    if not folder.exists():
        save_random_run(folder / "runs", "a", tiny_config())
        (folder / "many.txt").write_text("1 2 3 4\n" * 200_000)
        temporary.mkdir()
    number, delay = generator.choice(SIGNALS[2:]), generator.uniform(0, 3)
    reading, writing = os.pipe()
    os.set_inheritable(writing, False)
    os.write(writing, b"1 2 3 4\n")
    words = READERS[kind].split()
    process = fork(words, folder, stdin=reading, environment={"TMPDIR": str(temporary)})
    os.close(reading)
    while not process.has_ended() and time.monotonic() < process.started + delay:
        time.sleep(0.002)
    sent = time.monotonic()
    process.send(number)
    process.end()
    os.close(writing)
    wrong = judge_end(process, number, process.started + process.seconds - sent)
    left = [*temporary.iterdir(), *folder.rglob(".*")]
    wrong += [f"left {path.name}" for path in left if path.name != LOCK]
    (folder / "big.csv").unlink(missing_ok=True)
    return [f"{kind}: {line}" for line in wrong]


def main() -> None:
    args = parse(__doc__, 200, kinds=",".join([*TRAININGS, *READERS]))
    kinds, generator = args.kinds.split(","), random.Random(args.seed)
    wrong, moments, complete = [], Counter[str](), 0
    import_package(with_training=True)
    with work_folder() as top:
        trainings = {kind: Training(kind, top) for kind in kinds if kind not in READERS}
        while (done := moments.total()) < args.n:
            kind = kinds[complete % len(kinds)]
            complete += 1
            if kind in READERS:
                wrong += stop_reader(kind, top, generator)
                moments["of commands that do not train"] += 1
                continue
            training = trainings[kind]
            while moments.total() < args.n and not training.is_complete:
                moment = generator.choice(list(MOMENTS))
                if not training.stop(moment, generator):
                    break
                moments[moment] += 1
            stopped = moments.total() - done
            print(f"{kind}: stopped {stopped} times: {training.judge()}", flush=True)
            training.remove()
        wrong += [line for training in trainings.values() for line in training.wrong]
    counts = ", ".join(f"{count} {moment}" for moment, count in sorted(moments.items()))
    finish(
        f"{moments.total()} signals ({counts}), {complete} commands of {len(kinds)} kinds", wrong
    )


if __name__ == "__main__":
    main()
