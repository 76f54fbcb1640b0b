"""Run every command on every kind of terminal, and judge what is seen there.

    python tests/terminals.py 200       so many runs, or all of them; --seed S for another order

A terminal of 40 columns, one of 80, one without colours (`NO_COLOR`), a dumb one, none at all (a
pipe), and the locale C. Each command has to end with its exit code, without traceback, without
escape codes where there should be none, and in ASCII where there is nothing else. What is laid out,
which is tables and progress, is no wider than the terminal, and every number of it that a wide one
shows stands there whole. A message is one line however wide, since it is there to be pasted, and so
is data.
"""

import argparse
import fcntl
import os
import pty
import random
import re
import struct
import subprocess
import sys
import tempfile
import termios
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from random_run import save_random_run

from seq2seq_cli.cli.app import COMMANDS
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig

WIDE = 200
ESCAPE = re.compile(rb"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[()=>].?)")
COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
NUMBER = re.compile(r"\d[\d.,:%x-]*")
VOLATILE = re.compile(
    r"(?m)^.*(?:sequences/s|epoch|saved in|seconds|\d/s"
    r"|evaluating|writing|starting|compiling).*$"
)
"""Lines whose numbers differ from run to run, and those of progress."""


@dataclass(frozen=True)
class Terminal:
    """A kind of terminal: its width, or None where there is none, and its environment."""

    name: str
    columns: int | None
    environment: dict[str, str] = field(default_factory=dict)
    codes: str = "all"  # those that may be written: "all", "none", or "no colours"

    @property
    def is_ascii(self) -> bool:
        """Whether it can show nothing but ASCII."""
        return "LC_ALL" in self.environment


LOCALE_C = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
TERMINALS = (
    Terminal("40 columns", 40),
    Terminal("80 columns", 80),
    Terminal("NO_COLOR", 80, {"NO_COLOR": "1"}, "no colours"),
    Terminal("TERM=dumb", 80, {"TERM": "dumb"}, "none"),
    Terminal("no terminal", None, {}, "none"),
    Terminal("locale C", 80, LOCALE_C),
    Terminal("locale C, no terminal", None, LOCALE_C, "none"),
)

TRAIN = (
    "train --n-in 3 --n-out 2 --cardinality 9 --units 4 --n-samples 640 --force --run a "
    "--runs-dir trained"
)
LINES = {
    "generate": 0,
    "generate --output pairs.csv --force --n-samples 3000": 0,
    "generate --n-in 30 --cardinality 100000 --n-samples 3": 0,
    "train --units 0": 2,
    "train --data own.csv --n-in 7": 2,
    "tasks": 0,
    "runs": 0,
    "runs --json": 0,
    "inspect": 0,
    "inspect --run deep": 0,
    "evaluate --n-samples 50": 0,
    "evaluate --run deep --n-samples 50": 0,
    "evaluate --run deep --n-in 26-30 --n-samples 20 --examples 3": 0,
    "evaluate --n-samples 50 --min-accuracy 1": 7,
    "predict 1,2,3": 0,
    "predict --run deep --attention 1,2,3,4,5,6,7,8,1,2,3,4,5,6,7,8,1,2,3,4,5,6,7,8": 0,
    "predict --beam 3 --top 3 1,2,3": 0,
    "predict 1,2,x": 3,
    "plot loss": 0,
    "plot positions --n-samples 50": 0,
    "plot lengths --run deep --n-samples 50": 0,
    "plot confusions --n-samples 50": 0,
    "plot attention --run deep --n-samples 20": 0,
    "plot encoder-states --n-samples 50": 0,
    "plot attention": 2,
    "plot loss --output loss.svg --force": 0,
    "report --n-samples 20": 0,
    "runs --compare deep a-run-with-a-name-that-is-rather-long": 0,
    "encode 1,2,3": 0,
    "encode 1,2,3 --output states.npz --force": 0,
    "no-such-command": 2,
    "--help": 0,
    **{f"{command} --help": 0 for command in COMMANDS},
    TRAIN: 0,
    "train --data own.csv --units 4 --epochs 2 --force --run own --runs-dir trained": 0,
}
"""Command lines with their exit codes; the last two train."""

FREE = ("--json", "predict 1", "--top", "encode 1,2,3", "--help")
"""Command lines whose output is data, or has a width of its own."""


