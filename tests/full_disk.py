"""Let a disk be full at every write in turn, and see that nothing is lost and one line says so.

    python tests/full_disk.py [N] [--seed 0] [--only "train --force"]

Commands that write run on copies of a folder with a complete run, a stopped training and files.
N times each (0: at every write, and for 200 sizes), one of these goes wrong:

- the k-th file that is opened to be written, folder that is created, flush or rename fails, with
  ENOSPC then and ever after, or once with EIO;
- no file may become larger than a number of bytes (RLIMIT_FSIZE): the system cuts writes off.

The command has to end with exit code 6 and one line with the file's name and the reason. The runs
and files of before, or the new ones, have to be whole. The same command once more, or a resumed
training, has to end with the same bits as if nothing had failed, and to leave no temporary file.
"""

import errno
import io
import os
import random
import re
import resource
import shutil
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import share_programs
from harness import finish, parse, work_folder
from tiny import stop_after, tiny_config

from seq2seq_cli.cli.process import run_command
from seq2seq_cli.errors import Interrupted, S2sError
from seq2seq_cli.inference.loading import load_run
from seq2seq_cli.prediction import predict
from seq2seq_cli.runs.checkpoint import has_checkpoint, is_stopped, load_checkpoint
from seq2seq_cli.runs.folder import settle
from seq2seq_cli.runs.listing import open_run
from seq2seq_cli.runs.manifest import MANIFEST, RECORDED

TASK = "--n-in 4 --n-out 2 --cardinality 13"
SETTINGS = {"n_samples": 320, "epochs": 1, "seed": 0, "validate_every": 160}
TRAIN = f"train {TASK} --units 8 --n-samples 320 --batch-size 16 -q"
TRAIN += " --set training.validate_every=160 --run"
SOURCES = [[1, 2, 3, 4], [9, 8, 7, 6]]
OLD = b"the file of before"
REASON = re.compile("No space left|File too large|Input/output error|bytes free")


class Scenario(NamedTuple):
    """A command that writes, the runs or the file that it writes, and what resumes it."""

    line: str
    runs: tuple[str, ...] = ()
    resume: str = ""
    file: str = ""


SEEDS = ("several-seed-0", "several-seed-1")
SCENARIOS = {
    "train": Scenario(f"{TRAIN} new", ("new",), "train --run new --resume -q"),
    "train --force": Scenario(
        f"{TRAIN} done --force --seed 9", ("done",), "train --run done --resume -q"
    ),
    "train --resume": Scenario(
        "train --resume --run stopped -q", ("stopped",), "train --resume --run stopped -q"
    ),
    "train further": Scenario(
        "train --resume --run done --epochs 2 -q", ("done",),
        "train --resume --run done --epochs 2 -q",
    ),
    "train --seeds": Scenario(
        f"{TRAIN} several --seeds 2", SEEDS, "train --seeds 2 --run several --resume -q"
    ),
    **{
        f"generate {name}": Scenario(
            f"generate {TASK} --n-samples 500 -q --output {name} --force", file=name
        )
        for name in ("old.jsonl", "old.csv", "old.npz", "new.csv")
    },
    "encode": Scenario(
        "encode --input sources.txt --run done --output states.npz --force -q", file="states.npz"
    ),
}  # fmt: skip


class Faults:
    """Lets the k-th write in a folder fail. Python reports each before it happens."""

    def __init__(self) -> None:
        self.folder = ""
        self.seen = self.fails_at = 0
        self.code = errno.ENOSPC
        sys.addaudithook(self._hear)
        fsync = os.fsync

        def counted(file: Any) -> None:
            if self.folder:
                number = file if isinstance(file, int) else file.fileno()
                self._count(str(Path(f"/proc/self/fd/{number}").readlink()))
            fsync(file)

        os.fsync = counted

    @contextmanager
    def at(self, number: int = 0, code: int = errno.ENOSPC) -> Iterator[None]:
        """Let a write below this folder fail while the block runs; 0 only counts them."""
        self.seen, self.fails_at, self.code = 0, number, code
        self.folder = str(Path.cwd())
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
        if os.path.abspath(path).startswith(self.folder):  # noqa: PTH100
            self.seen += 1
            is_after = self.code == errno.ENOSPC and self.seen > self.fails_at
            if self.fails_at and (self.seen == self.fails_at or is_after):
                raise OSError(self.code, os.strerror(self.code), path)


def run_line(line: str) -> tuple[int, list[str]]:
    """Run a command in this process; return its exit code and the lines on standard error."""
    shown = io.StringIO()
    before, sys.argv = sys.argv, ["s2s", *line.split()]
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
def limited(size: int) -> Iterator[None]:
    """Let no file become larger than `size` bytes while the block runs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    keeps_none, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # it would be cut off, too
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        sys.dont_write_bytecode = keeps_none
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def answer(name: str) -> object:
    """Return what a complete run predicts; None if there is none."""
    settle(Path("runs", name))
    if not Path("runs", name, MANIFEST).exists():
        return None
    run = open_run(Path("runs"), name)
    for file in RECORDED:
        run.read(file)
    return predict(load_run(name, "runs"), SOURCES)


def bits(name: str) -> tuple[object, object]:
    """Return the state of a training's newest checkpoint, and what its run predicts."""
    if not has_checkpoint(Path("runs", name)):
        return None, None
    checkpoint, notes = load_checkpoint(Path("runs", name))
    assert not notes, notes
    groups = (*checkpoint.state[:3], checkpoint.best_weights)
    arrays = [array.tobytes() for group in groups for array in group]
    return (arrays, checkpoint.state.steps_done), answer(name)


