"""Kill trainings again and again, and see that each ends with the bits of one left alone.

    python tests/kill_and_resume.py 200 --seed 0 [--two-workers] [--kinds seeds,dropout]

Each training is sent SIGKILL, is resumed, and is killed again, until it is complete; then the next
one begins, of the next kind. It is killed at a random moment of its start, of its steps, when a
checkpoint is being written, or when the models are. Of each kind one training is left alone, and
one under another seed has to end elsewhere. Ends with 1 if a single bit of the weights, moments,
models or histories differs. With `--two-workers` one of two is killed each time.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from importlib import import_module
from pathlib import Path

import forks
from workers import free_addresses, tf_config

from seq2seq_cli.runs.checkpoint import has_checkpoint, load_checkpoint
from seq2seq_cli.runs.history import history_text
from seq2seq_cli.runs.listing import run_folders
from seq2seq_cli.training.cache_folder import FOLDER_VARIABLE
from seq2seq_cli.training.compilation_cache import open_cache
from seq2seq_cli.training.process import configure_process

OPTIONS = "--units 8 --batch-size 16 -q --checkpoint-seconds 0.02".split()
TASK = "--n-in 4 --n-out 2 --cardinality 13 --n-samples 1600 --epochs 6".split()
KINDS = {
    "generated": TASK,
    "validate_every": [*TASK, "--set", "training.validate_every=640"],
    "own data": ["--data", "own.csv", "--epochs", "8"],
    "attention": [*TASK, "--attention", "dot"],
    "dropout": [*TASK, "--set", "model.dropout=0.2", "--set", "model.recurrent_dropout=0.1"],
    "varying lengths": ["--task", "reverse", "--n-in", "1-5", *TASK[4:]],
    "seeds": [*TASK[:-1], "3", "--seeds", "2"],
}  # fmt: skip
IMPORTED = ["cli.app", "cli.commands.train", "cli.rendering.evaluation", "evaluation",
            "inference.loading"]  # fmt: skip
LIMIT_SECONDS = 600
WAITING_SECONDS = 60
"""How long the other worker may take to notice a kill; one that still waits for it is killed."""


def digest(folder: Path) -> str:
    """Return the hash of a run: last and best weights, moments, models, history but for times."""
    checkpoint, notes = load_checkpoint(folder)
    assert not notes, notes
    timed = {"seconds": 0.0, "samples_per_s": 0.0, "calls": ()}
    history = [replace(record, **timed) for record in checkpoint.history]
    found = sha256(f"{checkpoint.state.steps_done} {history_text(history)}".encode())
    for group in (*checkpoint.state[:3], checkpoint.best_weights):
        for array in group:
            found.update(array.tobytes())
    for path in sorted(folder.glob("*.keras")):
        with zipfile.ZipFile(path) as archive:
            found.update(archive.read("model.weights.h5"))
    return found.hexdigest()


class Training:
    """Trainings of a kind in a folder: what they are begun with, and how they end."""

    def __init__(self, kind: str, folder: Path, outputs: Path) -> None:
        self._folder, self._outputs = folder, outputs
        self._options = [*OPTIONS, *KINDS.get(kind, TASK), "--run", "a"]
        self._n_workers = 1 if kind in KINDS else 2
        self._n_seeds = 2 if kind == "seeds" else 1

    @property
    def runs(self) -> list[Path]:
        """The runs that have begun."""
        return run_folders(self._folder / "runs")

    def start(self, *options: str) -> list[forks.Forked]:
        """Begin, or resume what is there, as one process or two."""
        if any(has_checkpoint(run) for run in self.runs):
            options = ("--resume", *options)
        if cache := open_cache():
            for path in cache.own.glob("*.pb"):  # which each process has to itself
                path.unlink()
        addresses = free_addresses(self._n_workers)
        processes = []
        for index in range(self._n_workers):
            if self._n_workers > 1:
                os.environ["TF_CONFIG"] = tf_config(addresses, index)
            command = ["train", *self._options, *options]
            processes.append(forks.fork(command, self._folder, self._outputs))
        return processes

    def finish(self, *options: str) -> str:
        """Train without a kill to the end; return the hash of what is there."""
        processes = self.start(*options)
        for process in processes:
            if process.end(LIMIT_SECONDS):
                sys.exit(f"{process.arguments} ended with {process.code}: {process.err}")
        return self.digest()

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing left to be trained."""
        complete = [run for run in self.runs if (run / "run.json").exists()]
        return len(complete) == self._n_seeds

    def files(self, pattern: str) -> set[Path]:
        """Return the files of trainings that fit a pattern; of an empty one, none."""
        return set((self._folder / "runs").glob(f"a*.training/{pattern}")) if pattern else set()

    def digest(self) -> str:
        """Return the hash of each run."""
        return " ".join(digest(run) for run in self.runs)

    def remove(self) -> None:
        shutil.rmtree(self._folder / "runs")


