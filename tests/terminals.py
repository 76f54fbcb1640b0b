"""Run every command on every kind of terminal, and judge what is shown there.

    python tests/terminals.py 200 [--seed 0]        0: all of them

A terminal of 40 columns, one of 80, one without colours (`NO_COLOR`), a dumb one, none at all (a
pipe), and the locale C. Each command has to end with its exit code, without traceback, without
escape codes where there should be none, and in ASCII where there is nothing else. Tables and
progress are no wider than the terminal, and show each number that a wide terminal shows. A message
is one line however wide, since it is there to be pasted, and so is data.
"""

import fcntl
import os
import pty
import random
import re
import struct
import subprocess
import sys
import termios
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from harness import finish, parse, work_folder
from random_run import save_random_run

from seq2seq_cli.cli.app import COMMANDS
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig

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
    """A kind of terminal: its width, None for a pipe, and its environment."""

    name: str
    columns: int | None
    environment: dict[str, str] = field(default_factory=dict)
    codes: str = "all"  # the escape codes that may be written: "all", "none", or "no colours"


LOCALE_C = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
TERMINALS = (
    Terminal("40 columns", 40),
    Terminal("80 columns", 80),
    Terminal("NO_COLOR", 80, {"NO_COLOR": "1"}, "no colours"),
    Terminal("TERM=dumb", 80, {"TERM": "dumb"}, "none"),
    Terminal("a pipe", None, {}, "none"),
    Terminal("locale C", 80, LOCALE_C),
    Terminal("locale C, a pipe", None, LOCALE_C, "none"),
)

TRAIN = (
    "train --n-in 3 --n-out 2 --cardinality 9 --units 4 --n-samples 640 --force --run a "
    "--runs-dir trained"
)
LONG = "a-run-with-a-name-that-is-rather-long"
LINES = [
    "generate",
    "generate --output pairs.csv --force --n-samples 3000",
    "generate --n-in 30 --cardinality 100000 --n-samples 3",
    "tasks",
    "runs",
    "runs --json",
    "inspect",
    "inspect --run deep",
    "evaluate --n-samples 50",
    "evaluate --run deep --n-samples 50",
    "evaluate --run deep --n-in 26-30 --n-samples 20 --examples 3",
    "predict 1,2,3",
    "predict --run deep --attention 1,2,3,4,5,6,7,8,1,2,3,4,5,6,7,8,1,2,3,4,5,6,7,8",
    "predict --beam 3 --top 3 1,2,3",
    "plot loss",
    "plot positions --n-samples 50",
    "plot lengths --run deep --n-samples 50",
    "plot confusions --n-samples 50",
    "plot attention --run deep --n-samples 20",
    "plot encoder-states --n-samples 50",
    "plot loss --output loss.svg --force",
    "report --n-samples 20",
    f"runs --compare deep {LONG}",
    "encode 1,2,3",
    "encode 1,2,3 --output states.npz --force",
    "--help",
    *(f"{command} --help" for command in COMMANDS),
    TRAIN,
    "train --data own.csv --units 4 --epochs 2 --force --run own --runs-dir trained",
]
EXIT_CODES = {
    "train --units 0": 2,
    "train --data own.csv --n-in 7": 2,
    "evaluate --n-samples 50 --min-accuracy 1": 7,
    "predict 1,2,x": 3,
    "plot attention": 2,
    "no-such-command": 2,
    **dict.fromkeys(LINES, 0),
}
"""The command lines with their exit codes."""

FREE = ("--json", "predict 1", "--top", "encode 1,2,3", "--help")
"""Parts of command lines whose output is data, or has its own width."""

MESSAGES = (
    "s2s: ", "note: ", "epoch ", "exact match ", "training loss ", "saved in ", "wrote ",
    "the weights ", "encoded: ",
)  # fmt: skip


def make_folder(folder: Path) -> None:
    """Fill a folder with two runs, a damaged one, and pairs."""
    plain = TaskConfig(n_in=3, n_out=2, cardinality=9)
    varying = TaskConfig(n_in="1-24", name="reverse", n_out=24, cardinality=9)
    deep = ModelConfig(units=4, attention="dot", embedding=3, bidirectional=True, layers=2)
    save_random_run(folder / "runs", "deep", RunConfig(task=varying, model=deep))
    save_random_run(folder / "runs", LONG, RunConfig(task=plain, model=ModelConfig(units=4)))
    (folder / "runs" / "damaged").mkdir()
    (folder / "runs" / "damaged" / "run.json").write_text("{")
    pairs = (f"{a} {b},{b} {a}" for a in range(1, 9) for b in range(1, 9))
    (folder / "own.csv").write_text("\n".join(pairs))


