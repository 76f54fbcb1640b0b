"""How a step's milliseconds and memory grow with the sizes, beside PyTorch: the README's table.

    python tests/benchmarks/scaling.py [--torch-python PATH] [--rounds 3] [--only ROW ...]
    python tests/benchmarks/scaling.py --unroll

Each figure is of a process of its own, `epoch.py` or `torch_shapes.py` in turn, that takes some
steps at batch 64, without any kept program; the ratio is the median of the rounds'. PyTorch may be
that of another interpreter. With `--unroll` it compares unrolled and looped LSTMs instead, and
prints after how many optimizer steps the longer compilation has paid: `program.forward`'s rule.

Where a looped step's time goes, by TensorFlow's profiler, 48 steps of 128 units, batch 64, in
microseconds of processor time a step of the sequence, forward and backward, some 1,000 in all:
400 products, 170 gradients of the gates, 90 activations, 70 concatenations and writes of what the
backward pass needs, 60 filling and copying the arrays that it is written to, 150 waiting for the
other half of the batch. PyTorch's kernels have the same products. What was tried against it: one
tanh for all gates, gates written over their inputs, gradients over the gates, the halves in loops
of their own, copies by region analysis, steps of 24 unrolled: none faster by more than the noise.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SHAPES = [  # n_in, n_out, units, cardinality, embedding, attention
    *((n_in, n_in // 2, 128, 51, 0, False) for n_in in (6, 24, 96, 384)),
    (6, 3, 512, 51, 0, False),
    (6, 3, 128, 501, 0, False),
    (6, 3, 128, 5_001, 0, False),
    (6, 3, 128, 5_001, 64, False),
    (50, 20, 64, 51, 64, True),
    (400, 40, 64, 51, 64, True),
]


def run(command: list[str]) -> dict[str, float]:
    """Return what a benchmark prints."""
    result = subprocess.run(
        command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={**os.environ, "S2S_CACHE_DIR": ""},
    )  # fmt: skip
    figures: dict[str, float] = json.loads(result.stdout)
    return figures


def options(shape: tuple[int, int, int, int, int, bool]) -> tuple[int, list[str]]:
    """Return how many steps to time at once for a shape, and its options."""
    n_in, n_out, units, cardinality, embedding, attention = shape
    heavy = (n_in + n_out) / 9 * units**2 / 128**2 + cardinality / 400
    sizes = {
        "n-in": n_in, "n-out": n_out, "units": units, "cardinality": cardinality,
        "embedding": embedding,
    }  # fmt: skip
    words = [word for name, size in sizes.items() for word in (f"--{name}", str(size))]
    return max(3, min(100, int(200 / heavy))), words + ["--attention"] * attention


def measure(shape: tuple[int, int, int, int, int, bool], *extra: str) -> dict[str, float]:
    """Return what `epoch.py` prints for a shape."""
    steps, words = options(shape)
    command = [
        sys.executable, str(HERE / "epoch.py"), *words, "--call", str(steps), "--n-samples",
        str(64 * steps), *extra,
    ]  # fmt: skip
    return run(command)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--unroll", action="store_true")
    parser.add_argument("--torch-python", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", type=int, nargs="*", default=range(len(SHAPES)))
    args = parser.parse_args()
    if args.unroll:
        print("| n_in → n_out | unrolled | looped | even after steps | a step of the longest |")
        print("| --- | --- | --- | --- | --- |")
        for n_in in (6, 12, 24, 36):
            shape = (n_in, n_in // 2, 128, 51, 0, False)
            yes, no = measure(shape, "--unroll", "yes"), measure(shape, "--unroll", "no")
            saved = (no["best_ms_a_step"] - yes["best_ms_a_step"]) / 1000
            even = (yes["first_call_s"] - no["first_call_s"]) / saved
            cells = [f"{f['first_call_s']:.1f} s + {f['best_ms_a_step']:.1f} ms" for f in (yes, no)]
            print(f"| {n_in} → {n_in // 2} |", *cells, f"{even:.0f}", f"{even / n_in:.0f} |",
                  sep=" | ", flush=True)  # fmt: skip
        return
    print("| n_in → n_out | units | cardinality | first call | a step | PyTorch | ratio | memory |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for shape in (SHAPES[number] for number in args.only):
        ours, theirs = [], []
        steps, words = options(shape)
        for _ in range(args.rounds):
            ours.append(measure(shape))
            if args.torch_python:
                command = [args.torch_python, str(HERE / "torch_shapes.py"), *words]
                theirs.append(run([*command, "--steps", str(steps)])["ms_a_step"])
        mine = [figures["best_ms_a_step"] for figures in ours]
        ratio = statistics.median(a / b for a, b in zip(mine, theirs, strict=True)) if theirs else 0
        n_in, n_out, units, cardinality, embedding, attention = shape
        kind = f", embedding {embedding}" * bool(embedding) + ", attention" * attention
        first = statistics.median(figures["first_call_s"] for figures in ours)
        peak = max(figures["peak_mb"] for figures in ours)
        print(
            f"| {n_in} → {n_out}{kind} | {units} | {cardinality:,} | {first:.1f} s "
            f"| {statistics.median(mine):.1f} ms "
            f"| {statistics.median(theirs or [0]):.1f} ms | {ratio:.2f} | {peak:,.0f} MB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
