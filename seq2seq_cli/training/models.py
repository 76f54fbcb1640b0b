"""The Keras models: one to train, and an encoder and a decoder to predict with.

They have only stock layers, so plain Keras opens their files.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from keras import layers as stock
from keras import ops

from seq2seq_cli.architecture import (
    BIAS_SCALE,
    SOURCE_EMBEDDING,
    TARGET_EMBEDDING,
    Architecture,
    Layer,
    numbered,
)
from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.vocabulary import Floats
from seq2seq_cli.runs.manifest import DECODER_MODEL, ENCODER_MODEL, TRAIN_MODEL
from seq2seq_cli.storage import temporary_folder

Models = tuple[keras.Model, keras.Model, keras.Model]
Tensor = Any


@contextmanager
def _single_precision() -> Iterator[None]:
    """Build layers of 32-bit floats, regardless of Keras' configuration."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


@_single_precision()
def define_models(
    n_input: int,
    n_output: int,
    n_units: int,
    seed: int | None = None,
    *,
    layers: int = 1,
    bidirectional: bool = False,
    attention: Literal["none", "dot"] = "none",
    attention_radius: int = 4,
    embedding: int = 0,
    dropout: float = 0.0,
    token_dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    recurrent_dropout_in: Literal["both", "encoder", "decoder"] = "both",
    masked: bool = False,
    target_length: int | None = None,
) -> Models:
    """Return the train model, the inference encoder and the inference decoder; they share layers.

    The tutorial's function, section "Encoder-Decoder Model in Keras". `n_input` and `n_output` are
    the cardinalities of source and target, `n_units` the width of the encoder's LSTMs. Sequences
    are one-hot floats (batch, steps, cardinality) or, with an embedding, ids (batch, steps). The
    decoder is as wide as the encoder's states: n_units, or twice that if the encoder is
    bidirectional, whose two states are joined. States are (batch, width), a hidden and a cell state
    for each of the `layers`, in order:

    - train: [sources, shifted targets] -> probabilities (batch, steps, n_output)
    - inference encoder: sources -> [hidden, cell, ...]
    - inference decoder: [tokens, hidden, cell, ...] -> [probabilities, hidden, cell, ...]

    With attention "dot" (Luong, Pham and Manning 2015) the encoder's outputs (batch, steps, width)
    are the inference encoder's last output and the inference decoder's last input. An
    `attention_radius` above 0 adds biases for relative positions up to that distance; the position
    of the next target token (batch, 1) is then the last state. If all targets have `target_length`
    tokens, positions are also counted from the target's end. `masked` models take sources of
    various lengths, padded at the end with id 0 or with zero vectors. `dropout` is the share of
    values dropped in training before each layer, except of one-hot vectors, `token_dropout` that of
    whole tokens of the decoder's input (word dropout: Bowman et al. 2016), and `recurrent_dropout`
    that of the LSTMs' hidden states, in encoder, decoder or both.

    With a seed the initial weights are reproducible. Raises ValueError for sizes below 1.
    """
    seeds = _seeds(seed)
    architecture = Architecture(
        n_input,
        n_output,
        n_units,
        layers,
        bidirectional,
        attention,
        attention_radius,
        embedding,
        target_length,
    )
    width = architecture.width

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

    def dense(layer: Layer) -> stock.Dense:
        initializer = keras.initializers.GlorotUniform(next(seeds))
        units = layer.shapes[0][-1]
        return stock.Dense(units, kernel_initializer=initializer, name=layer.name, **layer.settings)

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
    for number, layer in enumerate(architecture.encoder_lstms):
        name = layer.name
        values = drop(values) if number else values
        if bidirectional:
            backward = lstm(n_units, f"{name}_backward", "encoder", backwards=True)
            forward = lstm(n_units, name, "encoder")
            bidirectional_layer = stock.Bidirectional(forward, backward_layer=backward, name=name)
            values, *ends = bidirectional_layer(values)
            states += [
                stock.Concatenate()([ends[0], ends[2]]),
                stock.Concatenate()([ends[1], ends[3]]),
            ]
        else:
            values, *ends = lstm(n_units, name, "encoder")(values)
            states += ends
    memory = [values] if attention == "dot" else []
    has_biases = bool(memory and attention_radius)
    if has_biases:  # the first position, 0
        states.append(ops.zeros_like(ops.sum(states[0], axis=1, keepdims=True)))

    embed_target = embed(n_output, TARGET_EMBEDDING) if embedding else lambda tokens: tokens
    decoders = [lstm(width, layer.name, "decoder") for layer in architecture.decoder_lstms]
    if memory:
        keys, combine = (dense(layer) for layer in architecture.attention_layers[:2])
        attend = stock.Attention(name="attention")
        tables = [
            stock.Embedding(*layer.shapes[0], "zeros", name=layer.name)
            for layer in architecture.attention_layers[2:]
        ]
    output = dense(architecture.output)

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
        if has_biases:
            context, position = _attend_by_position(
                values, memory[0], keys, tables, states[-1], target_length
            )
            values = combine(stock.Concatenate()([context, values]))
            after.append(position)
        elif memory:
            outputs = stock.Masking()(memory[0]) if masked else memory[0]
            context = attend([values, outputs, keys(outputs)])
            values = combine(stock.Concatenate()([context, values]))
        return [output(drop(values)), *after]

    shifted = sequence(n_output, "shifted_target")
    train = keras.Model([source, shifted], decode(shifted, states, memory)[0], name="train")
    encoder = keras.Model(source, [*states, *memory], name="inference_encoder")
    state_inputs = [
        keras.Input((width,), name=numbered(kind, number))
        for number in range(layers)
        for kind in ("hidden", "cell")
    ]
    if has_biases:
        state_inputs.append(keras.Input((1,), name="position"))
    attended = [keras.Input((None, width), name="encoder_outputs")] if memory else []
    inputs = [shifted, *state_inputs, *attended]
    decoder = keras.Model(inputs, decode(shifted, state_inputs, attended), name="inference_decoder")
    return train, encoder, decoder