def run_line(line: str, terminal: Terminal, folder: Path) -> tuple[int, bytes]:
    """Run a command on a terminal; return its exit code and all that it shows."""
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
    environment = {**kept, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"} | terminal.environment
    environment.pop("PYTHONIOENCODING", None)
    ours, theirs = os.pipe() if terminal.columns is None else pty.openpty()
    if terminal.columns:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, terminal.columns, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-m", "seq2seq_cli", *line.split()], cwd=folder, env=environment,
        stdin=theirs if terminal.columns else subprocess.DEVNULL, stdout=theirs, stderr=theirs,
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = bytearray()
        try:
            while part := os.read(ours, 2**16):
                shown += part
        except OSError:  # the terminal's other end is closed
            pass
        os.close(ours)
        return process.wait(300), bytes(shown)


def judge(line: str, terminal: Terminal, code: int, shown: bytes, wide: str | None) -> list[str]:
    """Return all that is wrong with what a command shows; `wide` is that of a wide terminal."""
    wrong = []
    if code != EXIT_CODES[line]:
        wrong.append(f"exit code {code}")
    if b"Traceback" in shown or b"Warning" in shown:
        wrong.append("a traceback, or a warning")
    if terminal.codes == "none" and b"\x1b" in shown:
        wrong.append(f"an escape code: {shown[shown.index(0x1B) :][:20]!r}")
    colours = set(COLOUR.findall(shown)) - {b"\x1b[0m", b"\x1b[1m"}
    if terminal.codes == "no colours" and colours:
        wrong.append(f"colours: {sorted(colours)}")
    if "LC_ALL" in terminal.environment and not ESCAPE.sub(b"", shown).isascii():
        wrong.append("not only ASCII")
    if any(part in line for part in FREE):
        return wrong
    text = plain(shown)
    for row in re.split(r"[\r\n]+", text):
        is_message = " is damaged: " in row or row.startswith(MESSAGES)
        if len(row) > (terminal.columns or 80) and not is_message:
            wrong.append(f"a line of {len(row)} columns: {row!r}")
    if wide is not None and (lost := numbers(wide) - numbers(text)):
        wrong.append(f"numbers that a wide terminal shows: {sorted(lost.elements())[:5]}")
    return wrong


def plain(shown: bytes) -> str:
    """Return what is shown without escape codes."""
    return ESCAPE.sub(b"", shown).decode("utf-8", errors="replace").replace("\r\n", "\n")


def numbers(text: str) -> Counter[str]:
    """Return the numbers in what is shown, except those that differ from run to run."""
    rows = [row.split("\r")[-1] for row in text.split("\n")]
    return Counter(NUMBER.findall(VOLATILE.sub("", "\n".join(rows))))


def run(n: int, seed: int, folder: Path, lines: tuple[str, ...] = tuple(EXIT_CODES)) -> list[str]:
    """Try n of all commands on all terminals, or all for 0; return all that is wrong."""
    make_folder(folder)
    pairs = [(line, terminal) for line in lines for terminal in TERMINALS]
    random.Random(seed).shuffle(pairs)
    wrong, wide = [], dict[str, str]()
    for line, terminal in pairs[: n or len(pairs)]:
        if line not in wide:
            wide[line] = plain(run_line(line, Terminal("wide", 200), folder)[1])
        problems = judge(line, terminal, *run_line(line, terminal, folder), wide[line])
        wrong += [f"{line}, on {terminal.name}: {problem}" for problem in problems]
    return wrong


def main() -> None:
    args = parse(__doc__, 0)
    with work_folder() as folder:
        wrong = run(args.n, args.seed, folder)
    n = min(args.n or 10**6, len(EXIT_CODES) * len(TERMINALS))
    finish(f"{n:,} runs of {len(EXIT_CODES)} commands on {len(TERMINALS)} terminals", wrong)


if __name__ == "__main__":
    main()
