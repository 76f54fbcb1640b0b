"""The compiled training loop: many optimizer steps a call, ids in, one-hot inside.

The steps run in one XLA program over the weights of the stock layers.
The program takes a buffer of CHUNK batches and the number of them that count, so a shorter last
chunk runs the same program. Short sequences are unrolled, see `recurrent`; long ones go through the
stock layers' own loops, since a program grows with the steps it unrolls.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from seq2seq_cli.config import TrainingConfig
from seq2seq_cli.training.adam import adam_step
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
    """Sums over the sequences of a chunk, each counted before its batch's own update."""

    loss: float  # mean cross-entropy of a token, in nats; not finite where it stopped the chunk
    exact: int  # sequences without a wrong token
    n_samples: int


class State(NamedTuple):
    """All that a training changes: with it, any number of processes take the same steps."""

    weights: list[Floats]  # in the order of the model's trainable variables
    first: list[Floats]  # Adam's moments of them
    second: list[Floats]
    steps_done: int
    loss_sum: float  # of the steps' losses, since the beginning


class Loop:
    """A train model, Adam's moments for it, and the programs that train and validate it.

    `traces` counts how often the training program was traced: once, whatever the chunks' sizes.
    """

    def __init__(self, model: keras.Model, config: TrainingConfig) -> None:
        self.model = model
        self.cardinality = int(model.outputs[0].shape[-1])
        self.batch_size = config.batch_size
        self.clip_norm = config.clip_norm
        weights = [variable.value for variable in model.trainable_variables]
        moments = [[tf.Variable(tf.zeros_like(w)) for w in weights] for _ in range(2)]
        self._variables = (weights, *moments)
        self._steps_done = tf.Variable(0)
        self._loss_sum = tf.Variable(0.0, dtype=tf.float64)
        self.traces = 0
        self._train = tf.function(self._train_steps, jit_compile=True)
        self._validate = tf.function(self._validation_scores)

    @property
    def steps_done(self) -> int:
        """Number of optimizer steps taken."""
        return int(self._steps_done)

    @property
    def state(self) -> State:
        """A copy of the state."""
        weights, first, second = (
            [variable.numpy() for variable in group] for group in self._variables
        )
        return State(weights, first, second, self.steps_done, float(self._loss_sum))

    @state.setter
    def state(self, state: State) -> None:
        for group, arrays in zip(self._variables, state[:3], strict=True):
            for variable, array in zip(group, arrays, strict=True):
                variable.assign(array)
        self._steps_done.assign(state.steps_done)
        self._loss_sum.assign(state.loss_sum)

    def train(self, sources: Ids, targets: Ids, rates: Floats) -> ChunkResult:
        """Take a step for each rate, at most CHUNK, on consecutive batches of these sequences.

        Sources have shape (steps * batch_size, n_in), targets (steps * batch_size, n_out). A loss
        that is not finite ends the chunk after its step.
        """
        steps = len(rates)
        loss, last, exact = self._train(
            _fill(sources, (CHUNK, self.batch_size, sources.shape[1])),
            _fill(shift_right(targets), (CHUNK, self.batch_size, targets.shape[1])),
            _fill(targets, (CHUNK, self.batch_size, targets.shape[1])),
            _fill(rates, (CHUNK,)),
            tf.constant(steps),
        )
        mean = float(loss) / steps if np.isfinite(last) else float(last)
        return ChunkResult(mean, int(exact), steps * self.batch_size)

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

        def step(i: Any, last: Any, loss_sum: Any, exact: Any, *tensors: Any) -> tuple[Any, ...]:
            weights, first, second = tensors
            with tf.GradientTape() as tape:
                tape.watch(weights)
                losses, hits = self._scores(weights, sources[i], shifted[i], targets[i])
                loss = tf.reduce_mean(losses)
            gradients = tape.gradient(loss, weights)
            if self.clip_norm:
                gradients, _ = tf.clip_by_global_norm(gradients, self.clip_norm)
            moved = adam_step(weights, first, second, gradients, rates[i], done + i + 1)
            right = tf.math.count_nonzero(tf.reduce_all(hits, axis=1), dtype=tf.int32)
            return i + 1, loss, loss_sum + tf.cast(loss, tf.float64), exact + right, *moved

        # Weights and moments travel through the loop as plain tensors: as variables they would be
        # read and written in each step, and the program would take twice as long to compile.
        # Not tf.range: XLA would compile anew for each number of steps.
        done, loss_before = self._steps_done.read_value(), self._loss_sum.read_value()
        taken, last, loss_sum, exact, *moved = tf.while_loop(
            lambda i, last, *_: (i < steps) & tf.math.is_finite(last),
            step,
            (
                tf.constant(0),
                tf.constant(0.0),
                loss_before,
                tf.constant(0),
                *([v.read_value() for v in group] for group in self._variables),
            ),
        )
        self._steps_done.assign(done + taken)
        self._loss_sum.assign(loss_sum)
        for group, tensors in zip(self._variables, moved, strict=True):
            for variable, tensor in zip(group, tensors, strict=True):
                variable.assign(tensor)
        return loss_sum - loss_before, last, exact

    def _scores(self, weights: Any, sources: Any, shifted: Any, targets: Any) -> tuple[Any, Any]:
        """Cross-entropy at each target position and whether it is right, (batch, n_out) each.

        `weights` stand for the model's trainable variables.
        """
        if max(sources.shape[1], targets.shape[1]) > UNROLLED_STEPS:
            losses, tokens = self._layer_scores(weights, sources, shifted, targets)
            return losses, tf.equal(tokens, targets)
        shards = SHARDS if sources.shape[0] % SHARDS == 0 else 1
        parts = zip(*(tf.split(ids, shards) for ids in (sources, shifted, targets)), strict=True)
        losses, hits = zip(*(_unrolled_scores(weights, *part) for part in parts), strict=True)
        return tf.concat(losses, axis=0), tf.concat(hits, axis=0)

    def _layer_scores(
        self, weights: Any, sources: Any, shifted: Any, targets: Any
    ) -> tuple[Any, Any]:
        """Cross-entropy and most likely token at each position, by the model's own layers."""
        probabilities, _ = self.model.stateless_call(
            weights,
            self.model.non_trainable_variables,
            [tf.one_hot(sources, self.cardinality), tf.one_hot(shifted, self.cardinality)],
            training=True,
        )
        losses = keras.losses.sparse_categorical_crossentropy(targets, probabilities)
        return losses, tf.argmax(probabilities, axis=-1, output_type=tf.int32)

    def _validation_scores(self, sources: Any, shifted: Any, targets: Any) -> tuple[Any, Any]:
        return self._layer_scores(self._variables[0], sources, shifted, targets)


