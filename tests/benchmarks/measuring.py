"""What the benchmarks share: whole processes, their time and memory, and ratios of medians."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
S2S = [sys.executable, "-m", "seq2seq_cli"]
SEED_TASK = ["--n-in", "6", "--n-out", "3", "--cardinality", "51"]


def run(command: Sequence[str], folder: Path, cache: str = "kept") -> tuple[float, str]:
    """Return a process's wall seconds and what it prints; compiled programs are in `cache`."""
    # Without compiled modules each start would compile TensorFlow again.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["S2S_CACHE_DIR"] = str(folder / cache) if cache else ""
    started = time.perf_counter()
    result = subprocess.run(
        command, cwd=folder, env=environment, check=True, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - started, result.stdout


def printed(command: Sequence[str], folder: Path, cache: str = "") -> Any:
    """Return the JSON object that a process prints."""
    return json.loads(run(command, folder, cache)[1])


def peak_mb(who: int) -> int:
    """Return the peak resident memory of this process, or of its children, in MB."""
    import resource

    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(who).ru_maxrss // unit


def flags(values: Mapping[str, object]) -> list[str]:
    """Return options with these values; True is a flag, False none."""
    words: list[str] = []
    for name, value in values.items():
        words += (
            [f"--{name}"] if value is True else [f"--{name}", str(value)] * (value is not False)
        )
    return words


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median ratio of neighbouring measurements; 0 if there are none to compare with."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True)) if theirs else 0.0


def print_row(*cells: object) -> None:
    print("|", " | ".join(map(str, cells)), "|", flush=True)
