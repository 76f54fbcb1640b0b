"""Give s2s thousands of command lines, with files and standard input, and judge what it does.

    python tests/random_inputs.py 10000 [--seed 0]

Each is run by the command line's code in this process, in a folder where all of them find the same
files. It has to end with a documented exit code, without traceback and warning, with one printable
line for each thing that is wrong, and to leave all files as they were except the one that it was
asked to write. A training runs as far as its plan: the script ends it where TensorFlow would be
imported, or a sweep's workers started. It also ends what is valid and takes longer than seconds.
"""

import hashlib
import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness import finish, parse, work_folder
from input_grammar import Case, draw_case
from random_run import save_random_run

from seq2seq_cli.cli import process
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.sweep import executors

MEMORY = 4 * 10**9
"""Bytes of address space that the process may add to what it has at the beginning."""

SECONDS = 3.0
"""Of processor time, after which the script ends a command."""

CODES = (0, 2, 3, 4, 5, 6, 7)
LONGEST_LINE = 1100

CUSTOM_TASK = """
import numpy as np
def double(sources): return np.concatenate([sources, sources], axis=1)
def wrong(sources): return sources * 1000
"""


class Ended(BaseException):
    """The script ended a training after its plan, or what takes too long."""


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit code, "traceback" or why it has none, and standard error."""

    code: int | str
    stderr: str


def make_folder(folder: Path) -> list[str]:
    """Fill a folder with what all cases find there; return the names of its runs."""
    plain = RunConfig(task=TaskConfig(n_in=3, n_out=2, cardinality=9), model=ModelConfig(units=4))
    varying = RunConfig(
        task=TaskConfig(n_in="1-4", name="reverse", n_out=4, cardinality=9),
        model=ModelConfig(units=4, attention="dot", embedding=3, bidirectional=True, layers=2),
    )
    configs = {"plain": plain, "varying": varying, "stopped": plain}
    for name, config in configs.items():
        save_random_run(folder / "runs", name, config)
    (folder / "runs" / "stopped" / "run.json").unlink()
    (folder / "folder").mkdir()
    for suffix in (".csv", ".npz", ".toml", ".jsonl"):
        (folder / f"folder{suffix}").mkdir()
        (folder / f"loop{suffix}").symlink_to(f"loop{suffix}")
        (folder / f"zero{suffix}").symlink_to("/dev/zero")
        (folder / f"empty{suffix}").touch()
    (folder / "custom.py").write_text(CUSTOM_TASK)
    (folder / "broken.py").write_text("def f(:")
    return list(configs)


def contents(folder: Path) -> dict[Path, object]:
    """Return the hash of every file below a folder, and where the links lead."""
    entries: dict[Path, object] = {}
    for path in folder.rglob("*"):
        if path.is_symlink():
            entries[path] = path.readlink()
        elif path.is_file():
            entries[path] = hashlib.sha256(path.read_bytes()).digest()
        else:
            entries[path] = "folder"
    return {path: entry for path, entry in entries.items() if "__pycache__" not in path.parts}


@contextmanager
def _captured(case: Case) -> Iterator[io.BytesIO]:
    """Run the block with a case's arguments and standard input; yield standard error."""
    kept = sys.argv, sys.stdin, sys.stdout, sys.stderr
    stderr = io.BytesIO()
    streams = [io.TextIOWrapper(file, "utf-8") for file in (io.BytesIO(case.stdin), io.BytesIO())]
    streams.append(io.TextIOWrapper(stderr, "utf-8"))
    sys.argv, (sys.stdin, sys.stdout, sys.stderr) = ["s2s", *case.arguments], streams
    try:
        yield stderr
    finally:
        for stream in streams:
            with suppress(Exception):
                stream.flush()
            stream.detach()
        sys.argv, sys.stdin, sys.stdout, sys.stderr = kept


def run_case(case: Case) -> Outcome:
    with _captured(case) as stderr, warnings.catch_warnings():
        warnings.simplefilter("always")
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            message, code = process.run_command()
            process.tell(message, code)
        except SystemExit as error:
            code = error.code
        except Ended as error:
            code = str(error)
        except BaseException:
            code = "traceback"
            sys.stderr.write(traceback.format_exc())
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    return Outcome(code, stderr.getvalue().decode(errors="replace"))


