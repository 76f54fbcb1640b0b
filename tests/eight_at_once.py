"""Let eight processes start on one run's folder at once, while others read it.

    python tests/eight_at_once.py 50 [--seed 0] [--processes 8]

Each round is of a kind: a new run, a folder that a killed process has left, a run to be replaced, a
complete or a stopped one to be trained further, several seeds. Exactly one process trains. Each
other ends with code 5 and one line, before it imports TensorFlow, within two seconds of processor
time. Meanwhile `runs`, `evaluate` and `predict` see the run before, the run after, or none. In a
third of the rounds the one that trains is killed: no lock is left, and a next one trains.
"""

import json
import random
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from harness import Forked, finish, fork, gate, import_package, parse, work_folder
from tiny import TINY

from seq2seq_cli.runs.names import training_path

TRAIN = ["train", *TINY, "-q", "--run", "a"]
KINDS = {
    "new": [],
    "abandoned": [],
    "replaced": ["--force", "--seed", "5"],
    "complete": ["--resume", "--epochs", "2"],
    "stopped": ["--resume", "--epochs", "2"],
    "seeds": ["--seeds", "2"],
}
MAX_SECONDS = 2.0

PAUSE = 0.3
"""Seconds between two readers, which would take the processors from the trainings."""


def reader_command(command: str, run: str) -> list[str]:
    words = {
        "runs": ["runs"],
        "evaluate": ["evaluate", "--run", run, "--n-samples", "50"],
        "predict": ["predict", "--run", run, "1 2 3 4", "5 6 7 8"],
    }
    return [*words[command], "--json"]


def answer(process: Forked) -> Any:
    """Return what a reader shows, without what is timed; None for no run."""
    lines = [json.loads(line) for line in process.out.splitlines()]
    for line in lines:
        for key in ("seconds", "sequences_per_s"):
            line.pop(key, None)
    return (process.arguments[0], lines) if process.code == 0 else None


class Round:
    """Processes of one kind on one folder."""

    def __init__(self, kind: str, folder: Path, generator: random.Random) -> None:
        self._kind, self._folder, self._generator = kind, folder, generator
        self._run = "a-seed-0" if kind == "seeds" else "a"
        self.wrong: list[str] = []
        self.readers: list[Forked] = []
        self.slowest = 0.0

    def run(self, n: int, kills: bool) -> None:
        allowed = [*self._answers(), None]
        command = [*TRAIN, *KINDS[self._kind]]
        with gate() as opened:
            processes = [fork(command, self._folder, opened) for _ in range(n)]
            time.sleep(0.05)
        dies_at = time.monotonic() + self._generator.uniform(0, 6)
        while under_way := [process for process in processes if not process.has_ended()]:
            self._read()
            if kills and len(under_way) == 1 and time.monotonic() > dies_at:
                under_way[0].send(signal.SIGKILL)
            time.sleep(0.01)
        self._judge(processes, kills)
        if kills:
            self._train_again()
        for reader in self.readers:
            reader.end()
        self._judge_readers(allowed + self._answers())

    def _answers(self) -> list[Any]:
        commands = [reader_command(command, self._run) for command in ("evaluate", "predict")]
        processes = [fork(command, self._folder) for command in commands]
        for process in processes:
            process.end()
        return [answer(process) for process in processes]

    def _read(self) -> None:
        """Start one more reader, unless the last one has just begun."""
        for last in self.readers[-1:]:
            if not last.has_ended() or time.monotonic() < last.started + PAUSE:
                return
        command = reader_command(self._generator.choice(["runs", "evaluate", "predict"]), self._run)
        self.readers.append(fork(command, self._folder))

    def _judge(self, processes: list[Forked], kills: bool) -> None:
        codes = [process.code for process in processes if process.code != 5]
        if codes != [0] and not (kills and codes == [-signal.SIGKILL]):
            self.wrong.append(f"{self._kind}: ended with {codes}")
        for process in processes:
            if process.code == 5:
                seconds = process.processor_seconds
                self.slowest = max(self.slowest, seconds)
                is_one_line = len(process.err.splitlines()) == 1
                if not is_one_line or process.has_tensorflow or seconds > MAX_SECONDS:
                    details = f"TensorFlow {process.has_tensorflow}: {process.err}"
                    self.wrong.append(f"{self._kind}: refused in {seconds:.2f} s, {details}")

    def _train_again(self) -> None:
        """See that a killed training has left no lock."""
        listing = fork(["runs", "--json"], self._folder)
        if listing.end() or "in training" in listing.out:
            self.wrong.append(f"{self._kind}: after a kill: {listing.out}{listing.err}")
        options = KINDS[self._kind]
        options = options if "--resume" in options else ["--force", *options]
        again = fork([*TRAIN, *options], self._folder)
        if again.end() and "is complete" not in again.err:  # it may have been killed too late
            self.wrong.append(f"{self._kind}: after a kill: {again.code}: {again.err}")

    def _judge_readers(self, allowed: list[Any]) -> None:
        for reader in self.readers:
            is_known = reader.arguments[0] == "runs" or answer(reader) in allowed
            is_short = reader.code in (0, 4) and len(reader.err.splitlines()) <= 1
            if not is_known or not is_short or "corrupt" in reader.err + reader.out:
                line = " ".join(reader.arguments)
                self.wrong.append(f"{line}: {reader.code}, {reader.out}{reader.err}")


def prepare(kind: str, before: Path, folder: Path) -> None:
    """Put into a folder what is there before a round of this kind."""
    run = folder / "runs" / "a"
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
    args = parse(__doc__, 50, processes=8)
    generator, kinds, wrong = random.Random(args.seed), list(KINDS), []
    slowest, n_readers, n_kills = 0.0, 0, 0
    import_package(with_training=False)
    with work_folder() as top:
        before = top / "before"
        before.mkdir()
        assert not fork(TRAIN, before).end()
        for number in range(args.n):
            folder = top / str(number)
            folder.mkdir()
            kind, kills = kinds[number % len(kinds)], generator.random() < 1 / 3
            prepare(kind, before, folder)
            played = Round(kind, folder, generator)
            played.run(args.processes, kills)
            wrong += [f"round {number}: {line}" for line in played.wrong]
            slowest = max(slowest, played.slowest)
            n_readers, n_kills = n_readers + len(played.readers), n_kills + kills
            shutil.rmtree(folder)
    counts = f"{args.n} rounds of {args.processes} processes, {n_kills} with a kill"
    finish(f"{counts}, refused within {slowest:.2f} s; {n_readers} readers", wrong)


if __name__ == "__main__":
    main()
