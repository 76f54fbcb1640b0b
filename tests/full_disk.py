"""Let a disk be full at every write in turn, and see that nothing is lost and one line says so.

    python tests/full_disk.py [N] [--seed 0]

Commands that write are run on copies of one folder with a complete run, a stopped training and
files of before, once for each place at which a write can fail:

- point: the k-th file that is opened to be written, folder that is made, flush or rename fails, for
  every k: with ENOSPC then and ever after, or once with EIO;
- limit: no file may become larger than so many bytes (RLIMIT_FSIZE; N sizes, drawn), so that the
  system cuts writes off wherever they are;
- disk: a file system in memory (tmpfs) has so many pages left, from none on, one more each time,
  until all find room. Where none may be mounted, this is left out with a word.

A command that fails has to end with exit code 6 and one line with the file's name and the reason;
the run and the checkpoint of before, or the new ones, verify and answer the same; and the command
once more, or a resumed training, comes to the bits of one that nothing has befallen, and leaves no
temporary file. N is how many of each are tried; 0, as many as there are, and 200 sizes.
"""

import argparse
import errno
import io
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from seq2seq_cli.cli.process import run_command
from seq2seq_cli.errors import Interrupted, S2sError
from seq2seq_cli.inference.loading import load_run
from seq2seq_cli.prediction import predict
from seq2seq_cli.runs.checkpoint import has_checkpoint, is_stopped, load_checkpoint
from seq2seq_cli.runs.folder import settle
from seq2seq_cli.runs.listing import open_run
from seq2seq_cli.runs.manifest import MANIFEST, RECORDED

TASK = "--n-in 4 --n-out 2 --cardinality 13"
OPTIONS = f"{TASK} --set model.units=8 --n-samples 320 --batch-size 16 -q"
OPTIONS += " --set training.validate_every=160"
GENERATE = f"generate {TASK} --n-samples 500 -q --output"
SOURCES = [[1, 2, 3, 4], [9, 8, 7, 6]]
PAGE = 4096
REASON = re.compile("No space left|File too large|Input/output error|bytes free")


class Scenario(NamedTuple):
    """A command that writes, and the runs or the file that it writes."""

    name: str
    line: str
    runs: tuple[str, ...] = ()
    file: str = ""

    @property
    def resumes(self) -> str:
        """The command that resumes what is stopped."""
        kept = " --tensorboard" if "--tensorboard" in self.line else ""
        if "--seeds" in self.line:
            return f"train --seeds 2 --run several --resume -q{kept}"
        epochs = " --epochs 2" if "--epochs" in self.line else ""
        return f"train --run {self.runs[0]} --resume -q{epochs}{kept}"


SCENARIOS = [
    Scenario("train", f"train {OPTIONS} --run new", ("new",)),
    Scenario("train --force", f"train {OPTIONS} --seed 9 --run done --force", ("done",)),
    Scenario("train --resume", "train --resume --run stopped -q", ("stopped",)),
    Scenario("train further", "train --resume --run done --epochs 2 -q", ("done",)),
    Scenario("train --seeds", f"train {OPTIONS} --seeds 2 --run several",
             ("several-seed-0", "several-seed-1")),
    Scenario("train --tensorboard", f"train {OPTIONS} --run new --tensorboard", ("new",)),
    *(Scenario(f"generate {suffix}", f"{GENERATE} old.{suffix} --force", (), f"old.{suffix}")
      for suffix in ("jsonl", "csv", "tsv", "npz")),
    Scenario("generate new", f"{GENERATE} new.csv", (), "new.csv"),
    Scenario("encode", "encode --input sources.txt --run done --output states.npz --force -q", (),
             "states.npz"),
]  # fmt: skip
READERS = [
    "evaluate --run done",
    "evaluate --run done --json",
    "predict --input sources.txt --run done",
    "encode --input sources.txt --run done --json",
    "runs",
    "inspect --run done --json",
    "generate --n-samples 3000 --json",
]


