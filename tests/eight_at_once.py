"""Let eight processes start on one run's folder at once, and others read beside them.

    python tests/eight_at_once.py 50 --seed 0 [--processes 8]

Each round is of a kind: a new run, a folder that a killed process has left, a run to be replaced, a
complete or a stopped one to be trained further, several seeds. Exactly one trains; each other ends
with code 5 and one line, before it has imported TensorFlow, within two seconds of processor time.
Meanwhile `runs`, `evaluate` and `predict` see the run before, the run after, or none. In a third of
the rounds the one that trains is killed: no lock is left, and a next one trains. Ends with 1 if
anything was otherwise.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import forks

from seq2seq_cli.runs.names import training_path

OPTIONS = "--n-in 4 --n-out 2 --cardinality 13 --units 8 --batch-size 16 --n-samples 640".split()
OPTIONS += ["-q", "--run", "a"]
KINDS = {
    "new": [],
    "abandoned": [],
    "replaced": ["--force", "--seed", "5"],
    "complete": ["--resume", "--epochs", "2"],
    "stopped": ["--resume", "--epochs", "2"],
    "seeds": ["--seeds", "2"],
}
MOST_SECONDS = 2.0

PAUSE = 0.3
"""Seconds from one who reads to the next; with half a core of their own the rounds take long."""

# What the forked processes need; not TensorFlow, which those that are refused have to do without.
IMPORTED = ["cli.app", "cli.rendering.evaluation", "cli.commands.train", "cli.commands.evaluate",
            "cli.commands.predict", "cli.commands.runs", "training.session",
            "prediction", "evaluation", "inference.loading"]  # fmt: skip


def read(command: str, run: str) -> list[str]:
    """Return the command line of one who reads."""
    if command == "runs":
        return ["runs", "--json"]
    if command == "evaluate":
        return ["evaluate", "--run", run, "--n-samples", "50", "--json"]
    return ["predict", "--run", run, "1 2 3 4", "5 6 7 8", "--json"]


def answer(process: forks.Forked) -> Any:
    """Return what one who reads has seen, without what is timed; None for no run."""
    lines = [json.loads(line) for line in process.out.splitlines()]
    for line in lines:
        for key in ("seconds", "sequences_per_s"):
            line.pop(key, None)
    return (process.arguments[0], lines) if process.code == 0 else None


class Round:
    """Processes on one folder; `wrong` is what was otherwise than it has to be."""

    def __init__(self, folder: Path, outputs: Path, generator: random.Random) -> None:
        self._folder, self._outputs, self._generator = folder, outputs, generator
        self.wrong: list[str] = []
        self.slowest, self.longest, self.reads, self.seen = 0.0, 0.0, 0, 0

    def run(self, kind: str, n: int, kills: bool) -> None:
        """Start `n` processes of a kind, and see what becomes of them."""
        run = "a-seed-0" if kind == "seeds" else "a"
        allowed = self._answers(run)
        with forks.gate() as gate:
            command = ["train", *OPTIONS, *KINDS[kind]]
            processes = [
                forks.fork(command, self._folder, self._outputs, gate) for _ in range(n)
            ]  # fmt: skip
            time.sleep(0.05)
        trains, readers = list(processes), []
        dies_at = time.monotonic() + self._generator.uniform(0, 6)
        while any(not process.has_ended() for process in trains):
            for process in list(trains):
                if process.has_ended() and process.code == 5:
                    trains.remove(process)
                    self.longest = max(self.longest, process.seconds)
            readers += self._readers(run, readers)
            if kills and len(trains) == 1 and time.monotonic() > dies_at:
                trains[0].send(signal.SIGKILL)
            time.sleep(0.01)
        self._judge(kind, processes, kills)
        if kills:
            self._train_again(kind)
        for reader in readers:
            reader.end()
        self._judge_readers(readers, allowed + self._answers(run))

    def _answers(self, run: str) -> list[Any]:
        """Return what those who read alone see."""
        lines = [read(command, run) for command in ("evaluate", "predict")]
        processes = [forks.fork(line, self._folder, self._outputs) for line in lines]
        for process in processes:
            process.end()
        return [answer(process) for process in processes]

    def _readers(self, run: str, readers: list[forks.Forked]) -> list[forks.Forked]:
        """Return one more who reads, where no other does."""
        now = time.monotonic()
        if any(not reader.has_ended() or now < reader.started + PAUSE for reader in readers[-1:]):
            return []
        line = read(self._generator.choice(["runs", "evaluate", "predict"]), run)
        return [forks.fork(line, self._folder, self._outputs)]

    def _judge(self, kind: str, processes: list[forks.Forked], kills: bool) -> None:
        codes = sorted(process.code for process in processes if process.code is not None)
        expected = ([0], [-signal.SIGKILL]) if kills else ([0],)
        if [code for code in codes if code != 5] not in expected:
            self.wrong.append(f"{kind}: ended with {codes}")
        for process in processes:
            if process.code not in (0, -signal.SIGKILL):
                self.slowest = max(self.slowest, process.processor_seconds)
                is_short = process.processor_seconds <= MOST_SECONDS
                if len(process.err.splitlines()) != 1 or process.has_tensorflow or not is_short:
                    self.wrong.append(
                        f"{kind}: {process.processor_seconds:.2f} s, TensorFlow "
                        f"{process.has_tensorflow}: {process.err}"
                    )

    def _train_again(self, kind: str) -> None:
        """See that a killed one has left no lock."""
        listed = forks.fork(["runs", "--json"], self._folder, self._outputs)
        if listed.end() or "in training" in listed.out:
            self.wrong.append(f"{kind}: after a kill: {listed.out}{listed.err}")
        options = KINDS[kind] if "--resume" in KINDS[kind] else ["--force", *KINDS[kind]]
        again = forks.fork(["train", *OPTIONS, *options], self._folder, self._outputs)
        # It may have been complete already.
        if again.end() and "is complete" not in again.err:
            self.wrong.append(f"{kind}: after a kill: {again.code}: {again.err}")

    def _judge_readers(self, readers: list[forks.Forked], allowed: list[Any]) -> None:
        self.reads += len(readers)
        for reader in readers:
            found = answer(reader)
            self.seen += reader.code == 0
            is_known = reader.arguments[0] == "runs" or found in [*allowed, None]
            is_line = reader.code in (0, 4) and len(reader.err.splitlines()) <= 1
            if not is_known or not is_line or "corrupt" in reader.err + reader.out:
                told = f"{reader.code}, {reader.out}{reader.err}"
                self.wrong.append(f"{' '.join(reader.arguments)}: {told}")


def prepare(kind: str, before: Path, outputs: Path, folder: Path) -> None:
    """Put into an empty folder what lies there before a round of this kind.

    A complete run is trained in `before` when it is first needed.
    """
    run = folder / "runs" / "a"
    if kind in ("replaced", "complete", "stopped") and not (before / "runs").exists():
        first = forks.fork(["train", *OPTIONS], before, outputs)
        if first.end():
            sys.exit(f"the first training ended with {first.code}: {first.err}")
    if kind == "abandoned":
        training_path(run).mkdir(parents=True)
        (training_path(run) / ".lock").touch()
    elif kind in ("replaced", "complete", "stopped"):
        shutil.copytree(before / "runs", folder / "runs")
    if kind == "stopped":
        run.rename(training_path(run))
        for path in (training_path(run) / "run.json", *training_path(run).glob("*.keras")):
            path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rounds", type=int, nargs="?", default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=8)
    args = parser.parse_args()
    generator = random.Random(args.seed)
    for name in IMPORTED:
        import_module(f"seq2seq_cli.{name}")
    assert "tensorflow" not in sys.modules
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        os.environ.setdefault("S2S_CACHE_DIR", str(top / "programs"))
        outputs, before = top / "outputs", top / "before"
        outputs.mkdir()
        before.mkdir()
        wrong, kinds = 0, list(KINDS)
        slowest = longest = 0.0
        reads = seen = killed = 0
        for number in range(args.rounds):
            folder = top / str(number)
            folder.mkdir()
            kind, kills = kinds[number % len(kinds)], generator.random() < 1 / 3
            prepare(kind, before, outputs, folder)
            played = Round(folder, outputs, generator)
            played.run(kind, args.processes, kills)
            for line in played.wrong:
                print(f"WRONG: round {number}: {line}", flush=True)
            wrong += len(played.wrong)
            slowest, longest = max(slowest, played.slowest), max(longest, played.longest)
            reads, seen, killed = reads + played.reads, seen + played.seen, killed + kills
            shutil.rmtree(folder)
        print(
            f"{args.rounds} rounds of {args.processes} processes, {killed} with a kill: {wrong} "
            f"wrong; who was refused took up to {slowest:.2f} s of processor time, and "
            f"{longest:.2f} s in all; {reads} readers, {seen} of which saw a run"
        )
        if wrong:
            sys.exit(1)


if __name__ == "__main__":
    main()
