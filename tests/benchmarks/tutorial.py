"""The baseline: the tutorial's program, as its readers run it, on current Keras.

One-hot float arrays built sequence by sequence, `Model.fit` for one epoch at batch 32,
then `predict` step by step for each evaluated sequence. The only departure from the
tutorial is the rank of the encoded arrays, which current Keras needs to be 3.

    python tests/benchmarks/tutorial.py [--n-samples 100000] [--n-eval 100]
    python tests/benchmarks/tutorial.py --stop-at 0.9999 [--seed 0]

Prints one JSON object: seconds per phase, exact-match accuracy and peak memory. With --stop-at it
trains until that share of 10,000 held-out sequences is exact, at most five epochs, and prints the
process's seconds.
"""

import time

START = time.perf_counter()

import argparse
import itertools
import json
import os
import random
import resource

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

IMPORTED = time.perf_counter()
N_IN, N_OUT, CARDINALITY, UNITS = 6, 3, 51, 128


def encode(ids):
    return keras.utils.to_categorical(ids, num_classes=CARDINALITY)


def dataset(n_samples):
    sources, shifted, targets = [], [], []
    for _ in range(n_samples):
        source = [random.randint(1, CARDINALITY - 1) for _ in range(N_IN)]
        target = source[:N_OUT][::-1]
        sources.append(encode(source))
        shifted.append(encode([0, *target[:-1]]))
        targets.append(encode(target))
    return np.array(sources), np.array(shifted), np.array(targets)


def models():
    source = layers.Input((None, CARDINALITY))
    _, *states = layers.LSTM(UNITS, return_state=True)(source)
    shifted = layers.Input((None, CARDINALITY))
    lstm = layers.LSTM(UNITS, return_sequences=True, return_state=True)
    dense = layers.Dense(CARDINALITY, activation="softmax")
    train = keras.Model([source, shifted], dense(lstm(shifted, initial_state=states)[0]))
    encoder = keras.Model(source, states)
    given = [layers.Input((UNITS,)), layers.Input((UNITS,))]
    outputs, *new = lstm(shifted, initial_state=given)
    return train, encoder, keras.Model([shifted, *given], [dense(outputs), *new])


def predict_sequence(encoder, decoder, source):
    states = encoder.predict(source, verbose=0)
    token = np.zeros((1, 1, CARDINALITY))
    steps = []
    for _ in range(N_OUT):
        token, *states = decoder.predict([token, *states], verbose=0)
        steps.append(token[0, 0].argmax())
    return steps


def learn(stop_at, seed, every=6400, n_samples=100_000, most_epochs=5):
    keras.utils.set_random_seed(seed)
    train, _, _ = models()
    train.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["acc"])
    x1, x2, y = dataset(n_samples)
    held_out = dataset(10_000)
    seen = 0
    while seen < most_epochs * n_samples:
        part = slice(seen % n_samples, min(seen % n_samples + every, n_samples))
        train.fit([x1[part], x2[part]], y[part], epochs=1, verbose=0)
        seen += part.stop - part.start
        found = train.predict(held_out[:2], batch_size=1000, verbose=0).argmax(-1)
        exact = float((found == held_out[2].argmax(-1)).all(1).mean())
        if exact >= stop_at:
            break
    seconds = time.perf_counter() - START
    print(json.dumps({"seconds": seconds, "steps": seen // 32, "exact_match": exact}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--stop-at", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n-samples", type=int, default=100_000)
    parser.add_argument("--n-eval", type=int, default=100)
    args = parser.parse_args()
    if args.stop_at:
        learn(args.stop_at, args.seed)
        return
    marks = [time.perf_counter()]
    train, encoder, decoder = models()
    train.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["acc"])
    x1, x2, y = dataset(args.n_samples)
    marks.append(time.perf_counter())
    history = train.fit([x1, x2], y, epochs=1, verbose=0).history
    marks.append(time.perf_counter())
    correct = 0
    for _ in range(args.n_eval):
        source, _, target = dataset(1)
        correct += predict_sequence(encoder, decoder, source) == list(target[0].argmax(-1))
    marks.append(time.perf_counter())
    generate, fit, evaluate = (b - a for a, b in itertools.pairwise(marks))
    print(
        json.dumps(
            {
                "import_s": round(IMPORTED - START, 2),
                "generate_s": round(generate, 2),
                "fit_s": round(fit, 2),
                "evaluate_s": round(evaluate, 2),
                "evaluate_sequences_per_s": round(args.n_eval / evaluate, 2),
                "total_s": round(marks[-1] - START, 2),
                "exact_match": correct / args.n_eval,
                "loss": history["loss"][0],
                "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
    )


main()
