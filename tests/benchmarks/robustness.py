"""Whether a shipped configuration learns under every seed: how many, median and minimum, seconds.

    python tests/benchmarks/robustness.py NAME [--seeds 10] [--first 0] [--perturb]
        [--at-least 0.999] [--output FILE.csv]

Trains `configs/NAME.toml` once per seed, each in a process of its own, and evaluates it on held-out
sequences. With --perturb one part in a million of noise is put on the initial weights: it stands
for the last bits of another machine, which near the edge of what a model can learn decide as much
as a seed does. Rows are added to the file, which has one for each training.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from seq2seq_cli import evaluate, load_run, train
from seq2seq_cli.settings import resolve
from seq2seq_cli.shipped import shipped_file

NOISE = 1e-6
COLUMNS = ("config", "seed", "perturbed", "exact_match", "n_samples", "seconds")


def measure(name: str, seed: int, perturb: bool) -> dict[str, object]:
    """Train and evaluate under a seed; to be called once in a process."""
    if perturb:
        from seq2seq_cli.training import compiled

        build = compiled.build_models

        def perturbed(*arguments: object) -> object:
            models, generator = build(*arguments), np.random.default_rng(seed)
            for variable in models[0].trainable_variables:
                noise = generator.normal(size=variable.shape).astype(np.float32)
                variable.assign(variable * (1 + NOISE * noise))
            return models

        compiled.build_models = perturbed
    config = resolve(shipped_file(name), [f"training.seed={seed}"])
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        train(config, folder, name)
        seconds = time.perf_counter() - started
        report = evaluate(load_run(name, Path(folder)))
    values = (name, seed, perturb, report.exact_match, report.n_samples, round(seconds, 1))
    return dict(zip(COLUMNS, values, strict=True))


def main() -> None:
    """Measure each seed in a process of its own, and print the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--perturb", action="store_true")
    parser.add_argument("--at-least", type=float, default=0.999)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.name, args.first, args.perturb)))
        return
    rows = []
    for seed in range(args.first, args.first + args.seeds):
        command = [sys.executable, __file__, args.name, "--one", "--first", str(seed)]
        result = subprocess.run(
            [*command, *["--perturb"] * args.perturb],
            check=True, text=True, stdout=subprocess.PIPE, env=os.environ,
        )  # fmt: skip
        rows.append(json.loads(result.stdout))
        print(result.stdout, end="", flush=True)
        if args.output:
            is_new = not args.output.exists()
            with args.output.open("a", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                if is_new:
                    writer.writeheader()
                writer.writerow(rows[-1])
    exact = [row["exact_match"] for row in rows]
    seconds = statistics.median(row["seconds"] for row in rows)
    print(
        f"{args.name}: {sum(x >= args.at_least for x in exact)} of {len(exact)} seeds at "
        f"{args.at_least:.1%} or better, median {statistics.median(exact):.4%}, minimum "
        f"{min(exact):.4%}, {seconds:.0f} s"
    )


if __name__ == "__main__":
    main()