class Faults:
    """Lets the k-th write of a process in a folder fail; Python tells of each before it is done."""

    def __init__(self) -> None:
        self.folder = ""
        self.seen = self.fails_at = 0
        self.code, self.is_lasting = errno.ENOSPC, True
        sys.addaudithook(self._hear)
        fsync = os.fsync

        def counted(file: Any) -> None:
            if self.folder:
                number = file if isinstance(file, int) else file.fileno()
                self._count(str(Path(f"/proc/self/fd/{number}").readlink()))
            fsync(file)

        os.fsync = counted

    @contextmanager
    def at(self, folder: Path, place: int = 0, code: int = errno.ENOSPC) -> Iterator[None]:
        """Let a write fail while the block runs; 0: count them alone."""
        self.seen, self.fails_at, self.code = 0, place, code
        self.is_lasting = code == errno.ENOSPC
        self.folder = str(folder)
        try:
            yield
        finally:
            self.folder = ""

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.folder:
            return
        if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            flags = arguments[2] if isinstance(arguments[2], int) else 0
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self._count(os.fsdecode(arguments[0]))
        elif event in ("os.mkdir", "os.rename"):
            self._count(os.fsdecode(arguments[0]))

    def _count(self, path: str) -> None:
        if not os.path.abspath(path).startswith(self.folder):  # noqa: PTH100
            return
        self.seen += 1
        if self.fails_at and (self.seen == self.fails_at or
                              (self.is_lasting and self.seen > self.fails_at)):  # fmt: skip
            raise OSError(self.code, os.strerror(self.code), path)


def run_line(line: str) -> tuple[int, list[str]]:
    """Run a command in this process; return its exit code and the lines on standard error."""
    arguments = ["s2s", *line.split()]
    shown = io.StringIO()
    before, sys.argv = sys.argv, arguments
    handler = signal.getsignal(signal.SIGPIPE)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(shown):
            message, code = run_command()
    except BaseException:
        return 1, traceback.format_exc().splitlines()[-3:]
    finally:
        sys.argv = before
        signal.signal(signal.SIGPIPE, handler)
    return code, [*shown.getvalue().splitlines(), *message.splitlines()]


@contextmanager
def limited(size: int | None) -> Iterator[None]:
    """Let no file become larger than `size` bytes while the block runs.

    Python would keep what it compiles there cut off, too, and call it damaged ever after.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    keeps_none = sys.dont_write_bytecode
    if size is not None:
        sys.dont_write_bytecode = True
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        sys.dont_write_bytecode = keeps_none
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def bits(name: str) -> object:
    """Return the result of a training: its newest checkpoint, and what its run predicts."""
    checkpoint, notes = load_checkpoint(Path("runs", name))
    assert not notes, notes
    groups = (*checkpoint.state[:3], checkpoint.best_weights)
    arrays = [array.tobytes() for group in groups for array in group]
    return arrays, checkpoint.state.steps_done, answer(name)


def answer(name: str) -> object:
    """Return what a complete run predicts; None if there is none."""
    settle(Path("runs", name))
    if not Path("runs", name, MANIFEST).exists():
        return None
    run = open_run(Path("runs"), name)
    for file in RECORDED:
        run.read(file)
    return predict(load_run(name, "runs"), SOURCES)


def temporary_files() -> list[str]:
    """Return the files that should be there for no longer than a command runs."""
    return [str(path) for path in Path().rglob("*") if ".s2s-" in path.name or path.name == ".lock"]


def make_before(folder: Path) -> None:
    """Make what the commands find."""
    from tiny import stop_after

    from seq2seq_cli.settings import resolve
    from seq2seq_cli.training.events import Validated
    from seq2seq_cli.training.session import train

    folder.mkdir()
    with chdir(folder):
        code, lines = run_line(f"train {OPTIONS} --run done")
        assert code == 0, lines
        given = {"task.n_in": 4, "task.n_out": 2, "task.cardinality": 13, "model.units": 8,
                 "training.n_samples": 320, "training.batch_size": 16,
                 "training.validate_every": 160}  # fmt: skip
        with suppress(Interrupted):
            train(resolve(None, [], given), "runs", "stopped", progress=stop_after(1, Validated))
        assert has_checkpoint(Path("runs", "stopped"))
        for file in ("old.jsonl", "old.csv", "old.tsv", "old.npz", "states.npz"):
            Path(file).write_text("of before")
        Path("sources.txt").write_text("1 2 3 4\n" * 3000)


class Trial(NamedTuple):
    """A command to be run where a write fails, all that is compared with, and how it is told."""

    scenario: Scenario
    expected: dict[str, object]  # of each run, or the file's content, when nothing fails

    def judge(self, code: int, lines: list[str], earlier: dict[str, object]) -> str:
        """Return what is wrong, after a command in this folder; empty if nothing is."""
        text = " | ".join(lines)
        if code not in (0, 6):
            return f"exit code {code}: {text}"
        if code == 6 and not (len(lines) == 1 and REASON.search(text) and self._names_file(text)):
            return f"not one line with file and reason: {text}"
        if code == 0 and lines:
            return f"ended well, with: {text}"
        if self.scenario.file:
            return self._judge_file(code, earlier)
        try:
            return self._judge_runs(code, earlier)
        except (S2sError, AssertionError) as error:
            return f"damaged: {error}"

    def _names_file(self, text: str) -> bool:
        return (self.scenario.file or "runs") in text

    def _judge_file(self, code: int, earlier: dict[str, object]) -> str:
        if temporary_files():
            return f"left {temporary_files()}"
        if content(self.scenario.file) != (earlier if code else self.expected)[self.scenario.file]:
            return "another content"
        again = self.scenario.line if code else "tasks"
        code, lines = run_line(again)
        if code or content(self.scenario.file) != self.expected[self.scenario.file]:
            return f"once more: {code} {lines}"
        return f"left {temporary_files()}" if temporary_files() else ""

    def _judge_runs(self, code: int, earlier: dict[str, object]) -> str:
        again = self.scenario.line
        for name in self.scenario.runs:
            run, found = Path("runs", name), answer(name)
            known = [self.expected[name][2], earlier[name] and earlier[name][2]]
            if is_stopped(run) or ("--seeds" in again and has_checkpoint(run)):
                again = self.scenario.resumes
            elif found is not None and found == known[0]:
                again = "tasks"  # nothing is left to be done
            if found is None and known[1] is not None:
                return f"{name} is lost"
            if found is not None and found not in known:
                return f"{name} answers otherwise"
            if code == 0 and bits(name) != self.expected[name]:
                return f"{name} ended well with other bits"
        if code:
            ended, lines = run_line(again)
            if ended:
                return f"{again}: {ended} {lines}"
        for name in self.scenario.runs:
            if bits(name) != self.expected[name]:
                return f"{name} has other bits after {again}"
        return f"left {temporary_files()}" if temporary_files() else ""


def content(file: str) -> object:
    """Return a file's content, of an archive without its times; None where there is none."""
    if not Path(file).exists():
        return None
    if file.endswith(".npz") and Path(file).read_bytes() != b"of before":
        import numpy as np

        with np.load(file) as arrays:
            return {name: arrays[name].tobytes() for name in arrays}
    return Path(file).read_bytes()