def make_folder(folder: Path) -> None:
    """Fill a folder with two runs, and pairs."""
    plain = TaskConfig(n_in=3, n_out=2, cardinality=9)
    varying = TaskConfig(n_in="1-24", name="reverse", n_out=24, cardinality=9)
    deep = ModelConfig(units=4, attention="dot", embedding=3, bidirectional=True, layers=2)
    save_random_run(folder / "runs", "deep", RunConfig(task=varying, model=deep))
    name = "a-run-with-a-name-that-is-rather-long"
    save_random_run(folder / "runs", name, RunConfig(task=plain, model=ModelConfig(units=4)))
    (folder / "runs" / "damaged").mkdir()
    (folder / "runs" / "damaged" / "run.json").write_text("{")
    pairs = (f"{a} {b},{b} {a}" for a in range(1, 9) for b in range(1, 9))
    (folder / "own.csv").write_text("\n".join(pairs))


def run_line(line: str, terminal: Terminal, folder: Path) -> tuple[int, bytes]:
    """Run a command on a terminal; return its exit code, and all that is written."""
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
    environment = {**kept, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"} | terminal.environment
    environment.pop("PYTHONIOENCODING", None)
    command = [sys.executable, "-m", "seq2seq_cli", *line.split()]
    if terminal.columns is None:
        done = subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, timeout=300,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, terminal.columns, 0, 0))
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        seen = bytearray()
        while True:
            try:
                part = os.read(ours, 2**16)
            except OSError:  # nobody has the other end any more
                break
            if not part:
                break
            seen += part
        os.close(ours)
        return process.wait(300), bytes(seen)


def is_message(line: str) -> bool:
    """Tell whether a line is a message, which is as wide as it is."""
    return " is damaged: " in line or line.startswith(
        ("s2s: ", "note: ", "epoch ", "saved in ", "wrote ", "the weights ", "encoded: ")
    )


def judge(line: str, terminal: Terminal, code: int, seen: bytes, wide: str | None) -> list[str]:
    """Return all that is wrong with a command's output; `wide` is that of a wide terminal."""
    wrong = []
    if code != LINES[line]:
        wrong.append(f"exit code {code}")
    if b"Traceback" in seen or b"Warning" in seen:
        wrong.append("a traceback, or a warning")
    if terminal.codes == "none" and b"\x1b" in seen:
        wrong.append(f"an escape code: {seen[seen.index(0x1B) :][:20]!r}")
    colours = {found.group() for found in COLOUR.finditer(seen)} - {b"\x1b[0m", b"\x1b[1m"}
    if terminal.codes == "no colours" and colours:
        wrong.append(f"colours: {sorted(colours)}")
    if terminal.is_ascii and not ESCAPE.sub(b"", seen).isascii():
        wrong.append("what is no ASCII")
    text = plain(seen)
    width = terminal.columns or 80
    if not any(part in line for part in FREE):
        for shown in re.split(r"[\r\n]+", text):
            if len(shown) > width and not is_message(shown):
                wrong.append(f"a line of {len(shown)} columns: {shown!r}")
                break
        if wide is not None:
            lost = numbers(wide) - numbers(text)
            if lost:
                wrong.append(f"numbers that a wide terminal shows: {sorted(lost.elements())[:5]}")
    return wrong


def plain(seen: bytes) -> str:
    """Return what is seen without escape codes; what a cleared progress line held is left out."""
    return ESCAPE.sub(b"", seen).decode("utf-8", errors="replace").replace("\r\n", "\n")


def numbers(text: str) -> Counter[str]:
    """Return the numbers in what is shown, but for those that differ from run to run."""
    lines = [part.split("\r")[-1] for part in text.split("\n")]
    return Counter(NUMBER.findall(VOLATILE.sub("", "\n".join(lines))))


def run(
    n: int, seed: int, folder: Path, lines: tuple[str, ...] = tuple(LINES)
) -> tuple[int, list[str]]:
    """Try n of all commands on all terminals; return how many it were, and all that is wrong."""
    make_folder(folder)
    every = [(line, terminal) for line in lines for terminal in TERMINALS]
    random.Random(seed).shuffle(every)
    wrong, wide = [], dict[str, str]()
    for line, terminal in every[:n]:
        if line not in wide:
            wide[line] = plain(run_line(line, Terminal("wide", WIDE), folder)[1])
        code, seen = run_line(line, terminal, folder)
        problems = judge(line, terminal, code, seen, wide[line])
        if problems:
            wrong.append(f"{line}, on {terminal.name}: {'; '.join(problems)}")
    return min(n, len(every)), wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n", type=int, nargs="?", default=10**6)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        n, wrong = run(options.n, options.seed, Path(folder))
    print("\n".join(wrong[:60]))
    print(f"{n:,} runs of {len(LINES)} commands on {len(TERMINALS)} terminals, {len(wrong)} wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
