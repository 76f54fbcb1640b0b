"""The baseline: the tutorial's program, as its readers run it, on current Keras.

One-hot float arrays built sequence by sequence, `Model.fit` for one epoch at batch 32,
then `predict` step by step for each evaluated sequence. The only departure from the
tutorial is the rank of the encoded arrays, which current Keras needs to be 3.

    python tests/benchmarks/tutorial.py [--n-samples 100000] [--n-eval 100]

Prints one JSON object: the seconds of evaluating and of the process, exact match and peak memory.
"""

import time

START = time.perf_counter()

import argparse
import json
import os
import random
import resource

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers
from measuring import peak_mb

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
    states_in = [layers.Input((UNITS,)), layers.Input((UNITS,))]
    outputs, *new = lstm(shifted, initial_state=states_in)
    return train, encoder, keras.Model([shifted, *states_in], [dense(outputs), *new])


def predict_sequence(encoder, decoder, source):
    states = encoder.predict(source, verbose=0)
    token = np.zeros((1, 1, CARDINALITY))
    steps = []
    for _ in range(N_OUT):
        token, *states = decoder.predict([token, *states], verbose=0)
        steps.append(token[0, 0].argmax())
    return steps


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--n-samples", type=int, default=100_000)
    parser.add_argument("--n-eval", type=int, default=100)
    args = parser.parse_args()
    train, encoder, decoder = models()
    train.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["acc"])
    x1, x2, y = dataset(args.n_samples)
    train.fit([x1, x2], y, epochs=1, verbose=0)
    trained, correct = time.perf_counter(), 0
    for _ in range(args.n_eval):
        source, _, target = dataset(1)
        correct += predict_sequence(encoder, decoder, source) == list(target[0].argmax(-1))
    ended = time.perf_counter()
    figures = {
        "evaluate_s": ended - trained,
        "total_s": ended - START,
        "exact_match": correct / args.n_eval,
        "peak_mb": peak_mb(resource.RUSAGE_SELF),
    }
    print(json.dumps(figures))


main()
