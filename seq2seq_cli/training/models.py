"""The Keras models: one to train, and an encoder and a decoder to predict with.

They hold stock layers only, so plain Keras opens their files.
"""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from keras import layers

from seq2seq_cli.manifest import DECODER_MODEL, ENCODER_MODEL, TRAIN_MODEL
from seq2seq_cli.storage import atomic_path
from seq2seq_cli.vocabulary import Floats

# `inference.network` looks for the layers by these names; a run saved by one has to fit the other.
ENCODER_LAYER = "encoder_lstm"
DECODER_LAYER = "decoder_lstm"
OUTPUT_LAYER = "output"


def define_models(
    n_input: int, n_output: int, n_units: int, seed: int | None = None
) -> tuple[keras.Model, keras.Model, keras.Model]:
    """Return the train model, the inference encoder and the inference decoder; they share layers.

    The tutorial's function, section "Encoder-Decoder Model in Keras". `n_input` and `n_output` are
    the cardinalities of source and target, `n_units` the width of the LSTMs. All sequences are
    one-hot floats (batch, steps, cardinality), all states (batch, n_units).

    - train: [sources, shifted targets] -> probabilities (batch, steps, n_output)
    - inference encoder: sources -> [hidden state, cell state]
    - inference decoder: [tokens, hidden state, cell state]
      -> [probabilities (batch, steps, n_output), hidden state, cell state]

    With a seed the initial weights are reproducible. Raises ValueError for sizes below 1.
    """
    # An initializer's seed has to be an integer of its own: equal ones would give equal weights.
    entropy = np.random.SeedSequence(seed)
    seeds = iter(entropy.generate_state(5).tolist())

    def lstm(name: str, return_sequences: bool) -> layers.LSTM:
        return layers.LSTM(
            n_units,
            return_sequences=return_sequences,
            return_state=True,
            kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
            recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
            name=name,
        )

    source = keras.Input((None, n_input), name="source")
    _, *states = lstm(ENCODER_LAYER, return_sequences=False)(source)
    shifted = keras.Input((None, n_output), name="shifted_target")
    decoder_lstm = lstm(DECODER_LAYER, return_sequences=True)
    output = layers.Dense(
        n_output,
        activation="softmax",
        kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
        name=OUTPUT_LAYER,
    )
    train = keras.Model(
        [source, shifted], output(decoder_lstm(shifted, initial_state=states)[0]), name="train"
    )
    encoder = keras.Model(source, states, name="inference_encoder")
    given = [keras.Input((n_units,), name="hidden"), keras.Input((n_units,), name="cell")]
    outputs, *after = decoder_lstm(shifted, initial_state=given)
    decoder = keras.Model([shifted, *given], [output(outputs), *after], name="inference_decoder")
    return train, encoder, decoder


def save_models(folder: Path, models: Sequence[keras.Model], weights: Sequence[Floats]) -> None:
    """Write the three models of `define_models` with these weights of the train model."""
    for variable, array in zip(models[0].trainable_variables, weights, strict=True):
        variable.assign(array)
    for name, model in zip((TRAIN_MODEL, ENCODER_MODEL, DECODER_MODEL), models, strict=True):
        with atomic_path(folder / name) as path:
            model.save(path)
