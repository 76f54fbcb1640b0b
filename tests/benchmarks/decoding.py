"""Greedy decoding with this package's NumPy beside PyTorch's, round by round, on random weights.

    python tests/benchmarks/decoding.py [--config configs/long.toml]
        [--n-samples 20000] [--rounds 5] [--batch-size 1000] [--torch PYTHON]

`--torch` names a Python that has PyTorch; without it ours is measured alone. Prints the medians of
both and of the ratio of neighbouring rounds as JSON.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from seq2seq_cli.inference.threads import map_batches, use_one_blas_thread

use_one_blas_thread()
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from random_run import load_random

from seq2seq_cli.inference.greedy import greedy
from seq2seq_cli.settings import resolve


def decode(loaded, sources, steps):
    """Return the seconds that decoding takes."""
    size = loaded.batch_size(sources.shape[1])
    starts = range(0, len(sources), size)
    begun = time.perf_counter()
    for _ in map_batches(lambda i: greedy(loaded, sources[i : i + size], steps), starts):
        pass
    return time.perf_counter() - begun


def torch_command(python, config, args):
    task, model = config.task, config.model
    values = {
        "n-in": task.n_in, "n-out": task.n_out, "cardinality": task.cardinality,
        "units": model.units, "embedding": model.embedding, "n-samples": args.n_samples,
        "batch-size": args.batch_size, "rounds": args.rounds,
    }  # fmt: skip
    flags = {"attention": model.attention != "none", "bidirectional": model.bidirectional}
    return [
        python, str(Path(__file__).with_name("torch_greedy.py")), "--in-turn",
        *(f"--{name}={value}" for name, value in values.items()),
        *(f"--{name}" for name, given in flags.items() if given),
    ]  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path)
    parser.add_argument("--n-samples", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=1000)
    parser.add_argument("--torch")
    args = parser.parse_args()
    config = resolve(args.config)
    loaded = load_random(config)
    shape = args.n_samples, config.task.n_in
    sources = np.random.default_rng(0).integers(1, config.task.cardinality, shape, np.int32)
    decode(loaded, sources[:1000], config.task.n_out)
    ours, theirs = [], []
    other = None
    if args.torch:
        other = subprocess.Popen(
            torch_command(args.torch, config, args), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
    for _ in range(args.rounds):
        ours.append(decode(loaded, sources, config.task.n_out))
        if other:
            other.stdin.write("\n")
            other.stdin.flush()
            theirs.append(json.loads(other.stdout.readline())["seconds"])
    report = {"ours": round(args.n_samples / statistics.median(ours))}
    if other:
        other.communicate()
        ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
        report["torch"] = round(args.n_samples / statistics.median(theirs))
        report["ratio"] = round(statistics.median(ratios), 2)
        report["ratio of the best"] = round(min(theirs) / min(ours), 2)
    print(json.dumps(report))


main()