def judge(case: Case, outcome: Outcome, before: dict[Path, object], folder: Path) -> list[str]:
    """Return all that is wrong with what a command has done."""
    wrong = []
    has_code = isinstance(outcome.code, int)
    if outcome.code == "traceback" or (has_code and outcome.code not in CODES):
        wrong.append(f"ended with {outcome.code}")
    lines = outcome.stderr.split("\n")
    if lines.pop():
        wrong.append("standard error does not end with a line")
    if "Warning" in outcome.stderr:
        wrong.append("a warning")
    errors = [line for line in lines if line.startswith("s2s: ")]
    for line in lines:
        if "--json" in case.arguments and line.startswith('{"error": '):
            errors += [f"s2s: {text}" for text in json.loads(line)["error"].split("\n")]
    if bool(errors) != (has_code and outcome.code != 0):
        wrong.append(f"exit code {outcome.code} with {len(errors)} lines of errors")
    wrong += [f"a line that is not printable: {line!r}" for line in lines if not line.isprintable()]
    has_newline = any("\n" in word for word in case.arguments)  # then a message has short lines
    for line in errors:
        is_empty = len(line) < len("s2s: 12345678") and not has_newline
        if len(line) > LONGEST_LINE or is_empty:
            wrong.append(f"a line of {len(line):,} characters")
    after = contents(folder)
    words = [word.removeprefix("--output=") for word in case.arguments]
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) == after.get(path):
            continue
        if outcome.code == "planned" and path not in before and after[path] == "folder":
            continue  # the folder of runs, which holds a run's lock
        may_write = str(path.relative_to(folder)) in words
        may_write &= path not in before or "--force" in case.arguments
        if not may_write or outcome.code != 0:
            wrong.append(f"{path.relative_to(folder)} was changed")
    return wrong


@contextmanager
def _limited() -> Iterator[None]:
    """Limit the memory, and end trainings after their plan and what takes too long."""

    def planned(*arguments: object) -> None:
        raise Ended("planned")

    def late(number: int, frame: object) -> None:
        raise Ended("late")

    starts = [(process, "import_module"), (executors, "local_workers"), (executors, "dask_workers")]
    kept = [getattr(module, name) for module, name in starts]
    for module, name in starts:
        setattr(module, name, planned)
    handler = signal.signal(signal.SIGPROF, late)
    broken_pipe = signal.getsignal(signal.SIGPIPE)
    limits, folder = resource.getrlimit(resource.RLIMIT_AS), Path.cwd()
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        os.chdir(folder)
        for (module, name), function in zip(starts, kept, strict=True):
            setattr(module, name, function)
        signal.signal(signal.SIGPROF, handler)
        signal.signal(signal.SIGPIPE, broken_pipe)


def run(n: int, seed: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Try n cases; return how often each ending occurred, and what is wrong, with its case."""
    counts, wrong = Counter[str](), []
    names = make_folder(folder)
    always = contents(folder)
    with _limited():
        os.chdir(folder)
        for number in range(n):
            case = draw_case(random.Random(f"{seed} {number}"), names)
            for name, content in case.files.items():
                (folder / name).write_bytes(content)
            outcome = run_case(case)
            problems = judge(case, outcome, always | contents_of(case, folder), folder)
            counts[str(outcome.code)] += 1
            if problems:
                line = [word if len(word) < 100 else f"{word[:100]}..." for word in case.arguments]
                shown = outcome.stderr[-400:]
                wrong.append(f"case {number}, {line}: {'; '.join(problems)}\n{shown}")
            for path in sorted(contents(folder).keys() - always.keys(), reverse=True):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    return counts, wrong


def contents_of(case: Case, folder: Path) -> dict[Path, object]:
    return {folder / name: hashlib.sha256(data).digest() for name, data in case.files.items()}


def main() -> None:
    args = parse(__doc__, 1000)
    with work_folder() as top:
        folder = top / "cases"  # apart from the compiled programs
        folder.mkdir()
        counts, wrong = run(args.n, args.seed, folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    endings = ", ".join(f"{n:,} {ending}" for ending, n in sorted(counts.items()))
    finish(f"{args.n:,} command lines ({endings}) in {peak / 1e6:,.0f} MB", wrong)


if __name__ == "__main__":
    main()
