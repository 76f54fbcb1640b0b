"""Whole processes side by side: `s2s` and its baselines in turn, medians and ratios.

    python tests/benchmarks/compare.py [--rounds 3] [--seeds 10] [--only NAME ...]

Runs in a temporary folder, on a machine that should do nothing else. Prints the rows of the table
in tests/README.md:

- start: `s2s train` with one batch next to importing TensorFlow, one prediction next to importing
  NumPy and h5py, and `s2s --help`;
- train: `s2s train` on the seed task next to the tutorial's program;
- accuracy: exact match on 100,000 held-out sequences for each seed;
- memory: peak of `s2s train` at 100,000 and at 2,000,000 samples.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from measuring import HERE, S2S, SEED_TASK, print_row, printed, ratio, run

RUN = "reverse-prefix-6-3-51"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def start(folder: Path, rounds: int) -> None:
    names = ("TensorFlow", "first", "after", "NumPy and h5py", "predict", "help")
    figures: dict[str, list[float]] = {name: [] for name in names}
    batch = [*S2S, "train", *SEED_TASK, "--n-samples", "64", "--run", "batch", "--force"]
    for number in range(rounds + 1):
        commands = (
            (python("import tensorflow"), "kept"),
            (batch, f"new-{number}"),
            (batch, f"new-{number}"),
            (python("import numpy, h5py"), "kept"),
            ([*S2S, "predict", "--run", RUN, "22 17 23 5 29 11"], "kept"),
            ([*S2S, "--help"], "kept"),
        )
        for name, (command, cache) in zip(names, commands, strict=True):
            seconds = run(command, folder, cache)[0]
            if number:  # the first round warms the files
                figures[name].append(seconds)
    rows = (
        ("`s2s train`, one batch, the first time", "first", "TensorFlow"),
        ("`s2s train`, one batch, after it", "after", "TensorFlow"),
        ("`s2s predict`, one sequence", "predict", "NumPy and h5py"),
    )
    for what, ours, theirs in rows:
        compare(what, figures[ours], figures[theirs], f"importing {theirs}")
    print_row("`s2s --help`", f"{statistics.median(figures['help']):.2f} s", "", "")


def compare(what: str, ours: list[float], theirs: list[float], baseline: str) -> None:
    seconds = [f"{statistics.median(each):.2f} s" for each in (ours, theirs)]
    print_row(what, seconds[0], f"{seconds[1]}, {baseline}", f"{ratio(ours, theirs):.3f}")


def train(folder: Path, rounds: int) -> None:
    first, after, theirs = [], [], []
    command = [*S2S, "train", *SEED_TASK, "--force"]
    for _ in range(rounds):
        first.append(run(command, folder, cache="")[0])
        after.append(run(command, folder)[0])
        theirs.append(run([sys.executable, str(HERE / "tutorial.py")], folder)[0])
    for what, ours in (("the first time", first), ("after it", after)):
        compare(f"`s2s train`, seed task, {what}", ours, theirs, "the tutorial's program")


def accuracy(folder: Path, seeds: int) -> None:
    shares = []
    for seed in range(seeds):
        name = f"seed-{seed}"
        run([*S2S, "train", *SEED_TASK, "--seed", str(seed), "--run", name, "-q"], folder)
        command = [*S2S, "evaluate", "--run", name, "--n-samples", "100000", "--json"]
        shares.append(printed(command, folder)["exact_match"])
    what = f"exact match on 100,000 held-out sequences, {seeds} seeds"
    reached = f"median {statistics.median(shares):.3%}, minimum {min(shares):.3%}"
    print_row(what, reached, "about 99%, the tutorial", "")


def memory(folder: Path) -> None:
    code = (
        "import sys, resource, subprocess; from measuring import peak_mb; "
        "subprocess.run(sys.argv[1:], check=True, stdout=-3, stderr=-3); "
        "print(peak_mb(resource.RUSAGE_CHILDREN))"
    )
    peaks = []
    for n in (100_000, 2_000_000):
        command = [*S2S, "train", *SEED_TASK, "--n-samples", str(n), "--run", f"memory-{n}"]
        whole = [*python(f"import sys; sys.path.insert(0, {str(HERE)!r}); {code}"), *command]
        peaks.append(f"{printed(whole, folder):,} MB at {n:,}")
    print_row("peak memory of `s2s train`", ", ".join(peaks), "", "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=10)
    names = ("start", "train", "accuracy", "memory")
    parser.add_argument("--only", nargs="*", choices=names, default=names)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run([*S2S, "train", *SEED_TASK, "-q"], folder)  # warms the caches, and is predicted with
        measurements = {
            "start": lambda: start(folder, args.rounds),
            "train": lambda: train(folder, args.rounds),
            "accuracy": lambda: accuracy(folder, args.seeds),
            "memory": lambda: memory(folder),
        }
        print_row("what", "s2s", "baseline", "ratio")
        print_row("---", "---", "---", "---")
        for measurement in args.only:
            measurements[measurement]()


if __name__ == "__main__":
    main()
