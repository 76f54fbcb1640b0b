"""The compiled training loop: many optimizer steps a call, ids in, one-hot inside.

The steps run in one XLA program over the variables of the stock layers and the stock optimizer.
The program takes a buffer of CHUNK batches and the number of them that count, so a shorter last
chunk runs the same program. Short sequences are unrolled, see `recurrent`; long ones go through the
stock layers' own loops, since a program grows with the steps it unrolls.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from seq2seq_cli.config import TrainingConfig
from seq2seq_cli.training.models import DECODER_LAYER, ENCODER_LAYER, OUTPUT_LAYER
from seq2seq_cli.training.recurrent import gather_rows, unrolled_lstm
from seq2seq_cli.vocabulary import PADDING, Floats, Ids, shift_right

CHUNK = 100
"""Most optimizer steps in one call."""


UNROLLED_STEPS = 16
"""Sequences up to this long are unrolled."""

SHARDS = 2
"""Independent parts of an unrolled batch, which XLA runs side by side on two cores. It is not the
number of cores, since sums in another order would give other weights on another machine."""


class ChunkResult(NamedTuple):
    """Sums over the sequences of a chunk, before each batch's own update."""

    loss: float  # mean cross-entropy of a token, in nats
    exact: int  # sequences without a wrong token
    right: int  # right tokens
    n_samples: int


class Loop:
    """A train model, its optimizer, and the compiled programs that train and validate it.

    `traces` counts how often the training program was traced: once, whatever the chunks' sizes.
    """

    def __init__(self, model: keras.Model, config: TrainingConfig) -> None:
        self.model = model
        self.cardinality = int(model.outputs[0].shape[-1])
        self.batch_size = config.batch_size
        self.clip_norm = config.clip_norm
        self.optimizer = keras.optimizers.Adam(config.learning_rate)
        self.optimizer.build(model.trainable_variables)
        self.traces = 0
        self._train = tf.function(self._train_steps, jit_compile=True)
        self._validate = tf.function(self._layer_scores)

    def train(self, sources: Ids, targets: Ids, rates: Floats) -> ChunkResult:
        """Take a step for each rate, at most CHUNK, on consecutive batches of these sequences.

        Sources have shape (steps * batch_size, n_in), targets (steps * batch_size, n_out).
        """
        steps = len(rates)
        loss, exact, right = self._train(
            _fill(sources, (CHUNK, self.batch_size, sources.shape[1])),
            _fill(shift_right(targets), (CHUNK, self.batch_size, targets.shape[1])),
            _fill(targets, (CHUNK, self.batch_size, targets.shape[1])),
            _fill(rates, (CHUNK,)),
            tf.constant(steps),
        )
        return ChunkResult(float(loss) / steps, int(exact), int(right), steps * self.batch_size)

    def validate(self, sources: Ids, targets: Ids) -> tuple[Ids, float]:
        """Predict under teacher forcing: tokens (n, n_out), and the summed log-likelihood.

        A sequence that is fully right this way is fully right in free running too.
        """
        losses, tokens = self._validate(sources, shift_right(targets), targets)
        return tokens.numpy(), -float(losses.numpy().sum(dtype=np.float64))

    def _train_steps(
        self, sources: Any, shifted: Any, targets: Any, rates: Any, steps: Any
    ) -> tuple[Any, Any, Any]:
        self.traces += 1
        variables = self.model.trainable_variables
        loss_sum, exact, right = tf.constant(0.0), tf.constant(0), tf.constant(0)
        i = tf.constant(0)
        while i < steps:  # not tf.range: XLA would compile anew for each number of steps
            with tf.GradientTape() as tape:
                losses, tokens = self._scores(sources[i], shifted[i], targets[i])
                loss = tf.reduce_mean(losses)
            gradients = tape.gradient(loss, variables)
            if self.clip_norm:
                gradients, _ = tf.clip_by_global_norm(gradients, self.clip_norm)
            self.optimizer.learning_rate.assign(rates[i])
            self.optimizer.apply(gradients, variables)
            hits = tf.equal(tokens, targets[i])
            loss_sum += loss
            exact += tf.math.count_nonzero(tf.reduce_all(hits, axis=1), dtype=tf.int32)
            right += tf.math.count_nonzero(hits, dtype=tf.int32)
            i += 1
        return loss_sum, exact, right

    def _scores(self, sources: Any, shifted: Any, targets: Any) -> tuple[Any, Any]:
        """Cross-entropy and the most likely token at each target position, (batch, n_out) each."""
        if max(sources.shape[1], targets.shape[1]) > UNROLLED_STEPS:
            return self._layer_scores(sources, shifted, targets)
        batch = sources.shape[0]
        shards = SHARDS if batch % SHARDS == 0 else 1
        parts = zip(*(tf.split(ids, shards) for ids in (sources, shifted, targets)), strict=True)
        losses, tokens = zip(*(self._unrolled_scores(*part) for part in parts), strict=True)
        return tf.concat(losses, axis=0), tf.concat(tokens, axis=0)

    def _unrolled_scores(self, sources: Any, shifted: Any, targets: Any) -> tuple[Any, Any]:
        encoder = self.model.get_layer(ENCODER_LAYER).cell
        decoder = self.model.get_layer(DECODER_LAYER).cell
        output = self.model.get_layer(OUTPUT_LAYER)
        _, *state = unrolled_lstm(_gate_inputs(encoder, sources), encoder.recurrent_kernel.value)
        hidden = unrolled_lstm(
            _gate_inputs(decoder, shifted), decoder.recurrent_kernel.value, (state[0], state[1])
        ).outputs  # (n_out, batch, units)
        logits = tf.tensordot(hidden, output.kernel.value, 1) + output.bias.value
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.transpose(targets), logits)
        tokens = tf.argmax(logits, axis=-1, output_type=tf.int32)
        return tf.transpose(losses), tf.transpose(tokens)

    def _layer_scores(self, sources: Any, shifted: Any, targets: Any) -> tuple[Any, Any]:
        probabilities = self.model(
            [tf.one_hot(sources, self.cardinality), tf.one_hot(shifted, self.cardinality)],
            training=True,
        )
        losses = keras.losses.sparse_categorical_crossentropy(targets, probabilities)
        return losses, tf.argmax(probabilities, axis=-1, output_type=tf.int32)


def _gate_inputs(cell: Any, ids: Any) -> Any:
    """One-hot encoded ids (batch, steps) times the cell's kernel, plus bias; steps first."""
    return gather_rows(cell.kernel.value + cell.bias.value, tf.transpose(ids))


def _fill(array: Any, shape: tuple[int, ...]) -> Any:
    """Return the array's rows as the beginning of a buffer of this shape."""
    buffer = np.full(shape, PADDING, array.dtype)
    buffer.reshape(-1)[: array.size] = array.reshape(-1)
    return buffer
