"""What a shipped configuration reaches under each of several seeds, and in how many seconds.

    python tests/benchmarks/robustness.py NAME [--seeds 10] [--first 0] [--perturb]
        [--at 25 100 400] [--n-samples 10000] [--set KEY=VALUE ...]
        [--at-least 0.999] [--output FILE.csv]

Trains `configs/NAME.toml` once per seed, each in its own process, and evaluates it on held-out
sequences: at its own lengths, or at each of the lengths or ranges after --at. With --perturb one
part in a million of noise is put on the initial weights: it represents the last bits of another
machine, which near the edge of what a model can learn decide as much as a seed does. The output has
one row for each training and each length; those behind the configurations' comments are in
`configs/robustness.csv`.
"""

import argparse
import csv
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import printed

from seq2seq_cli import evaluate, load_run, train
from seq2seq_cli.settings import resolve
from seq2seq_cli.shipped import shipped_file

NOISE = 1e-6


def perturb_initial_weights(seed: int) -> None:
    from seq2seq_cli.training import distribution

    build = distribution.build_models

    def perturbed(*arguments: object) -> object:
        models, generator = build(*arguments), np.random.default_rng(seed)
        for variable in models[0].trainable_variables:
            noise = generator.normal(size=variable.shape).astype(np.float32)
            variable.assign(variable * (1 + NOISE * noise))
        return models

    distribution.build_models = perturbed


def measure(args: argparse.Namespace) -> list[dict[str, object]]:
    """Train under one seed and evaluate at each length; to be called once per process."""
    if args.perturb:
        perturb_initial_weights(args.first)
    config = resolve(shipped_file(args.name), [f"training.seed={args.first}", *args.set])
    common = {"config": args.name, "seed": args.first, "perturbed": args.perturb}
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        train(config, folder, args.name)
        seconds = round(time.perf_counter() - started, 1)
        run = load_run(args.name, Path(folder))
        rows = []
        for n_in in args.at or [str(config.task.lengths.setting)]:
            report = evaluate(run, args.n_samples, n_in=n_in if args.at else None)
            shares = {"exact_match": report.exact_match, "n_samples": report.n_samples}
            rows.append({**common, "n_in": n_in, **shares, "seconds": seconds})
    return rows


def append(rows: list[dict[str, object]], path: Path) -> None:
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        if file.tell() == 0:
            writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Measure each seed in its own process, and print a summary for each length."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--perturb", action="store_true")
    parser.add_argument("--at", nargs="+", default=[])
    parser.add_argument("--n-samples", type=int, default=10_000)
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--at-least", type=float, default=0.999)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args)))
        return
    rows: list[dict[str, object]] = []
    for seed in range(args.first, args.first + args.seeds):
        # The last --first and --one are those that count.
        one = [sys.executable, __file__, *sys.argv[1:], "--one", "--first", str(seed)]
        measured = printed(one, Path.cwd())
        print(*map(json.dumps, measured), sep="\n", flush=True)
        rows += measured
        if args.output:
            append(measured, args.output)
    for n_in in dict.fromkeys(row["n_in"] for row in rows):
        shares = [row["exact_match"] for row in rows if row["n_in"] == n_in]
        seconds = statistics.median(row["seconds"] for row in rows)
        print(
            f"{args.name} at {n_in}: {sum(x >= args.at_least for x in shares)} of {len(shares)} "
            f"seeds at {args.at_least:.1%} or better, median {statistics.median(shares):.4%}, "
            f"minimum {min(shares):.4%}, {seconds:.0f} s"
        )


if __name__ == "__main__":
    main()
