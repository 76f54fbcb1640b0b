"""Give s2s thousands of command lines, with files and standard input, and judge what it does.

    python tests/random_inputs.py 10000        so many; --seed S for others

Each is run in this process, by the command line's own code, with captured streams in a folder of
its own; one in a hundred again as a real process, which has to end and to say the same. A training
that has nothing wrong with it is run as far as its plan: where TensorFlow would be imported, or a
sweep's workers started, it is ended by the harness. So is what is valid and has no end, or takes
longer than some seconds.

Each has to end with a documented exit code, without traceback and warning, with one printable line
of an error for each thing that is wrong, and to leave all files as they were but for the one that
it was asked to write; the process's memory is limited.
"""

import argparse
import hashlib
import io
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from input_grammar import Case, draw_case
from random_run import save_random_run

from seq2seq_cli.cli import process
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.sweep import executors

MEMORY = 4 * 10**9
"""Bytes of address space that the process may have beside what it has when it begins."""

PEAK = 1.5 * 10**9
"""Bytes of it that are ever in use at once."""

SECONDS = 3.0
"""Of processor time after which a command that goes on is ended by the harness."""

REAL_SHARE = 0.01
CODES = (0, 2, 3, 4, 5, 6, 7)
LONGEST_LINE = 1100

OWN_TASK = """
import numpy as np
def double(sources): return np.concatenate([sources, sources], axis=1)
def wrong(sources): return sources * 1000
"""


class Ended(BaseException):
    """The harness ended what would go on: a training with its plan, or what takes too long."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its code, or why there is none, and what it wrote."""

    code: int | str
    stdout: bytes
    stderr: bytes


class Endless(io.RawIOBase):
    """What is read from it never ends."""

    def __init__(self, content: bytes) -> None:
        self._content, self._place = content, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._place == len(self._content):
            self._place = 0
        part = self._content[self._place : self._place + len(buffer)]
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)


def make_folder(folder: Path) -> list[str]:
    """Fill a folder with what all cases find there; return the names of its runs."""
    varying = TaskConfig(n_in="1-4", name="reverse", n_out=4, cardinality=9)
    plain = TaskConfig(n_in=3, n_out=2, cardinality=9)
    attention = ModelConfig(units=4, attention="dot", embedding=3, bidirectional=True, layers=2)
    save_random_run(folder / "runs", "plain", RunConfig(task=plain, model=ModelConfig(units=4)))
    save_random_run(folder / "runs", "varying", RunConfig(task=varying, model=attention))
    stopped = save_random_run(
        folder / "runs", "stopped", RunConfig(task=plain, model=ModelConfig(units=4))
    )
    (stopped / "run.json").unlink()
    (folder / "folder").mkdir()
    for suffix in (".csv", ".npz", ".toml", ".jsonl"):
        (folder / f"folder{suffix}").mkdir()
        (folder / f"loop{suffix}").symlink_to(f"loop{suffix}")
        (folder / f"zero{suffix}").symlink_to("/dev/zero")
        (folder / f"null{suffix}").symlink_to("/dev/null")
        (folder / f"empty{suffix}").touch()
    (folder / "own.py").write_text(OWN_TASK)
    (folder / "broken.py").write_text("def f(:")
    return ["plain", "varying", "stopped"]


def contents(folder: Path) -> dict[str, object]:
    """Return the hash of every file in a folder and its folders, and where the links lead."""
    found: dict[str, object] = {}
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            place = os.path.join(path, name)  # noqa: PTH118
            if os.path.islink(place):  # noqa: PTH114
                found[place] = os.readlink(place)  # noqa: PTH115
            elif name in files:
                found[place] = hashlib.sha256(Path(place).read_bytes()).digest()
            elif name != "__pycache__":
                found[place] = "folder"
    return {place: what for place, what in found.items() if "__pycache__" not in place}


@contextmanager
def _captured(case: Case) -> Iterator[tuple[io.BytesIO, io.BytesIO]]:
    """Put files in memory in the place of the standard streams, and the case's arguments in sys."""
    kept = sys.argv, sys.stdin, sys.stdout, sys.stderr
    stdout, stderr = io.BytesIO(), io.BytesIO()
    given: io.BufferedIOBase = io.BytesIO(case.stdin)
    if case.endless:
        given = io.BufferedReader(Endless(case.stdin or b"1 "))
    sys.argv = ["s2s", *case.arguments]
    sys.stdin = io.TextIOWrapper(given, encoding="utf-8")
    sys.stdout = io.TextIOWrapper(stdout, encoding="utf-8")
    sys.stderr = io.TextIOWrapper(stderr, encoding="utf-8")
    try:
        yield stdout, stderr
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            stream.detach()
        sys.argv, sys.stdin, sys.stdout, sys.stderr = kept


def run_here(case: Case) -> Outcome:
    """Run a command in this process, and in the folder that it is in."""
    with _captured(case) as (stdout, stderr), warnings.catch_warnings():
        warnings.simplefilter("always")
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            message, code = process.run_command()
            process.tell(message)
        except SystemExit as error:
            code = error.code
        except Ended as error:
            code = str(error)
        except BaseException:
            code = "traceback"
            sys.stderr.write(traceback.format_exc())
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    return Outcome(code, stdout.getvalue(), stderr.getvalue())


def run_apart(case: Case, folder: Path) -> Outcome:
    """Run a command as a process of its own."""
    command = [sys.executable, "-m", "seq2seq_cli", *case.arguments]
    result = subprocess.run(
        command, cwd=folder, input=case.stdin, capture_output=True, timeout=120, check=False
    )
    return Outcome(result.returncode, result.stdout, result.stderr)