def _unrolled_scores(weights: Any, sources: Any, shifted: Any, targets: Any) -> tuple[Any, Any]:
    """Return losses and hits, (batch, n_out) each, from the weights in the model's order."""
    kernel, recurrent_kernel, bias, *weights = weights
    _, *state = unrolled_lstm(_gate_inputs(kernel, bias, sources), recurrent_kernel)
    kernel, recurrent_kernel, bias, output_kernel, output_bias = weights
    hidden = unrolled_lstm(
        _gate_inputs(kernel, bias, shifted), recurrent_kernel, (state[0], state[1])
    ).outputs  # (n_out, batch, units)
    logits = tf.tensordot(hidden, output_kernel, 1) + output_bias
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.transpose(targets), logits)
    # Not argmax, which costs a second to compile: right is what has the largest logit.
    own = tf.reduce_sum(tf.one_hot(tf.transpose(targets), logits.shape[-1]) * logits, axis=-1)
    return tf.transpose(losses), tf.transpose(own >= tf.reduce_max(logits, axis=-1))


def _gate_inputs(kernel: Any, bias: Any, ids: Any) -> Any:
    """One-hot encoded ids (batch, steps) times the kernel, plus bias; steps first."""
    return gather_rows(kernel + bias, tf.transpose(ids))


def _fill(array: Any, shape: tuple[int, ...]) -> Any:
    """Return the array's rows as the beginning of a buffer of this shape."""
    buffer = np.full(shape, PADDING, array.dtype)
    buffer.reshape(-1)[: array.size] = array.reshape(-1)
    return buffer