def content(file: str) -> object:
    """Return a file's content, without the times in an archive; None if there is no file."""
    path = Path(file)
    if file.endswith(".npz") and path.read_bytes() != OLD:
        with np.load(file) as arrays:
            return {name: arrays[name].tobytes() for name in arrays}
    return path.read_bytes() if path.exists() else None


def state_of(scenario: Scenario) -> dict[str, Any]:
    """Return what is in this folder of all that a command writes."""
    if scenario.file:
        return {scenario.file: content(scenario.file)}
    return {name: bits(name) for name in scenario.runs}


def judge(
    scenario: Scenario, code: int, lines: list[str], before: dict[str, Any], after: dict[str, Any]
) -> str:
    """Return what is wrong after a command; `after` is the folder if nothing fails."""
    text = " | ".join(lines)
    names_file = (scenario.file or "runs") in text
    if code not in (0, 6) or (code == 0 and lines):
        return f"exit code {code}: {text}"
    if code == 6 and not (len(lines) == 1 and REASON.search(text) and names_file):
        return f"not one line with file and reason: {text}"
    again = scenario.line
    if scenario.file and state_of(scenario) != (before if code else after):
        return "another content"
    for name in scenario.runs:
        found, run = answer(name), Path("runs", name)
        if is_stopped(run) or (len(scenario.runs) > 1 and has_checkpoint(run)):
            again = scenario.resume
        elif found is not None and found == after[name][1]:
            again = "tasks"  # nothing is left to be done
        if found not in (before[name][1], after[name][1]):
            return f"{name} is lost, or predicts something else"
    if code:
        code, lines = run_line(again)
        if code:
            return f"{again}: {code} {lines}"
    if state_of(scenario) != after:
        return f"other bits after {again}"
    left = [str(path) for path in Path().rglob("*") if ".s2s-" in path.name or path.name == ".lock"]
    return f"left {left}" if left else ""


class Harness:
    """Runs the commands on copies of a folder."""

    def __init__(self, top: Path, faults: Faults) -> None:
        self.top, self.faults = top, faults
        self.counts: Counter[tuple[str, int]] = Counter()
        self.wrong: list[str] = []
        self._before = top / "before"
        self._before.mkdir(parents=True)
        from seq2seq_cli.training.events import Validated
        from seq2seq_cli.training.session import train

        with chdir(self._before):
            train(tiny_config(**SETTINGS), "runs", "done")
            with suppress(Interrupted):
                train(tiny_config(**SETTINGS), "runs", "stopped", progress=stop_after(1, Validated))
            assert has_checkpoint(Path("runs", "stopped"))
            for file in ("old.jsonl", "old.csv", "old.npz", "states.npz"):
                Path(file).write_bytes(OLD)
            Path("sources.txt").write_text("1 2 3 4\n" * 3000)

    def whole(self, name: str) -> tuple[dict[str, Any], int]:
        """Run a command without a fault; return its result and the number of its writes."""
        with self._copy(), self.faults.at():
            code, lines = run_line(SCENARIOS[name].line)
            assert code == 0, (name, lines)
            n_writes, self.faults.folder = self.faults.seen, ""
            return state_of(SCENARIOS[name]), n_writes

    def fail_at(self, name: str, after: dict[str, Any], number: int, code: int) -> None:
        """Let the write of this number fail."""
        how = f"{errno.errorcode[code]} at write {number}"
        self._try(name, after, how, lambda: self.faults.at(number, code))

    def limit(self, name: str, after: dict[str, Any], size: int) -> None:
        """Let no file become larger than this."""
        self._try(name, after, f"{size} bytes per file", lambda: limited(size))

    def _try(self, name: str, after: dict[str, Any], how: str, fault: Callable[[], Any]) -> None:
        scenario = SCENARIOS[name]
        with self._copy():
            before = state_of(scenario)
            with fault():
                code, lines = run_line(scenario.line)
            try:
                problem = judge(scenario, code, lines, before, after)
            except (S2sError, AssertionError) as error:
                problem = f"damaged: {error}"
        self.counts[name, code] += 1
        if problem:
            self.wrong.append(f"{name}, {how}: {problem}")

    @contextmanager
    def _copy(self) -> Iterator[None]:
        folder = self.top / "copy"
        shutil.copytree(self._before, folder)
        try:
            with chdir(folder):
                yield
        finally:
            shutil.rmtree(folder)


@contextmanager
def programs_shared() -> Iterator[None]:
    """Compile each program once in this process, and write none, while the block runs."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("S2S_CACHE_DIR", "")
        share_programs(patched)
        yield


def main() -> None:
    args = parse(__doc__, 3, only="")
    draw = random.Random(args.seed)
    with work_folder() as top, programs_shared():
        harness = Harness(top, Faults())
        for name in SCENARIOS:
            if args.only not in name:
                continue
            after, n_writes = harness.whole(name)
            numbers = range(1, n_writes + 1)
            for number in draw.sample(numbers, min(args.n or n_writes, n_writes)):
                for code in (errno.ENOSPC, errno.EIO):
                    harness.fail_at(name, after, number, code)
            for _ in range(args.n or 200):
                harness.limit(name, after, int(2 ** draw.uniform(0, 16)))
    for (name, code), count in sorted(harness.counts.items()):
        print(f"{name}: {count:,} ended with {code}")
    finish(f"{harness.counts.total():,} writes that failed", harness.wrong)


if __name__ == "__main__":
    main()
