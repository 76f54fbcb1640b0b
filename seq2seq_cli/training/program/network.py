"""The train model's layers, over parts of a batch that run in parallel.

They compute what the stock layers of `define_models` do, from their weights: one-hot vectors are
never built, and input projections are a single product or gather over all steps.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from seq2seq_cli.architecture import (
    BIAS_LAYER,
    BIAS_SCALE,
    COMBINING_LAYER,
    DECODER_LAYER,
    ENCODER_LAYER,
    KEYS_LAYER,
    N_BIASES,
    OUTPUT_LAYER,
    SOURCE_EMBEDDING,
    TARGET_EMBEDDING,
    numbered,
)
from seq2seq_cli.config import ModelConfig
from seq2seq_cli.training.program.device import layout
from seq2seq_cli.training.program.recurrent import LstmCall, LstmOutputs

Tensor = Any
RunCalls = Callable[[list[LstmCall]], list[LstmOutputs]]
"""Runs LSTMs over sequences in parallel."""


class Part(NamedTuple):
    """Rows of a batch, independent of the other parts until the losses are summed."""

    sources: Tensor  # (n_in, batch)
    shifted: Tensor  # (n_out, batch)
    mask: Tensor | None  # (n_in, batch): false at padding


class Network:
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
        self._sites = 0  # dropout sites so far, each with its own random numbers

    @property
    def drops(self) -> bool:
        """Whether there is dropout."""
        return self._step is not None and bool(
            self._config.dropout or self._config.token_dropout or self._config.recurrent_dropout
        )

    def logits(self, parts: Sequence[Part], run: RunCalls) -> list[Tensor]:
        """Return the logits (n_out, batch, n_features) of each part."""
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
            results, n = run(calls), len(directions)
            ends = [results[i : i + n] for i in range(0, len(results), n)]
            values = (
                [_joined([end.outputs for end in group], 2) for group in ends] if is_used else []
            )
            states.append(
                [
                    (
                        _joined([e.hidden for e in group], 1),
                        _joined([e.cell for e in group], 1),
                    )
                    for group in ends
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

        Ids are looked up later, in the product of embedding and kernel, unless there are fewer ids
        than rows in the table, or dropout applies to the vectors.
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
        """Return the call of an LSTM; `kept` (steps, batch) are factors of its inputs."""
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
        if self._config.attention_radius:
            weights = self._positioned_weights(scores, mask)
        else:
            weights = tf.nn.softmax(_masked(scores, mask, -1e9))
        context = tf.matmul(weights, memory)  # (batch, n_out, width)
        joined = tf.concat([tf.transpose(context, (1, 0, 2)), values], axis=2)
        return tf.tanh(tf.tensordot(joined, kernel, 1) + bias)

    def _positioned_weights(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        """Return attention's weights from scores by content, (batch, n_out, n_in) both.

        The remaining weight is on positions before and after the source, scored by biases alone.
        """
        _, n_out, n_in = scores.shape
        biases = self._position_biases(n_in, n_out, mask)
        scores = tf.pad(_masked(scores, mask, 0.0), ((0, 0), (0, 0), (1, 1))) + biases
        if mask is not None:
            scores = _masked(scores, tf.pad(mask, ((2, 0), (0, 0)), constant_values=True), -1e9)
        return _masked(tf.nn.softmax(scores)[:, :, 1:-1], mask, 0.0)

    def _position_biases(self, n_in: int, n_out: int, mask: Tensor | None) -> Tensor:
        """Return attention's biases (batch or 1, n_out, n_in + 2), as in `Architecture`.

        They are constant along the diagonals j - t and j + t, so each is a sliding window of a
        vector.
        """
        radius = self._config.attention_radius
        tables = [self._layers[numbered(BIAS_LAYER, i)][0] for i in range(N_BIASES)]

        def look_up(table: int, offsets: Tensor) -> Tensor:
            rows = tf.clip_by_value(offsets, -radius, radius) + radius
            return gather_rows(tables[table], rows)[..., 0]

        if mask is None:
            source_last, last = tf.constant([[n_in - 1]]), n_out - 1
        else:
            lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=0)
            source_last, last = lengths[:, tf.newaxis] - 1, 0
        differences, sums = tf.range(-n_out, n_in + 1), tf.range(-1, n_in + n_out)
        along = look_up(0, differences) + look_up(3, source_last - last - differences)
        across = look_up(1, sums - last) + look_up(2, source_last - sums)
        parts = [_windows(across, n_out), tf.reverse(_windows(along, n_out), [1])]
        # A product, which XLA computes once: a sum would be computed again for each score.
        return tf.tensordot([BIAS_SCALE] * 2, tf.stack(parts), 1)

    def _factors(self, shape: Sequence[int], rate: float) -> Tensor | None:
        """Return dropout's factors, 0 or 1 / (1 - rate); None without dropout."""
        return (
            self._drop(tf.constant(1.0, shape=shape), rate)
            if self._step is not None and rate
            else None
        )

    def _drop(self, values: Tensor, rate: float) -> Tensor:
        if self._step is None or not rate:
            return values
        self._sites += 1
        assert self._seed is not None  # every step has one
        words = tf.cast(self._seed, tf.int64) + self._sites, tf.cast(self._step, tf.int64)
        kept = tf.random.stateless_uniform(values.shape, tf.stack(words)) >= rate
        return tf.where(kept, values / (1 - rate), 0.0)


def gather_rows(table: Tensor, ids: Tensor) -> Tensor:
    """Return rows of `table` (rows, width) for `ids` of any shape: (..., width).

    It is the product of one-hot vectors with the table, without the one-hot array.
    """
    rows, width = table.shape

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def gather(table: Tensor) -> tuple[Tensor, Any]:
        def gradient(upstream: Tensor) -> Tensor:
            flat, d_rows = tf.reshape(ids, (-1,)), tf.reshape(upstream, (-1, width))
            if rows >= layout().scattered_rows:
                return tf.math.unsorted_segment_sum(d_rows, flat, rows)
            return tf.matmul(tf.one_hot(flat, rows), d_rows, transpose_a=True)

        return tf.gather(table, ids), gradient

    return gather(table)


def _masked(values: Tensor, mask: Tensor | None, replacement: float) -> Tensor:
    """Return values (batch, n_out, steps), replaced where the mask (steps, batch) is false."""
    if mask is None:
        return values
    return tf.where(tf.transpose(mask)[:, tf.newaxis], values, replacement)


def _windows(vectors: Tensor, n: int) -> Tensor:
    """Return the first n windows of vectors (rows, length): (rows, n, length - n + 1).

    Repeating a vector and cutting it into rows one value longer makes row i begin at value i.
    """
    rows, length = vectors.shape
    repeated = tf.tile(vectors, (1, n + 1))[:, : n * (length + 1)]
    return tf.reshape(repeated, (rows, n, length + 1))[:, :, : length - n + 1]


def _joined(tensors: list[Tensor], axis: int) -> Tensor:
    return tensors[0] if len(tensors) == 1 else tf.concat(tensors, axis)