def state_of(scenario: Scenario) -> dict[str, object]:
    """Return what is in this folder of all that a command writes."""
    if scenario.file:
        return {scenario.file: content(scenario.file)}
    runs = {name: Path("runs", name) for name in scenario.runs}
    return {name: bits(name) if has_checkpoint(run) else None for name, run in runs.items()}


class Harness:
    """Runs the commands on copies of a folder; counts what came of them."""

    def __init__(self, place: Path, faults: Faults) -> None:
        self.place, self.faults = place, faults
        self.before = place / "before"
        self.counts: Counter[tuple[str, str, int]] = Counter()
        self.wrong: list[str] = []
        place.mkdir()
        make_before(self.before)

    def trial(self, scenario: Scenario) -> tuple[Trial, int]:
        """Run a command without a fault; return what it comes to, and how many writes it has."""
        with self._copy(self.place / "whole"):
            with self.faults.at(Path.cwd()):
                code, lines = run_line(scenario.line)
            assert code == 0, (scenario, lines)
            return Trial(scenario, state_of(scenario)), self.faults.seen

    def point(self, trial: Trial, place: int, code: int) -> None:
        """Let the write of this number fail."""
        with self._copy(self.place / "try"):
            how = f"{errno.errorcode[code]} at write {place}"
            self._try(trial, "point", how, lambda line: self._fail_at(line, place, code))

    def limit(self, trial: Trial, size: int) -> None:
        """Let no file become larger than this."""

        def run(line: str) -> tuple[int, list[str]]:
            with limited(size):
                return run_line(line)

        with self._copy(self.place / "try"):
            self._try(trial, "limit", f"{size} bytes a file", run)

    def disk(self, trial: Trial, mount: Path, pages: int) -> bool:
        """Run it on a disk with so many pages left; tell whether it found room."""

        def run(line: str) -> tuple[int, list[str]]:
            used = shutil.disk_usage(mount).used
            remount(mount, used + pages * PAGE)
            code, lines = run_line(line)
            remount(mount, 2**26)
            return code, lines

        with self._copy(mount / "try"):
            return self._try(trial, "disk", f"{pages} pages left", run) == 0

    def _fail_at(self, line: str, place: int, code: int) -> tuple[int, list[str]]:
        with self.faults.at(Path.cwd(), place, code):
            return run_line(line)

    def _try(self, trial: Trial, kind: str, how: str,
             run: Callable[[str], tuple[int, list[str]]]) -> int:  # fmt: skip
        earlier = state_of(trial.scenario)
        code, lines = run(trial.scenario.line)
        problem = trial.judge(code, lines, earlier)
        self.counts[trial.scenario.name, kind, code] += 1
        if problem:
            self.wrong.append(f"{trial.scenario.name}, {how}: {problem}")
        return code

    @contextmanager
    def _copy(self, folder: Path) -> Iterator[None]:
        shutil.copytree(self.before, folder)
        try:
            with chdir(folder):
                yield
        finally:
            shutil.rmtree(folder)


