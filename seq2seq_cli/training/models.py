"""The Keras models: one to train, and an encoder and a decoder to predict with.

They hold stock layers only, so plain Keras opens their files.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from keras import layers as stock

from seq2seq_cli.config import RunConfig
from seq2seq_cli.errors import DataError
from seq2seq_cli.manifest import DECODER_MODEL, ENCODER_MODEL, TRAIN_MODEL, LayerSummary
from seq2seq_cli.storage import atomic_path, unreadable
from seq2seq_cli.vocabulary import Floats

# `inference.network` looks for the layers by these names; a run saved by one has to fit the other.
# Layers of a stack after the first have its number: encoder_lstm_2.
ENCODER_LAYER = "encoder_lstm"
DECODER_LAYER = "decoder_lstm"
SOURCE_EMBEDDING = "source_embedding"
TARGET_EMBEDDING = "target_embedding"
KEYS_LAYER = "attention_keys"
COMBINING_LAYER = "attention_output"
OUTPUT_LAYER = "output"

Models = tuple[keras.Model, keras.Model, keras.Model]
Tensor = Any


def define_models(
    n_input: int,
    n_output: int,
    n_units: int,
    seed: int | None = None,
    *,
    layers: int = 1,
    bidirectional: bool = False,
    attention: Literal["none", "dot"] = "none",
    embedding: int = 0,
    dropout: float = 0.0,
    token_dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    recurrent_dropout_in: Literal["both", "encoder", "decoder"] = "both",
    masked: bool = False,
) -> Models:
    """Return the train model, the inference encoder and the inference decoder; they share layers.

    The tutorial's function, section "Encoder-Decoder Model in Keras". `n_input` and `n_output` are
    the cardinalities of source and target, `n_units` the width of the encoder's LSTMs. Sequences
    are one-hot floats (batch, steps, cardinality) or, with an embedding of that size, ids
    (batch, steps). The decoder is as wide as its encoder layer's state: n_units, or twice that
    with a bidirectional one, whose two states are joined. States are (batch, width), a hidden and
    a cell state for each of the `layers`, the first layer's first:

    - train: [sources, shifted targets] -> probabilities (batch, steps, n_output)
    - inference encoder: sources -> [hidden, cell, ...]
    - inference decoder: [tokens, hidden, cell, ...] -> [probabilities, hidden, cell, ...]

    With attention "dot" (Luong, Pham and Manning 2015) the inference encoder returns, last, its
    outputs (batch, steps, width), and the inference decoder takes them, last. `masked` models take
    sources of various lengths, padded at their end with id 0 or with zero vectors. `dropout` is
    the share of values dropped in training before each layer, except of one-hot vectors,
    `token_dropout` that of whole tokens of the decoder's input (word dropout: Bowman et al. 2016),
    and `recurrent_dropout` that of the LSTMs' hidden states, in both or in one of encoder and
    decoder.

    With a seed the initial weights are reproducible. Raises ValueError for sizes below 1.
    """
    seeds = _seeds(seed)
    width = n_units * (2 if bidirectional else 1)

    def lstm(units: int, name: str, part: str, backwards: bool = False) -> stock.LSTM:
        return stock.LSTM(
            units,
            return_sequences=True,
            return_state=True,
            go_backwards=backwards,
            recurrent_dropout=recurrent_dropout if recurrent_dropout_in in ("both", part) else 0.0,
            kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
            recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
            seed=next(seeds),
            use_cudnn=False,  # XLA compiles the training, and cannot compile that kernel
            name=name,
            zero_output_for_mask=masked,
        )

    def dense(units: int, name: str, **settings: Any) -> stock.Dense:
        initializer = keras.initializers.GlorotUniform(next(seeds))
        return stock.Dense(units, kernel_initializer=initializer, name=name, **settings)

    def drop(inputs: Tensor) -> Tensor:
        return stock.Dropout(dropout, seed=next(seeds))(inputs) if dropout else inputs

    def embed(cardinality: int, name: str, mask_zero: bool = False) -> stock.Embedding:
        initializer = keras.initializers.RandomUniform(seed=next(seeds))
        return stock.Embedding(cardinality, embedding, initializer, mask_zero=mask_zero, name=name)

    def sequence(cardinality: int, name: str) -> Tensor:
        if embedding:
            return keras.Input((None,), dtype="int32", name=name)
        return keras.Input((None, cardinality), name=name)

    source = sequence(n_input, "source")
    if embedding:
        values = drop(embed(n_input, SOURCE_EMBEDDING, masked)(source))
    else:
        values = stock.Masking()(source) if masked else source
    states: list[Tensor] = []
    for number in range(layers):
        name = numbered(ENCODER_LAYER, number)
        values = drop(values) if number else values
        if bidirectional:
            backward = lstm(n_units, f"{name}_backward", "encoder", backwards=True)
            forward = lstm(n_units, name, "encoder")
            both = stock.Bidirectional(forward, backward_layer=backward, name=name)
            values, *ends = both(values)
            states += [
                stock.Concatenate()([ends[0], ends[2]]),
                stock.Concatenate()([ends[1], ends[3]]),
            ]
        else:
            values, *ends = lstm(n_units, name, "encoder")(values)
            states += ends
    memory = [values] if attention == "dot" else []

    embed_target = embed(n_output, TARGET_EMBEDDING) if embedding else lambda tokens: tokens
    decoders = [lstm(width, numbered(DECODER_LAYER, number), "decoder") for number in range(layers)]
    if memory:
        keys = dense(width, KEYS_LAYER, use_bias=False)
        attend = stock.Attention(name="attention")
        combine = dense(width, COMBINING_LAYER, activation="tanh")
    output = dense(n_output, OUTPUT_LAYER, activation="softmax")

    def decode(tokens: Tensor, states: list[Tensor], memory: list[Tensor]) -> list[Tensor]:
        values, after = embed_target(tokens), list[Tensor]()
        values = drop(values) if embedding else values
        if token_dropout:
            whole = (None, None, 1)
            values = stock.Dropout(token_dropout, noise_shape=whole, seed=next(seeds))(values)
        for number, layer in enumerate(decoders):
            values = drop(values) if number else values
            values, *ends = layer(values, initial_state=states[2 * number : 2 * number + 2])
            after += ends
        if memory:
            outputs = stock.Masking()(memory[0]) if masked else memory[0]
            context = attend([values, outputs, keys(outputs)])
            values = combine(stock.Concatenate()([context, values]))
        return [output(drop(values)), *after]

    shifted = sequence(n_output, "shifted_target")
    train = keras.Model([source, shifted], decode(shifted, states, memory)[0], name="train")
    encoder = keras.Model(source, [*states, *memory], name="inference_encoder")
    given = [
        keras.Input((width,), name=numbered(kind, number))
        for number in range(layers)
        for kind in ("hidden", "cell")
    ]
    attended = [keras.Input((None, width), name="encoder_outputs")] if memory else []
    inputs = [shifted, *given, *attended]
    decoder = keras.Model(inputs, decode(shifted, given, attended), name="inference_decoder")
    return train, encoder, decoder


def build_models(config: RunConfig) -> Models:
    """Return the models of a configuration, with its pretrained embedding if it names one.

    Raises DataError or StorageError where that file is no array of the right shape.
    """
    task, model = config.task, config.model
    settings = model.model_dump(exclude={"units", "pretrained_embedding"})
    models = define_models(
        task.cardinality,
        task.n_features,
        model.units,
        config.training.seed,
        masked=task.varies,
        **settings,
    )
    if model.pretrained_embedding:
        table = read_embedding(Path(model.pretrained_embedding), task.cardinality, model.embedding)
        for name in (SOURCE_EMBEDDING, TARGET_EMBEDDING):
            variable = models[0].get_layer(name).embeddings
            variable.assign(np.concatenate([table, variable.numpy()[len(table) :]]))
    return models


def read_embedding(path: Path, cardinality: int, size: int) -> Floats:
    """Return the array in a `.npy` file, which has to be finite floats (cardinality, size)."""
    try:
        with path.open("rb") as file:
            table = np.load(file, allow_pickle=False)
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} is no .npy file of numbers: {error}") from error
    if not isinstance(table, np.ndarray) or table.dtype.kind not in "fiu":
        raise DataError(f"{path} is no .npy file of numbers")
    if table.shape != (cardinality, size):
        raise DataError(
            f"{path} has shape {table.shape}: should be (task.cardinality, model.embedding), "
            f"which is ({cardinality}, {size})"
        )
    if not np.isfinite(table).all():
        raise DataError(f"{path} holds values that are not finite")
    return table.astype(np.float32)


def summarize(model: keras.Model) -> tuple[LayerSummary, ...]:
    """Return the model's layers that have weights, in their order."""
    return tuple(
        LayerSummary(
            layer.name,
            type(layer).__name__,
            tuple(tuple(variable.shape) for variable in layer.trainable_variables),
        )
        for layer in model.layers
        if layer.trainable_variables
    )


def save_models(folder: Path, models: Sequence[keras.Model], weights: Sequence[Floats]) -> None:
    """Write the three models of `define_models` with these weights of the train model."""
    for variable, array in zip(models[0].trainable_variables, weights, strict=True):
        variable.assign(array)
    for name, model in zip((TRAIN_MODEL, ENCODER_MODEL, DECODER_MODEL), models, strict=True):
        with atomic_path(folder / name) as path:
            model.save(path)


def numbered(name: str, number: int) -> str:
    """Return the name of a layer of a stack, counted from 0."""
    return f"{name}_{number + 1}" if number else name


def _seeds(seed: int | None) -> Iterator[int]:
    """Yield a seed for each initializer: equal ones would give equal weights."""
    generator = np.random.default_rng(seed)
    while True:
        yield int(generator.integers(2**31))
