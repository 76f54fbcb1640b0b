"""How a training step's time and memory grow with the sizes, next to PyTorch's.

    python tests/benchmarks/scaling.py [--torch-python PATH] [--rounds 3] [--only ROW ...]

Each figure is of one process that takes some steps at batch 64, without any kept program, ours
(`--one ROW`) and PyTorch's in turn; the ratio is the median of the rounds'. Sequences are drawn
beforehand. PyTorch may be that of another interpreter. Prints the rows of the table in
tests/README.md.

Where a step's time goes on the seed task, by TensorFlow's profiler on 2 cores; processor time of
one step, 6.4 ms in all (so 3.2 ms on both cores): 4.0 matrix products, of which 2.9 to 3.6 cannot
be avoided; 0.7 the gates' gradients, fused into one pass per step; 0.4 Adam; 0.4 concatenations for
the kernels' gradients; 0.1 gathers of the input projections; 0.8 the rest.

What was tried against it: products by YNN instead of Eigen kernels, a sixth of the step and 40% of
the compilation less (kept); two parts of the program compiled at once (kept); the batch as two
shards (kept, 10 to 15%); one tanh for all gates and one product for their gradients, so that a step
has half the kernels (kept: 0.76 of PyTorch at 24 -> 12 where it was 1.2); sums by row instead of
products with one-hot vectors (kept, 10 to 20%); vectors of 512 bits (half as fast), oneDNN and
XNNPACK products, fast math (no gain); the scheduler without concurrency (half as fast again).

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
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from measuring import HERE, flags, peak_mb, print_row, printed, ratio

BATCH = 64
NAMES = ("n-in", "n-out", "units", "cardinality", "embedding", "attention")
SHAPES = [
    *((n_in, n_in // 2, 128, 51, 0, False) for n_in in (6, 24, 96, 384)),
    (6, 3, 512, 51, 0, False),
    (6, 3, 128, 5_001, 64, False),
    (50, 20, 64, 51, 64, True),
    (400, 40, 64, 51, 64, True),
]


def n_steps(shape: tuple[int, ...]) -> int:
    """Return how many steps to time at once for a shape."""
    n_in, n_out, units, cardinality, _, _ = shape
    work = (n_in + n_out) / 9 * units**2 / 128**2 + cardinality / 400
    return max(3, min(100, int(200 / work)))


def measure(shape: tuple[int, ...]) -> dict[str, float]:
    """Train some steps; return the seconds of the first call and of the others, and the memory."""
    import numpy as np

    from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig, TrainingConfig
    from seq2seq_cli.data.sampling import Split
    from seq2seq_cli.data.streams import GeneratedStream
    from seq2seq_cli.data.tasks import find_task
    from seq2seq_cli.training.models import build_models
    from seq2seq_cli.training.process import configure_process
    from seq2seq_cli.training.program.loop import Loop

    n_in, n_out, units, cardinality, embedding, attends = shape
    attention = {"bidirectional": True, "attention": "dot"} if attends else {}
    config = RunConfig(
        task=TaskConfig(n_in=n_in, n_out=n_out, cardinality=cardinality),
        model=ModelConfig(units=units, embedding=embedding, **attention),
        training=TrainingConfig(batch_size=BATCH),
    )
    configure_process()
    loop, steps = Loop(build_models(config)[0], config), n_steps(shape)
    stream = GeneratedStream(find_task(config.task), config.task, 0)
    sources, targets = stream.draw(Split.TRAIN, 0, steps * BATCH)
    rates = np.full(steps, 0.003, np.float32)

    def seconds(n: int) -> float:
        started = time.perf_counter()
        loop.train(sources[: n * BATCH], targets[: n * BATCH], rates[:n])
        return time.perf_counter() - started

    first, best = seconds(1), min(seconds(steps) for _ in range(3))
    return {"first": first, "step": best / steps, "mb": peak_mb(resource.RUSAGE_SELF)}


def pytorch_step(python: str, shape: tuple[int, ...]) -> float:
    """Return the seconds of a step of PyTorch."""
    options = dict(zip(NAMES, shape, strict=True)) | {"n-samples": n_steps(shape) * BATCH}
    options["bidirectional"] = options["attention"]
    command = [python, str(HERE / "pytorch.py"), "step", *flags(options)]
    lines = subprocess.run(
        command, check=True, text=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ).stdout.splitlines()
    return min(json.loads(line)["seconds"] for line in lines) / n_steps(shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch-python", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", type=int, nargs="*", default=range(len(SHAPES)))
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one is not None:
        print(json.dumps(measure(SHAPES[args.one])))
        return
    print_row(
        "n_in → n_out", "units", "cardinality", "first call", "a step", "PyTorch", "ratio", "memory"
    )
    print_row(*["---"] * 8)
    for number in args.only:
        shape = SHAPES[number]
        n_in, n_out, units, cardinality, embedding, attends = shape
        ours, theirs = [], []
        for _ in range(args.rounds):
            one = [sys.executable, __file__, "--one", str(number)]
            ours.append(printed(one, Path.cwd()))
            if args.torch_python:
                theirs.append(pytorch_step(args.torch_python, shape))
        steps = [figures["step"] for figures in ours]
        print_row(
            f"{n_in} → {n_out}"
            + f", embedding {embedding}" * bool(embedding)
            + ", attention" * attends,
            units,
            f"{cardinality:,}",
            f"{statistics.median(figures['first'] for figures in ours):.1f} s",
            *(f"{1000 * statistics.median(each or [0]):.1f} ms" for each in (steps, theirs)),
            f"{ratio(steps, theirs):.2f}",
            f"{max(figures['mb'] for figures in ours):,.0f} MB",
        )


if __name__ == "__main__":
    main()