def mount_tmpfs(place: Path) -> bool:
    """Mount a file system in memory; tell whether that may be done here."""
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={2**26}", "tmpfs", place],
                          check=False, capture_output=True)  # fmt: skip
    return done.returncode == 0


def remount(place: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", place], check=True)


def full_output(folder: Path, line: str, size: int | None) -> str:
    """Run a command whose output has no room, in a process of its own; return what is wrong."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size or 0, size or 0))

    target = "/dev/full" if size is None else "output"
    with chdir(folder), Path(target).open("wb") as out:
        found = subprocess.run(
            [sys.executable, "-B", "-m", "seq2seq_cli", *line.split()],
            stdout=out, stderr=subprocess.PIPE, text=True, check=False,
            preexec_fn=limit if size is not None else None,
        )  # fmt: skip
        whole = size is not None and found.returncode == 0 and Path("output").stat().st_size < size
    lines = found.stderr.splitlines()
    if not whole and (found.returncode != 6 or len(lines) != 1 or not REASON.search(lines[0])):
        return f"{line} > {target} ({size}): {found.returncode} {lines}"
    return ""


@contextmanager
def ready() -> Iterator[None]:
    """Share compiled programs, and keep none, while the block runs."""
    from conftest import share_programs

    from seq2seq_cli.training.process import configure_process

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("S2S_CACHE_DIR", "")
        configure_process()
        share_programs(patched)
        yield


def sampled(draw: random.Random, n: int, total: int) -> list[int]:
    """Return numbers from 1 to `total`: n of them, or all for 0."""
    return (
        list(range(1, total + 1))
        if not n
        else sorted(draw.sample(range(1, total + 1), min(n, total)))
    )


def run_all(place: Path, faults: Faults, n: int, seed: int, scenarios: list[Scenario],
            mount: Path | None) -> Harness:  # fmt: skip
    """Try each of the scenarios, at n places of each kind, or at all for 0."""
    draw = random.Random(seed)
    harness = Harness(place, faults)
    for scenario in scenarios:
        trial, total = harness.trial(scenario)
        for number in sampled(draw, n, total):
            for code in (errno.ENOSPC, errno.EIO):
                harness.point(trial, number, code)
        for _ in range(n or 200):
            harness.limit(trial, int(2 ** draw.uniform(0, 16)))
        if mount:
            pages = 0
            while not harness.disk(trial, mount, pages) and (not n or pages < n):
                pages += 1
    return harness


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n", type=int, nargs="?", default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="the scenarios with this in their name")
    options = parser.parse_args()
    scenarios = [found for found in SCENARIOS if options.only in found.name]
    with tempfile.TemporaryDirectory() as name:
        mount = Path(name, "disk")
        is_mounted = mount_tmpfs(mount)
        if not is_mounted:
            print("no file system can be mounted here (try `unshare -rm`): that part is left out")
        try:
            with ready():
                harness = run_all(Path(name, "all").absolute(), Faults(), options.n, options.seed,
                                  scenarios, mount if is_mounted else None)  # fmt: skip
        finally:
            if is_mounted:
                subprocess.run(["umount", mount], check=True)
        outputs = [full_output(harness.before, line, size)
                   for line in READERS for size in (None, 0, 100)]  # fmt: skip
        harness.wrong += filter(None, outputs)
    for scenario, kind, code in sorted(harness.counts):
        print(f"{scenario}, {kind}: {harness.counts[scenario, kind, code]:,} ended with {code}")
    print("\n".join(harness.wrong[:40]))
    total = sum(harness.counts.values()) + len(outputs)
    print(f"{total:,} writes that failed or had little room, {len(harness.wrong)} wrong")
    sys.exit(bool(harness.wrong))


if __name__ == "__main__":
    main()
