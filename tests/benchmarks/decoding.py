"""Greedy decoding with this package's NumPy next to PyTorch's, in turn, on random weights.

    python tests/benchmarks/decoding.py [--config configs/long.toml] [--n-samples 20000]
        [--rounds 5] [--batch-size 1000] [--torch-python PATH]

`--torch-python` is a Python that has PyTorch; without it only ours is measured. Prints the medians
of both and of the ratio of neighbouring rounds as JSON.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from measuring import HERE, flags, ratio

from seq2seq_cli.inference.threads import map_batches, use_one_blas_thread

use_one_blas_thread()
import numpy as np

sys.path.insert(0, str(HERE.parent))
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


def start_pytorch(python, config, args):
    task, model = config.task, config.model
    options = {
        "n-in": task.n_in, "n-out": task.n_out, "cardinality": task.cardinality,
        "units": model.units, "embedding": model.embedding, "n-samples": args.n_samples,
        "batch-size": args.batch_size, "rounds": args.rounds,
        "attention": model.attention != "none", "bidirectional": model.bidirectional,
    }  # fmt: skip
    command = [python, str(HERE / "pytorch.py"), "decode", *flags(options)]
    return subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path)
    parser.add_argument("--n-samples", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=1000)
    parser.add_argument("--torch-python")
    args = parser.parse_args()
    config = resolve(args.config)
    loaded = load_random(config)
    shape = args.n_samples, config.task.n_in
    sources = np.random.default_rng(0).integers(1, config.task.cardinality, shape, np.int32)
    decode(loaded, sources[:1000], config.task.n_out)
    ours, theirs = [], []
    pytorch = start_pytorch(args.torch_python, config, args) if args.torch_python else None
    for _ in range(args.rounds):
        ours.append(decode(loaded, sources, config.task.n_out))
        if pytorch:
            pytorch.stdin.write("\n")
            pytorch.stdin.flush()
            theirs.append(json.loads(pytorch.stdout.readline())["seconds"])
    report = {"ours_per_s": round(args.n_samples / statistics.median(ours))}
    if pytorch:
        pytorch.communicate()
        report["pytorch_per_s"] = round(args.n_samples / statistics.median(theirs))
        report["ratio"] = round(ratio(theirs, ours), 2)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
