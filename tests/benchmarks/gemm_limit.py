"""The physical limit: the matrix products that one epoch cannot avoid, and nothing else.

Forward and backward of the recurrent and output products of the tutorial's model
(6 encoder steps, the first from a zero state, 3 decoder steps, 128 units), timed as
bare TensorFlow matmuls at the given batch size.

    python tests/benchmarks/gemm_limit.py [--batch-size 64] [--n-samples 100000]

Prints one JSON object: GFLOP/s reached and the seconds an epoch would take at that rate.
"""

import argparse
import json
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

N_IN, N_OUT, CARDINALITY, UNITS = 6, 3, 51, 128


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--n-samples", type=int, default=100_000)
    args = parser.parse_args()
    recurrent = (N_IN - 1 + N_OUT) * 2 * UNITS * 4 * UNITS
    output = N_OUT * 2 * UNITS * CARDINALITY
    flops = 3 * (recurrent + output) * args.n_samples
    state = tf.random.normal((args.batch_size, UNITS))
    kernel = tf.random.normal((UNITS, 4 * UNITS))
    repeats = 200

    @tf.function
    def products(state):
        total = tf.zeros((args.batch_size, 4 * UNITS))
        for i in range(repeats):
            total += tf.matmul(state + float(i), kernel)
        return total

    products(state)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(20):
            result = products(state)
        result.numpy()
        best = min(best, time.perf_counter() - start)
    rate = 20 * repeats * 2 * args.batch_size * UNITS * 4 * UNITS / best
    print(json.dumps({"gflop_per_s": round(rate / 1e9, 1), "epoch_s": round(flops / rate, 3)}))


main()