def judge(case: Case, outcome: Outcome, before: dict[str, object], folder: Path) -> list[str]:
    """Return all that is wrong with what a command has done."""
    wrong = []
    if isinstance(outcome.code, int) and outcome.code not in CODES:
        wrong.append(f"exit code {outcome.code}")
    if outcome.code == "traceback":
        wrong.append("a traceback")
    text = outcome.stderr.decode(errors="replace")
    lines = text.split("\n")
    if lines.pop():
        wrong.append("standard error does not end with a line")
    if "Warning" in text:
        wrong.append("a warning")
    errors = [line for line in lines if line.startswith("s2s: ")]
    is_failure = isinstance(outcome.code, int) and outcome.code != 0
    if is_failure and not errors:
        wrong.append("no line says what is wrong")
    if not is_failure and errors:
        wrong.append("an error without its exit code")
    wrong += [f"a line that is not printable: {line!r}" for line in lines if not line.isprintable()]
    in_lines = any("\n" in word for word in case.arguments)  # a name may stand on several
    for line in errors:
        if len(line) > LONGEST_LINE:
            wrong.append(f"a line of {len(line):,} characters")
        if len(line) < len("s2s: 12345678") and not in_lines:
            wrong.append(f"a line that says nothing: {line!r}")
    after = contents(folder)
    written = {
        str(folder / word)
        for option, word in zip(case.arguments, case.arguments[1:], strict=False)
        if option == "--output"
    } | {
        str(folder / word.removeprefix("--output="))
        for word in case.arguments
        if word.startswith("--output=")
    }
    for place in sorted(before.keys() | after.keys()):
        if before.get(place) == after.get(place):
            continue
        if outcome.code == "planned" and place not in before and after[place] == "folder":
            continue  # that of the runs, which is there from when a run's lock is held
        may_write = place in written and (place not in before or "--force" in case.arguments)
        if not may_write or outcome.code != 0:
            wrong.append(f"{Path(place).relative_to(folder)} was changed")
    return wrong


@contextmanager
def _prepared(limit: int) -> Iterator[None]:
    """Limit the memory, end trainings with their plan, and what goes on with the time."""

    def planned(*arguments: object) -> None:
        raise Ended("planned")

    def late(number: int, frame: object) -> None:
        raise Ended("goes on")

    begins = [(process, "import_module"), (executors, "local_workers"), (executors, "dask_workers")]
    kept = [getattr(module, name) for module, name in begins]
    for module, name in begins:
        setattr(module, name, planned)
    handler = signal.signal(signal.SIGPROF, late)
    broken_pipe = signal.getsignal(signal.SIGPIPE)
    limits, place = resource.getrlimit(resource.RLIMIT_AS), Path.cwd()
    pages = Path("/proc/self/statm").read_text().split()[0]
    taken = int(pages) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + limit, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        os.chdir(place)
        for (module, name), function in zip(begins, kept, strict=True):
            setattr(module, name, function)
        signal.signal(signal.SIGPROF, handler)
        signal.signal(signal.SIGPIPE, broken_pipe)


def run(
    n: int,
    seed: int,
    folder: Path,
    limit: int = MEMORY,
    real_share: float = REAL_SHARE,
    on_wrong: Callable[[str], None] = lambda line: None,
) -> tuple[Counter[str], list[str]]:
    """Try n cases; return how often they came to what, and all that is wrong, with its case."""
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    names = make_folder(folder)
    always = contents(folder)
    with _prepared(limit):
        os.chdir(folder)
        for number in range(n):
            draw = random.Random(f"{seed} {number}")
            case = draw_case(draw, names)
            for name, content in case.files.items():
                (folder / name).write_bytes(content)
            before = contents(folder)
            outcome = run_here(case)
            problems = judge(case, outcome, before, folder)
            counts[str(outcome.code)] += 1
            ends = isinstance(outcome.code, int) and not case.endless
            if ends and draw.random() < real_share:
                counts["real processes"] += 1
                _restore(folder, always, case)
                real = run_apart(case, folder)
                problems += [f"as a process: {what}" for what in judge(case, real, before, folder)]
                if (real.code, real.stderr) != (outcome.code, outcome.stderr):
                    problems.append(
                        f"as a process it ends with {real.code}: {real.stderr[-300:]!r}"
                    )
            if problems:
                shown = outcome.stderr[-400:].decode(errors="replace")
                line = [word if len(word) < 100 else f"{word[:100]}..." for word in case.arguments]
                wrong.append(f"case {number}, {line}: {'; '.join(problems)}\n{shown}")
                on_wrong(wrong[-1])
            _restore(folder, always)
    return counts, wrong


def _restore(folder: Path, always: dict[str, object], case: Case | None = None) -> None:
    """Remove what is not always there, or have the case's files as they were."""
    for place in sorted(contents(folder).keys() - always.keys(), reverse=True):
        path = Path(place)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, content in (case.files if case else {}).items():
        (folder / name).write_bytes(content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n", type=int, nargs="?", default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve()
        counts, wrong = run(options.n, options.seed, place, on_wrong=partial(print, flush=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if peak > PEAK:
        wrong.append(f"{peak / 1e6:,.0f} MB of memory were in use")
    print(", ".join(f"{n:,} {what}" for what, n in sorted(counts.items())))
    real = counts["real processes"]
    print(
        f"{options.n:,} command lines with files and streams, {real:,} of them as processes too: "
        f"{len(wrong)} wrong; {peak / 1e6:,.0f} MB of memory at the most"
    )
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