def _attend_by_position(
    values: Tensor,
    memory: Tensor,
    keys: stock.Dense,
    tables: list[stock.Embedding],
    position: Tensor,
    target_length: int | None,
) -> tuple[Tensor, Tensor]:
    """Return the contexts of `values`, the first of which is at `position`, and the next position.

    The formula is in `Architecture.attention_layers`.
    """
    radius = tables[0].input_dim // 2
    slots = ops.pad(memory, ((0, 0), (1, 1), (0, 0)))
    is_real = ops.cast(ops.any(ops.not_equal(memory, 0), axis=-1), "float32")
    lengths = ops.sum(is_real, axis=1, keepdims=True)
    # The source's n tokens and the two slots around them are at positions -1 to n.
    source = _numbers(slots) - 2
    target = position + _numbers(values) - 1
    source_left, target_left = lengths - 1 - source, (target_length or 1) - 1 - target
    offsets = [
        ops.expand_dims(i, 1) - ops.expand_dims(t, 2)
        for i in (source, source_left)
        for t in (target, target_left)
    ]
    biases = stock.Add()(
        [
            table(ops.clip(offset, -radius, radius) + radius)
            for table, offset in zip(tables, offsets, strict=True)
        ]
    )
    scores = stock.Dot(2)([values, keys(slots)])
    scores += ops.squeeze(stock.Rescaling(BIAS_SCALE)(biases), -1)
    scores = ops.where(ops.expand_dims(source <= lengths, 1), scores, -1e9)
    context = stock.Dot((2, 1))([stock.Softmax()(scores), slots])
    return context, ops.max(target, axis=1, keepdims=True) + 1


def _numbers(sequences: Tensor) -> Tensor:
    """Return the steps of sequences, numbered from 1, (batch, steps)."""
    return ops.cumsum(ops.ones_like(ops.sum(sequences, axis=-1)), axis=1)


def build_models(config: RunConfig, embedding: Floats | None = None) -> Models:
    """Return the models of a configuration, with a pretrained embedding (cardinality, size)."""
    task, model = config.task, config.model
    architecture = Architecture.of(config)
    settings = model.model_dump(
        exclude={"units", "pretrained_embedding", "pretrained_embedding_sha256"}
    )
    models = define_models(
        architecture.n_input,
        architecture.n_output,
        model.units,
        config.training.seed,
        masked=task.has_end,
        target_length=architecture.target_length,
        **settings,
    )
    if embedding is not None:
        for name in (SOURCE_EMBEDDING, TARGET_EMBEDDING):
            variable = models[0].get_layer(name).embeddings
            variable.assign(np.concatenate([embedding, variable.numpy()[len(embedding) :]]))
    return models


def models_to_save(
    config: RunConfig, weights: Sequence[Floats]
) -> dict[str, Callable[[Path], object]]:
    """Return a function that writes each model's file, with these weights of the train model.

    The models are separate: saving never touches the variables in training.
    """
    models = build_models(config)
    for variable, array in zip(models[0].trainable_variables, weights, strict=True):
        variable.assign(array)
    names = (TRAIN_MODEL, ENCODER_MODEL, DECODER_MODEL)
    return {name: partial(_save, model) for name, model in zip(names, models, strict=True)}


def _save(model: keras.Model, path: Path) -> None:
    """Write a model's file; Keras' temporary files are next to it."""
    with temporary_folder(path.parent):
        model.save(path)


def _seeds(seed: int | None) -> Iterator[int]:
    """Yield a seed for each initializer: equal ones would give equal weights."""
    generator = np.random.default_rng(seed)
    while True:
        yield int(generator.integers(2**31))
