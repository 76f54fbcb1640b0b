"""What each task's best known configuration reaches: the README's table of tasks.

    python tests/benchmarks/tasks.py [NAME ...] [--budget 180] [--jobs 1] [--seed 0]
        [--n-samples 10000]

Trains each task of `tasks.toml` through the command, in a temporary folder with no kept programs,
and evaluates it on held-out sequences. A training that is not done within the budget, in seconds,
is ended, and its task is listed as not learned, as is one that reaches less than LEARNED. Prints a
row of the table for each as it is done, and the figure at the end. With `--jobs 2` two are trained
at a time, each on its share of the cores. All of them take up to seventy minutes on 2 cores, and
half of that two at a time; the machine should do nothing else.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import tomli_w
from compare import S2S

from seq2seq_cli.data.tasks import TASKS
from seq2seq_cli.metrics import LEARNED
from seq2seq_cli.sweep.engine.executors import threads_each
from seq2seq_cli.sweep.engine.job import THREADS_VARIABLE

CONFIGS = Path(__file__).with_name("tasks.toml")
HEADER = ("task", "level", "n_in", "cardinality", "settings", "exact match", "95 % interval", "s")


def base() -> dict[str, Any]:
    """Return what is said for all tasks."""
    return dict(tomllib.loads(CONFIGS.read_text())["base"])


def configurations() -> dict[str, dict[str, Any]]:
    """Return each task's configuration, with what is said for all of them."""
    found, usual = {}, base()
    for name, own in tomllib.loads(CONFIGS.read_text())["tasks"].items():
        sections = {section: values | own.get(section, {}) for section, values in usual.items()}
        sections["task"] = {"name": name} | sections["task"]
        found[name] = sections
    return found


def train(config: dict[str, Any], folder: Path, asked: argparse.Namespace) -> float | None:
    """Train the run "task" in a folder; return its wall seconds, None where it was not done."""
    (folder / "task.toml").write_text(tomli_w.dumps(config))
    command = [*S2S, "train", "--config", "task.toml", "--run", "task", "-q"]
    command += ["--seed", str(asked.seed)]
    environment = {**os.environ, "S2S_CACHE_DIR": ""}
    if threads := threads_each(asked.jobs):
        environment[THREADS_VARIABLE] = str(threads)
    started = time.perf_counter()
    try:
        subprocess.run(
            command, cwd=folder, env=environment, check=True, timeout=asked.budget,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None
    return time.perf_counter() - started


def evaluate(folder: Path, n_samples: int) -> dict[str, Any]:
    command = [*S2S, "evaluate", "--run", "task", "--n-samples", str(n_samples), "--json"]
    result = subprocess.run(command, cwd=folder, check=True, text=True, stdout=subprocess.PIPE)
    return dict(json.loads(result.stdout))


def describe(config: dict[str, Any], usual: dict[str, Any]) -> str:
    """Return how a configuration differs from the usual one, in a few words."""
    task, model = config["task"], config["model"]
    parts = [f"{key} = {task[key]}" for key in ("n_out", "k") if key in task]
    parts += [task["digit_order"]] if "digit_order" in task else []
    parts += [] if model["units"] == usual["units"] else [f"{model['units']} units"]
    if model["attention"] != usual["attention"]:
        parts.append("plain" if model["attention"] == "none" else "attention")
    return ", ".join(parts) or "usual"


def measure(name: str, config: dict[str, Any], asked: argparse.Namespace) -> tuple[bool, list[str]]:
    """Train and evaluate a task; tell whether it was learned, and return its row."""
    sizes = [str(config["task"][key]) for key in ("n_in", "cardinality")]
    row = [f"`{name}`", TASKS[name].level, *sizes, describe(config, base()["model"])]
    with tempfile.TemporaryDirectory() as folder:
        seconds = train(config, Path(folder), asked)
        if seconds is None:
            return False, [*row, "not learned", "", f"> {asked.budget:.0f}"]
        report = evaluate(Path(folder), asked.n_samples)
    share, low, high = (report[f"exact_match{end}"] for end in ("", "_low", "_high"))
    told = f"{share:.2%}" if share >= LEARNED else f"not learned ({share:.2%})"
    interval = "all held out" if report["exact"] else f"{low:.2%} to {high:.2%}"
    return share >= LEARNED, [*row, told, interval, f"{seconds:.0f}"]


def main() -> None:
    """Print the table, a row as each training is done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *TASKS])
    parser.add_argument("--budget", type=float, default=180, metavar="SECONDS")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n-samples", type=int, default=10_000)
    asked = parser.parse_args()
    found = configurations()
    print(f"| {' | '.join(HEADER)} |\n|{' --- |' * len(HEADER)}", flush=True)
    learned = []
    with ThreadPoolExecutor(asked.jobs) as pool:
        names = asked.names or TASKS
        for is_learned, row in pool.map(lambda name: measure(name, found[name], asked), names):
            learned.append(is_learned)
            print(f"| {' | '.join(row)} |", flush=True)
    print(f"\n{sum(learned)} of {len(learned)} tasks learned to {LEARNED:.0%}", file=sys.stderr)


if __name__ == "__main__":
    main()
