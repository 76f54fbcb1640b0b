"""The train model as a function of its weights, ids -> losses: what the loop differentiates.

It computes what the stock layers of `define_models` do, from their weights, by arithmetic of our
own: one-hot vectors are never built, input projections are a single product or a gather over all
steps, and the two directions of an encoder, or the two halves of a batch, run side by side.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from seq2seq_cli.architecture import (
    COMBINING_LAYER,
    DECODER_LAYER,
    ENCODER_LAYER,
    KEYS_LAYER,
    OUTPUT_LAYER,
    SOURCE_EMBEDDING,
    TARGET_EMBEDDING,
    numbered,
)
from seq2seq_cli.config import ModelConfig, RunConfig
from seq2seq_cli.data.vocabulary import PADDING
from seq2seq_cli.training.program.lookup import gather_rows
from seq2seq_cli.training.program.looped import looped
from seq2seq_cli.training.program.recurrent import LstmCall, LstmOutputs
from seq2seq_cli.training.program.unrolled import unrolled

Tensor = Any
RunCalls = Callable[[list[LstmCall]], list[LstmOutputs]]
"""Runs LSTMs over sequences side by side: unrolled, or in a loop."""

SHARDS = 2
"""Independent parts of a batch, which XLA runs side by side on two cores. It is not the number of
cores, since sums in another order would give other weights on another machine."""

UNROLLED_LENGTH = 12
UNROLLED_AFTER = 200
"""An unrolled LSTM is faster than a loop over its steps, but each step adds to the program, and
compiling it takes longer. So sequences up to UNROLLED_LENGTH are unrolled, once a training has
UNROLLED_AFTER optimizer steps for each step of the longest one: there the two are even, as
`tests/benchmarks/scaling.py --unroll` measures."""


def is_unrolled(config: RunConfig, n_in: int, n_out: int) -> bool:
    """Tell whether LSTMs over sequences of these widths are unrolled, where nothing is dropped."""
    longest = max(n_in, n_out)
    short = longest <= UNROLLED_LENGTH
    simple = not (config.task.has_end or config.model.bidirectional)
    return short and simple and config.training.total_steps >= UNROLLED_AFTER * longest


class Forward:
    """The train model's arithmetic; `weights` stand for its trainable variables, in their order."""

    def __init__(self, model: keras.Model, config: RunConfig) -> None:
        order = {id(variable): i for i, variable in enumerate(model.trainable_variables)}
        self._places = {
            layer.name: [order[id(variable)] for variable in layer.trainable_variables]
            for layer in model.layers
        }
        self._config = config
        self._padded = config.task.has_end  # sources of several lengths

    def scores(
        self,
        weights: list[Tensor],
        sources: Tensor,
        shifted: Tensor,
        targets: Tensor,
        step: Tensor,
        seed: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return the cross-entropy at each target position, and its margin, (batch, n_out) each.

        The margin is the target's logit less the largest one of all tokens, which the reserved id
        is not: zero where it is the most likely token, else below. At padding both are zero.
        """
        found = self._logits(weights, sources, shifted, step, seed)
        scores = []
        # In their order, time first: logits are the largest array, and turned they would be copied.
        for logits, ids in zip(found, tf.split(tf.transpose(targets), len(found), 1), strict=True):
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(ids, logits)
            # Not argmax, which costs a second to compile.
            own = tf.gather(logits, ids, axis=-1, batch_dims=2)
            real = tf.cast(ids != PADDING, losses.dtype)
            margins = (own - tf.reduce_max(logits[..., PADDING + 1 :], axis=-1)) * real
            scores.append((losses * real, margins))
        losses, margins = (tf.transpose(tf.concat(parts, 1)) for parts in zip(*scores, strict=True))
        return losses, margins

    def logits(
        self,
        weights: list[Tensor],
        sources: Tensor,
        shifted: Tensor,
        step: Tensor | None = None,
        seed: Tensor | None = None,
    ) -> Tensor:
        """Return unnormalised log-probabilities (batch, n_out, n_features).

        With the number of an optimizer step and a seed, int32 each, it is the model in training,
        whose dropout is a pure function of them; without, it is the model that predicts.
        """
        found = self._logits(weights, sources, shifted, step, seed)
        return tf.transpose(tf.concat(found, axis=1), (1, 0, 2))

    def _logits(
        self,
        weights: list[Tensor],
        sources: Tensor,
        shifted: Tensor,
        step: Tensor | None,
        seed: Tensor | None,
    ) -> list[Tensor]:
        """Return them for equal parts of the batch, (n_out, batch, n_features) each."""
        layers = {
            name: [weights[place] for place in places] for name, places in self._places.items()
        }
        model = _Call(layers, self._config.model, step, seed)
        short = is_unrolled(self._config, sources.shape[1], shifted.shape[1])
        run = _unroll if short and not model.drops else looped
        # The two directions of an encoder are side by side already.
        is_split = sources.shape[0] % SHARDS == 0 and not self._config.model.bidirectional
        shards = SHARDS if is_split else 1
        parts = [
            _Part(ids, before, ids != PADDING if self._padded else None)
            for ids, before in zip(
                tf.split(tf.transpose(sources), shards, axis=1),
                tf.split(tf.transpose(shifted), shards, axis=1),
                strict=True,
            )
        ]
        return model.logits(parts, run)


def _joined(tensors: list[Tensor], axis: int) -> Tensor:
    return tensors[0] if len(tensors) == 1 else tf.concat(tensors, axis)


def _unroll(calls: list[LstmCall]) -> list[LstmOutputs]:
    return [unrolled(call) for call in calls]


class _Part(NamedTuple):
    """Rows of a batch; nothing ties them to the others before the losses."""

    sources: Tensor  # (n_in, batch)
    shifted: Tensor  # (n_out, batch)
    mask: Tensor | None  # (n_in, batch): false at padding


class _Call:
    """The model with these weights, at one step."""

    def __init__(
        self,
        layers: dict[str, list[Tensor]],
        config: ModelConfig,
        step: Tensor | None,
        seed: Tensor | None,
    ) -> None:
        self._layers, self._config = layers, config
        self._step, self._seed = step, seed
        self._sites = 0  # of dropout so far, each of which has its own random numbers

    @property
    def drops(self) -> bool:
        """Whether there is dropout."""
        return self._step is not None and bool(
            self._config.dropout or self._config.token_dropout or self._config.recurrent_dropout
        )

    def logits(self, parts: Sequence[_Part], run: RunCalls) -> list[Tensor]:
        """Return (n_out, batch, n_features) for each of the parts, which run side by side."""
        config, last = self._config, self._config.layers - 1
        values = [part.sources for part in parts]
        states = []
        for number in range(config.layers):
            weights = self._layers[numbered(ENCODER_LAYER, number)]
            directions = range(0, len(weights), 3)
            is_used = number < last or config.attention != "none"
            calls = []
            for inputs, part in zip(values, parts, strict=True):
                inputs = self._inputs(inputs, SOURCE_EMBEDDING, number)
                for i in directions:
                    call = self._lstm_call(inputs, weights[i : i + 3], None, part.mask)
                    calls.append(call._replace(reverse=i > 0, gives_outputs=is_used))
            found, n = run(calls), len(directions)
            ends = [found[i : i + n] for i in range(0, len(found), n)]
            values = [_joined([end.outputs for end in both], 2) for both in ends] if is_used else []
            states.append(
                [
                    (_joined([e.hidden for e in both], 1), _joined([e.cell for e in both], 1))
                    for both in ends
                ]
            )
        memories, values = values, [part.shifted for part in parts]
        for number in range(config.layers):
            weights = self._layers[numbered(DECODER_LAYER, number)]
            rate = config.token_dropout if number == 0 else 0.0
            calls = []
            for ids, state in zip(values, states[number], strict=True):
                inputs = self._inputs(ids, TARGET_EMBEDDING, number)
                kept = self._factors(ids.shape[:2], rate)
                call = self._lstm_call(inputs, weights, state, kept=kept)
                calls.append(call._replace(gives_state=False))
            values = [end.outputs for end in run(calls)]
        if config.attention == "dot":
            values = [
                self._attend(outputs, memory, part.mask)
                for outputs, memory, part in zip(values, memories, parts, strict=True)
            ]
        kernel, bias = self._layers[OUTPUT_LAYER]
        return [tf.tensordot(self._drop(x, config.dropout), kernel, 1) + bias for x in values]

    def _inputs(self, values: Tensor, embedding: str, number: int) -> Tensor:
        """Return a layer's inputs: ids (steps, batch), or vectors (steps, batch, width).

        Ids stand for rows of a product of the embedding with a kernel, unless they are fewer than
        its rows, or the vectors are to be dropped.
        """
        if number:
            return self._drop(values, self._config.dropout)
        if self._config.embedding:
            (table,) = self._layers[embedding]
            dropped = self._config.dropout and self.drops
            if dropped or values.shape.num_elements() < table.shape[0]:
                return self._drop(gather_rows(table, values), self._config.dropout)
        return values

    def _lstm_call(
        self,
        inputs: Tensor,
        weights: Sequence[Tensor],
        state: tuple[Tensor, Tensor] | None,
        mask: Tensor | None = None,
        kept: Tensor | None = None,
    ) -> LstmCall:
        """Return an LSTM's run; `kept` (steps, batch) are factors of its inputs."""
        kernel, recurrent_kernel, bias = weights
        part, embedding = ("decoder", TARGET_EMBEDDING) if state else ("encoder", SOURCE_EMBEDDING)
        if inputs.dtype.is_integer:
            if self._config.embedding:
                (table,) = self._layers[embedding]
                kernel = tf.matmul(table, kernel)  # (cardinality, size) @ (size, 4 units)
            if kept is None:
                projected = gather_rows(kernel + bias, inputs)
            else:
                projected = gather_rows(kernel, inputs) * kept[:, :, tf.newaxis] + bias
        else:
            if kept is not None:
                inputs *= kept[:, :, tf.newaxis]
            projected = tf.tensordot(inputs, kernel, 1) + bias
        drops = self._config.recurrent_dropout_in in ("both", part)
        shape = (inputs.shape[1], recurrent_kernel.shape[0])
        dropped = self._factors(shape, self._config.recurrent_dropout if drops else 0.0)
        return LstmCall(projected, recurrent_kernel, state, mask, dropped)

    def _attend(self, values: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """Return attentional vectors for the decoder's outputs, (n_out, batch, width) both.

        `memory` are the encoder's outputs (steps, batch, width).
        """
        (keys_kernel,) = self._layers[KEYS_LAYER]
        kernel, bias = self._layers[COMBINING_LAYER]
        memory = tf.transpose(memory, (1, 0, 2))
        keys = tf.tensordot(memory, keys_kernel, 1)
        queries = tf.transpose(values, (1, 0, 2))
        scores = tf.matmul(queries, keys, transpose_b=True)  # (batch, n_out, steps)
        if mask is not None:
            scores = tf.where(tf.transpose(mask)[:, tf.newaxis], scores, -1e9)
        context = tf.matmul(tf.nn.softmax(scores), memory)  # (batch, n_out, width)
        both = tf.concat([tf.transpose(context, (1, 0, 2)), values], axis=2)
        return tf.tanh(tf.tensordot(both, kernel, 1) + bias)

    def _factors(self, shape: Sequence[int], rate: float) -> Tensor | None:
        """Return dropout's factors, where there is any: zero, or a little more than one."""
        return (
            self._drop(tf.constant(1.0, shape=shape), rate)
            if self._step is not None and rate
            else None
        )

    def _drop(self, values: Tensor, rate: float) -> Tensor:
        """Return values with a share of them zero, and the others as much larger."""
        if self._step is None or not rate:
            return values
        self._sites += 1
        assert self._seed is not None  # it is given with every step
        seed = tf.stack([self._seed + self._sites, self._step])
        kept = tf.random.stateless_uniform(values.shape, seed) >= rate
        return tf.where(kept, values / (1 - rate), 0.0)
