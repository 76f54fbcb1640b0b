"""The compiled training loop: many optimizer steps a call, ids in, one-hot inside.

The steps run in one XLA program over the variables of the stock layers and the stock optimizer.
The program takes a buffer of CHUNK batches and the number of them that count, so a shorter last
chunk runs the same program.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from seq2seq_cli.config import TrainingConfig
from seq2seq_cli.vocabulary import PADDING, Floats, Ids, shift_right

CHUNK = 100
"""Most optimizer steps in one call."""


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
        self._validate = tf.function(self._scores, jit_compile=True)

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
        probabilities = self.model(
            [tf.one_hot(sources, self.cardinality), tf.one_hot(shifted, self.cardinality)],
            training=True,
        )
        losses = keras.losses.sparse_categorical_crossentropy(targets, probabilities)
        return losses, tf.argmax(probabilities, axis=-1, output_type=tf.int32)


def _fill(array: Any, shape: tuple[int, ...]) -> Any:
    """Return the array's rows as the beginning of a buffer of this shape."""
    buffer = np.full(shape, PADDING, array.dtype)
    buffer.reshape(-1)[: array.size] = array.reshape(-1)
    return buffer
