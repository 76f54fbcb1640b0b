"""One epoch of the compiled loop, in the steady state: what `torch_shapes.py` does, in ours.

    python tests/benchmarks/epoch.py [--n-in 6] [--n-out 3] [--cardinality 51] [--units 128]
        [--embedding 0] [--attention] [--batch-size 64] [--n-samples 100000] [--rounds 3]
        [--call 100]

With --attention the encoder is bidirectional. `--n-samples` are those of an epoch and of its time.

Prints one JSON object: seconds of the first call (tracing and compiling), the median epoch, and the
peak memory. Sequences are drawn beforehand, as the baselines' are.

Where the time goes, by TensorFlow's profiler on 2 cores, seed task, batch 64; processor time of one
step, 6.4 ms in all (so 3.2 ms on both cores):

    4.0 ms  matrix products: forward, gate gradients times the transposed kernel, kernel gradients;
            2.9 to 3.6 ms of them is what `gemm_limit.py` counts or the one-hot gradients add
    0.7 ms  the gates' gradients, fused into one pass a step
    0.4 ms  Adam: a division and a square root for each of 190,000 weights
    0.4 ms  concatenations for the kernels' gradients
    0.1 ms  gathers of the input projections
    0.8 ms  the rest: activations, softmax, waiting for the other shard

What was tried against it: products by YNN instead of Eigen kernels, a sixth of the step and 40% of
the compilation less (kept); two parts of the program compiled at once (kept); the batch as two
shards (kept, 10 to 15%); one tanh for all gates and one product for their gradients, so that a step
has half the kernels (kept: 0.76 of PyTorch at 24 -> 12 where it was 1.2); sums by row instead of
products with one-hot vectors (kept, 10 to 20%); vectors of 512 bits (half as fast), oneDNN and
XNNPACK products, fast math (no gain); the scheduler without concurrency (half as fast again).
"""

import argparse
import json
import os
import resource
import statistics
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.data.sampling import Split
from seq2seq_cli.data.streams import GeneratedStream
from seq2seq_cli.data.tasks import find_task
from seq2seq_cli.training.models import build_models
from seq2seq_cli.training.process import configure_process
from seq2seq_cli.training.program.loop import Loop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in (
        ("n-in", 6), ("n-out", 3), ("cardinality", 51), ("units", 128), ("batch-size", 64),
        ("embedding", 0), ("n-samples", 100_000), ("rounds", 3), ("call", 100),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--attention", action="store_true")
    args = parser.parse_args()
    task = TaskConfig(n_in=args.n_in, n_out=args.n_out, cardinality=args.cardinality)
    training = TrainingConfig(batch_size=args.batch_size)
    looking = {"bidirectional": True, "attention": "dot"} if args.attention else {}
    model = ModelConfig(units=args.units, embedding=args.embedding, **looking)
    config = RunConfig(task=task, model=model, training=training)
    configure_process()
    loop = Loop(build_models(config)[0], config)
    size = args.batch_size
    sources, targets = GeneratedStream(find_task(task), task, 0).draw(
        Split.TRAIN, 0, args.call * size
    )
    rates = np.full(args.call, 0.003, np.float32)
    started = time.perf_counter()
    loop.train(sources[:size], targets[:size], rates[:1])
    first = time.perf_counter() - started
    epochs = []
    calls = -(-args.n_samples // (args.call * size))
    for _ in range(args.rounds):
        started = time.perf_counter()
        for _ in range(calls):
            loop.train(sources, targets, rates)
        epochs.append((time.perf_counter() - started) / calls / args.call / size * args.n_samples)
    unit = 1024**2 if sys.platform == "darwin" else 1024
    print(
        json.dumps(
            {
                "first_call_s": round(first, 2),
                "epoch_s": round(statistics.median(epochs), 3),
                "best_ms_a_step": round(min(epochs) / args.n_samples * size * 1000, 3),
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit,
            }
        )
    )


if __name__ == "__main__":
    main()