MOMENTS = {
    "start": "",
    "steps": "checkpoint/*.json",
    "checkpoint": "checkpoint/.*",
    "models": ".*.keras",
}
"""By name, the files that are waited for before the kill; those there are already do not count."""


def kill(training: Training, moment: str, generator: random.Random, seconds: float) -> bool:
    """Start, and kill at a moment; tell whether it was not complete before.

    `seconds` is how long one takes that is left alone.
    """
    pattern = MOMENTS[moment]
    before = training.files(pattern)
    processes = training.start()
    victim = generator.choice(processes)
    delay = generator.uniform(0, seconds if moment == "start" else 0.3 * seconds)
    delay *= generator.random() ** 4 * 0.05 if moment in ("checkpoint", "models") else 1
    until = time.monotonic() + LIMIT_SECONDS
    while pattern and not victim.has_ended() and time.monotonic() < until:
        if training.files(pattern) - before:
            break
        if moment == "steps":
            time.sleep(0.01)
    time.sleep(delay)
    victim.send(signal.SIGKILL)
    codes = [process.end(WAITING_SECONDS) for process in processes]
    for process in processes:
        if process.code not in (0, -signal.SIGKILL, 6) or "Traceback" in process.err:
            sys.exit(f"{process.arguments} ended with {process.code}: {process.err}")
    return any(codes)


def kill_all(n: int, kinds: list[str], generator: random.Random, top: Path) -> bool:
    """Kill `n` times, of these kinds in turn; tell whether all ended with the right bits."""
    trainings, whole, seconds = {}, {}, {}
    controls = 0
    for kind in kinds:
        folder = top / kind
        folder.mkdir()
        lines = [f"{a} {b} {c},{c} {a}" for a in range(1, 9) for b in range(9) for c in range(1, 9)]
        (folder / "own.csv").write_text("\n".join(lines).replace(" 0 ", " 9 "))
        training = trainings[kind] = Training(kind, folder, top / "outputs")
        other = training.finish("--seed", "7")
        training.remove()
        started = time.monotonic()
        whole[kind] = training.finish()
        seconds[kind] = time.monotonic() - started
        training.remove()
        controls += other != whole[kind]
        print(f"{kind}: {seconds[kind]:.1f} s where it is left alone", flush=True)
    done, complete, wrong = 0, 0, 0
    moments: Counter[str] = Counter()
    while done < n:
        kind = kinds[complete % len(kinds)]
        training, killed = trainings[kind], 0
        while done < n and not training.is_complete:
            moment = generator.choice(list(MOMENTS))
            if not kill(training, moment, generator, seconds[kind]):
                break
            moments[moment] += 1
            killed, done = killed + 1, done + 1
        found = training.digest() if training.is_complete else training.finish()
        complete, wrong = complete + 1, wrong + (found != whole[kind])
        verdict = "the same bits" if found == whole[kind] else "OTHER BITS"
        print(f"{kind}: killed {killed} times: {verdict}; {done} kills so far", flush=True)
        training.remove()
    told = ", ".join(f"{count} at {moment}" for moment, count in sorted(moments.items()))
    print(
        f"{done} kills ({told}) of {complete} trainings of {len(kinds)} kinds: {wrong} ended with "
        f"other bits than one left alone; under another seed {controls} of {len(kinds)} did"
    )
    return not wrong and controls == len(kinds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kills", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--two-workers", action="store_true")
    parser.add_argument("--kinds", default=",".join(KINDS), help="Some of the kinds, in order.")
    args = parser.parse_args()
    kinds = ["two workers"] if args.two_workers else args.kinds.split(",")
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        (top / "outputs").mkdir()
        os.environ.setdefault(FOLDER_VARIABLE, str(top / "programs"))
        configure_process()  # before TensorFlow is imported, for all that is forked
        from seq2seq_cli.cli.process import import_quietly

        import_quietly()
        for module in IMPORTED:
            import_module(f"seq2seq_cli.{module}")
        if not kill_all(args.kills, kinds, random.Random(args.seed), top):
            sys.exit(1)


if __name__ == "__main__":
    main()
