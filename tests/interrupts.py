"""Send Ctrl-C and SIGTERM to commands at random moments, and see that each ends at once and whole.

    python tests/interrupts.py 200 --seed 0

The commands are trainings (alone, of several seeds, further on, of two workers that wait and that
train; their programs compiled or kept), generate, evaluate, predict and encode. Each has to end
within two seconds with 130 or 143, unless it has ended by then, with at most one line and no
traceback; it leaves nothing in the folder of temporary files, and of a run what verifies and goes
on. Ends with 1 if anything is wrong.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import forks
from kill_and_resume import TASK
from workers import free_addresses, tf_config

from seq2seq_cli.errors import S2sError
from seq2seq_cli.runs.checkpoint import has_checkpoint, load_checkpoint
from seq2seq_cli.runs.listing import list_runs
from seq2seq_cli.runs.lock import LOCK
from seq2seq_cli.runs.manifest import RECORDED
from seq2seq_cli.training.cache_folder import FOLDER_VARIABLE

TRAIN = ["train", *TASK, "--units", "8", "--batch-size", "16", "-q", "--run", "a",
         "--checkpoint-seconds", "0.1"]  # fmt: skip
COMMANDS = {
    "train": (TRAIN, 6.0),
    "train compiling": (TRAIN, 12.0),
    "train --seeds": ([*TRAIN, "--seeds", "2"], 8.0),
    "train --force": ([*TRAIN, "--force", "--seed", "5"], 6.0),
    "train --resume": ([*TRAIN, "--resume", "--epochs", "9"], 7.0),
    "two workers": ([*TRAIN, "--epochs", "4"], 15.0),
    "one worker waits": (TRAIN, 8.0),
    "generate": (["generate", "--n-samples", "300000", "--output", "big.csv", "-q"], 4.0),
    "evaluate": (["evaluate", "--n-samples", "60000", "--run", "a", "-q"], 0.6),
    "predict -": (["predict", "--run", "a", "-"], 0.6),
    "predict": (["predict", "--run", "a", "--input", "many.txt"], 4.0),
    "encode": (["encode", "--run", "a", "--input", "many.txt"], 4.0),
    "runs": (["runs"], 0.2),
}
"""Each with about how many seconds it takes, of a processor, or of waiting."""

WAITING = ("one worker waits", "predict -")
IMPORTED = ["cli.app", "cli.rendering.evaluation", "cli.commands.train", "cli.commands.evaluate",
            "cli.commands.predict", "cli.commands.encode", "cli.commands.generate",
            "cli.commands.runs", "training.session", "training.seeds", "prediction",
            "evaluation", "inference.loading"]  # fmt: skip
SIGNALS = (signal.SIGINT, signal.SIGTERM)

LIMIT_SECONDS = 2.0
SLOW_SECONDS = 8.0
"""What a machine that does other things may take besides."""


class Case:
    """A command in a folder, interrupted once; `wrong` is what was otherwise than it has to be."""

    def __init__(self, name: str, top: Path, before: Path) -> None:
        self._name, self._top = name, top
        self._folder, self._temporary = top / "folder", top / "temporary"
        for folder in (self._folder, self._temporary, top / "outputs"):
            folder.mkdir(parents=True)
        if not name.startswith(("train", "two", "one")) or name in (
            "train --force",
            "train --resume",
        ):
            shutil.copytree(before, self._folder, dirs_exist_ok=True)
        self.wrong: list[str] = []
        self.told = ""
        self.has_ended_before = False
        self.where, self.seconds = "", 0.0

    def start(self) -> list[forks.Forked]:
        """Start the command, or the workers."""
        addresses, processes = free_addresses(2), []
        reading, self._writing = os.pipe() if self._name == "predict -" else (None, None)
        if self._writing:
            os.set_inheritable(self._writing, False)
            os.write(self._writing, b"1 2 3 4\n")
        environment = {"TMPDIR": str(self._temporary)}
        if self._name == "train compiling":
            environment[FOLDER_VARIABLE] = ""
        for index in range(2 if self._name == "two workers" else 1):
            if "worker" in self._name:
                environment["TF_CONFIG"] = tf_config(addresses, index)
            processes.append(
                forks.fork(
                    COMMANDS[self._name][0],
                    self._folder,
                    self._top / "outputs",
                    stdin=reading,
                    environment=environment,
                )
            )
        if reading:
            os.close(reading)
        return processes

    def interrupt(self, number: int, after: float) -> None:
        """Start it, send it a signal after some seconds, and judge its end."""
        processes = self.start()
        while not processes[0].has_ended():
            waited = time.monotonic() - processes[0].started
            if after <= (waited if self._name in WAITING else processor_seconds(processes[0].pid)):
                break
            time.sleep(0.002)
        sent = time.monotonic()
        for process in processes:
            process.send(number)
        codes = [process.end(SLOW_SECONDS + 30) for process in processes]
        self.seconds = max(one.started + one.seconds - sent for one in processes)
        if self._writing:
            os.close(self._writing)
        where = self.where = f"{signal.Signals(number).name} after {after:.2f} s"
        self.has_ended_before = set(codes) == {0}
        if not set(codes) <= {0, 128 + number}:
            self.wrong.append(f"{where}: ended with {codes}")
        if self.seconds > LIMIT_SECONDS + SLOW_SECONDS:
            self.wrong.append(f"{where}: ended after {self.seconds:.2f} s")
        for process in processes:
            self.told = process.err
            lines = self.told.splitlines()
            if process.code == 128 + number and (
                len(lines) > 1 or not self.told.startswith(("s2s: interrupted", "s2s: terminated"))
            ):
                self.wrong.append(f"{where}: {self.told}")
        if left := [str(path.relative_to(self._top)) for path in self._temporary.rglob("*")]:
            self.wrong.append(f"{where}: left {left}")
        self.wrong += [f"{where}: {problem}" for problem in self._damages()]

    def _damages(self) -> list[str]:
        """Return what is wrong with what is left of the runs, and of what was to be written."""
        found = []
        runs = self._folder / "runs"
        for listed in list_runs(runs):
            path = runs / listed.name
            try:
                for file in RECORDED if listed.run else ():
                    listed.run.read(file)
                if has_checkpoint(path):
                    found += load_checkpoint(path)[1]
                elif not listed.run:
                    found.append(f"{path.name} is left with no checkpoint")
            except S2sError as error:
                found.append(str(error))
            if "in training" in (listed.problem, listed.under_way):
                found.append(f"{path.name} is still locked")
        # The lock's file may stay where the process could not be unwound in time.
        left = [*self._folder.glob(".*"), *runs.rglob(".*")]
        found += [f"left {path.name}" for path in left if path.name != LOCK]
        return found

    def goes_on(self) -> None:
        """Go on with what is left of a training."""
        if "resume with: " in self.told:
            command = self.told.strip().rpartition("resume with: s2s ")[2].split()
            again = forks.fork([*command, "-q"], self._folder, self._top / "outputs")
            if again.end(600):
                self.wrong.append(f"{command}: ended with {again.code}: {again.err}")


def processor_seconds(pid: int) -> float:
    """Return for how long a process has computed so far; 0 if it has ended."""
    with suppress(OSError):
        numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("interrupts", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", default=",".join(COMMANDS))
    args = parser.parse_args()
    names = args.commands.split(",")
    generator, told, early_ends = random.Random(args.seed), Counter[bool](), 0
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        os.environ.setdefault(FOLDER_VARIABLE, str(top / "programs"))
        before = top / "before"
        before.mkdir()
        (before / "many.txt").write_text("1 2 3 4\n" * 200_000)
        subprocess.run([sys.executable, "-m", "seq2seq_cli", *TRAIN], cwd=before, check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        for module in IMPORTED:
            import_module(f"seq2seq_cli.{module}")
        wrong, slowest = 0, 0.0
        for count in range(args.interrupts):
            command = names[count % len(names)]
            case = Case(command, top / str(count), before)
            case.interrupt(generator.choice(SIGNALS), generator.uniform(0, COMMANDS[command][1]))
            if count // len(names) % 4 == 0:
                case.goes_on()
            for line in case.wrong:
                print(f"WRONG: {command}: {line}", flush=True)
            wrong, slowest = wrong + len(case.wrong), max(slowest, case.seconds)
            told["resume with" in case.told] += 1
            early_ends += case.has_ended_before
            print(f"{command}: {case.where}: {case.told.strip()}", flush=True)
            shutil.rmtree(top / str(count))
        print(
            f"{args.interrupts} signals, {early_ends} after the end and {told[True]} with a "
            f"checkpoint: {wrong} wrong, the slowest end after {slowest:.2f} s"
        )
        if wrong:
            sys.exit(1)


if __name__ == "__main__":
    main()
