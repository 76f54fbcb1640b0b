"""How a step's milliseconds and memory grow with the sizes, beside PyTorch.

    python tests/benchmarks/scaling.py [--torch-python PATH] [--rounds 3] [--only ROW ...]

Each figure is of a process of its own, `epoch.py` or `torch_shapes.py` in turn, that takes some
steps at batch 64, without any kept program; the ratio is the median of the rounds'. PyTorch may be
that of another interpreter.

Where a step's time goes at 24 -> 12, by TensorFlow's profiler on two slow cores, in milliseconds of
processor time, 24 in all: 11 to 15 recurrent products, 3 writes for the backward pass, 2 to 3
kernels' gradients, 2 starting values of the arrays, 6 elementwise kernels and reads.

What was tried on loops, two cores, 24 -> 12, ms a step, where a loop of single steps has 17:
- 2, 4, 8 steps in each iteration: 18, 19 to 23, 23 to 27; compiled in 7, 9, 18 s instead of 5.5.
- All steps unrolled: 87, and 18 once a division broke the chains of cell states; compiled in 16 s.
- The forget gate as 1 + exp(-x), by which states are divided: breaks the chains too, but has more
  kernels: 42 looped, 20 in blocks of 4.
- Gates written over their inputs, gradients over the gates: XLA copies the arrays: 28.
- One shard instead of two: compiles in half the time, 21 unrolled.
- LLVM optimization level 1, no expensive passes, 8 splits, old emitters: compile no faster.

On an H200, 96 -> 48, where cuDNN has 2.7: blocks of 16 and of 48 steps 4.8 with Triton
products, 2.9 with cuBLAS (kept); command buffers with WHILE and CONDITIONAL change nothing.
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


def measure(shape: tuple[int, int, int, int, int, bool]) -> dict[str, float]:
    """Return what `epoch.py` prints for a shape."""
    steps, words = options(shape)
    command = [
        sys.executable, str(HERE / "epoch.py"), *words, "--call", str(steps), "--n-samples",
        str(64 * steps),
    ]  # fmt: skip
    return run(command)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch-python", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", type=int, nargs="*", default=range(len(SHAPES)))
    args = parser.parse_args()
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
