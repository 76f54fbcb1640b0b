"""What the shipped configurations reach: the results in their opening comments.

    python tests/benchmarks/configs.py [NAME ...] [--seeds N ...]

Trains each of `configs/NAME.toml` through the command, in a temporary folder, and evaluates it on
10,000 held-out sequences (1,000 of the longest), `varying` on 2,000 and on lengths beyond its own.
Prints a line of JSON for each: exact match, the training command's wall and processor seconds, and
its peak memory. All of them take some thirty-five minutes on 2 cores.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from compare import S2S, run

CONFIGS = Path(__file__).parents[2] / "configs"
NAMES = ("attention", "long", "thousand", "copy", "sort", "embedding", "varying")


def exact_match(folder: Path, *arguments: str) -> float:
    report = json.loads(run([*S2S, "evaluate", "--json", *arguments], folder)[1])
    return float(report["exact_match"])


def measure(name: str, seed: int, folder: Path) -> dict[str, object]:
    """Train and evaluate one configuration; to be called once in a process."""
    found: dict[str, object] = {"config": name, "seed": seed}
    data: list[str] = []
    if name == "varying":
        for n_in, split, file in (("1-25", "train", "pairs"), ("1-25", "test", "same"),
                                  ("26-30", "test", "longer")):  # fmt: skip
            n = "50000" if split == "train" else "2000"
            run([*S2S, "generate", "--task", "reverse", "--n-in", n_in, "--n-samples", n,
                 "--split", split, "--output", f"{file}.jsonl"], folder)  # fmt: skip
        data = ["--data", "pairs.jsonl"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    config = ["--config", str(CONFIGS / f"{name}.toml"), "--seed", str(seed)]
    found["wall_s"] = round(run([*S2S, "train", *config, *data, "-q"], folder)[0], 1)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found["cpu_s"] = round(seconds, 1)
    found["peak_mb"] = after.ru_maxrss // (1024**2 if sys.platform == "darwin" else 1024)
    if name == "varying":
        found["exact_match"] = exact_match(folder, "--data", "same.jsonl")
        found["exact_match_26_to_30"] = exact_match(folder, "--data", "longer.jsonl")
    else:
        n = "1000" if name in ("long", "thousand") else "10000"
        found["exact_match"] = exact_match(folder, "--n-samples", n)
    return found


def main() -> None:
    """Measure the configurations asked for, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *NAMES])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0], metavar="N")
    asked = parser.parse_args()
    wanted = [(name, seed) for name in asked.names or NAMES for seed in asked.seeds]
    for name, seed in wanted:
        if len(wanted) > 1:
            one = [sys.executable, __file__, name, "--seeds", str(seed)]
            subprocess.run(one, check=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(name, seed, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
