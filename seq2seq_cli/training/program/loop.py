"""The compiled training loop: many optimizer steps per call, on ids.

The steps run in one XLA program over the weights of the stock layers. The program takes a buffer of
CHUNK batches and the number of them to use, so a shorter last chunk runs the same program; what it
computes for a batch is in `forward`.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.vocabulary import PADDING, Floats, Ids, shift_right
from seq2seq_cli.errors import ModelError
from seq2seq_cli.resources import CHUNK
from seq2seq_cli.runs.checkpoint import TrainState
from seq2seq_cli.training.program.forward import Forward
from seq2seq_cli.training.program.keys import named_after
from seq2seq_cli.training.program.optimizer import adam_step


class ChunkResult(NamedTuple):
    """The results of a chunk's steps; each batch is counted before its own update."""

    loss: float  # mean cross-entropy per token, in nats; not finite if that ended the chunk
    exact: int  # sequences without a wrong token
    n_samples: int


class Loop:
    """A train model, Adam's moments for it, and the programs that train and validate it.

    `traces` counts how often the training program was traced: once, whatever the chunk sizes and
    the seed. `ran` holds the lengths of sources and targets for which it is compiled.
    """

    is_one_program = True
    """Whether a call is a single compiled program, which can be cached."""

    call_steps: int | None = None
    """Steps per call; None leaves the number to the caller, up to CHUNK."""

    def __init__(self, model: keras.Model, config: RunConfig) -> None:
        self.batch_size = config.training.batch_size
        self.clip_norm = config.training.clip_norm
        self.model = model
        self._forward = Forward(model, config)
        weights = [variable.value for variable in model.trainable_variables]
        moments = [[tf.Variable(tf.zeros_like(w)) for w in weights] for _ in range(2)]
        self._variables = (weights, *moments)
        # Not int32: TensorFlow keeps those in host memory, where a program compiled for a GPU
        # cannot read them.
        self._steps_done = tf.Variable(0, dtype=tf.int64)
        self._loss_sum = tf.Variable(0.0, dtype=tf.float64)
        self._seed = tf.Variable(dropout_seed(config.training.seed), dtype=tf.int64)
        self.ran: set[tuple[int, int]] = set()
        self.traces = 0
        self._train = tf.function(self._train_steps, jit_compile=True, autograph=False)
        self._validate = tf.function(self._validation_scores, autograph=False)

    @property
    def steps_done(self) -> int:
        """Number of optimizer steps taken."""
        return int(self._steps_done)

    @property
    def state(self) -> TrainState:
        """A copy of the state."""
        weights, first, second = (
            [variable.numpy() for variable in group] for group in self._variables
        )
        return TrainState(weights, first, second, self.steps_done, float(self._loss_sum))

    @state.setter
    def state(self, state: TrainState) -> None:
        order = [tuple(variable.shape) for variable in self._variables[0]]
        if [array.shape for array in state.weights] != order:
            raise ModelError("the checkpoint's arrays are in another order than the model's")
        for group, arrays in zip(self._variables, state[:3], strict=True):
            for variable, array in zip(group, arrays, strict=True):
                variable.assign(array)
        self._steps_done.assign(state.steps_done)
        self._loss_sum.assign(state.loss_sum)

    def restart(self, weights: list[Floats], seed: int) -> None:
        """Begin another training with the same program, from these weights, under this seed."""
        zeros = [np.zeros_like(array) for array in weights]
        self.state = TrainState(weights, zeros, zeros, 0, 0.0)
        self._seed.assign(dropout_seed(seed))

    def trace(self, n_in: int, n_out: int, key: str) -> None:
        """Trace the program that trains on sequences of these widths; `key` names it."""
        source, target = (
            tf.TensorSpec((CHUNK, self.batch_size, width), tf.int32) for width in (n_in, n_out)
        )
        a_step, number = tf.TensorSpec((CHUNK,), tf.float32), tf.TensorSpec((), tf.int32)
        with named_after(key):
            self._train.get_concrete_function(source, target, target, a_step, a_step, number)

    def trace_validation(self, n: int, n_in: int, n_out: int) -> None:
        """Trace the program that validates `n` sequences of these widths."""
        source, target = (tf.TensorSpec((n, width), tf.int32) for width in (n_in, n_out))
        self._validate.get_concrete_function(source, target, target)

    def train(self, sources: Ids, targets: Ids, rates: Floats) -> ChunkResult:
        """Take one step per rate, at most CHUNK, on consecutive batches of these sequences.

        Sources have shape (steps * batch_size, n_in), targets (steps * batch_size, n_out). A loss
        that is not finite ends the chunk after its step.
        """
        steps = len(rates)
        loss, last, exact = self._train(
            fill(sources, (CHUNK, self.batch_size, sources.shape[1])),
            fill(shift_right(targets), (CHUNK, self.batch_size, targets.shape[1])),
            fill(targets, (CHUNK, self.batch_size, targets.shape[1])),
            fill(rates, (CHUNK,)),
            fill(token_counts(targets, steps), (CHUNK,)),
            tf.constant(steps),
        )
        return self._result(loss, last, exact, steps)

    def _result(self, loss: Any, last: Any, exact: Any, steps: int) -> ChunkResult:
        mean = float(loss) / steps if np.isfinite(last) else float(last)
        return ChunkResult(mean, int(exact), steps * self.batch_size)

    def validate(self, sources: Ids, targets: Ids) -> tuple[Ids, float]:
        """Predict under teacher forcing: tokens (n, n_out), and the summed log-likelihood.

        A sequence that is entirely right this way is entirely right in free running too.
        """
        losses, tokens = self._validate(sources, shift_right(targets), targets)
        return tokens.numpy(), -float(losses.numpy().sum(dtype=np.float64))

    def _train_steps(
        self, sources: Any, shifted: Any, targets: Any, rates: Any, counts: Any, steps: Any
    ) -> tuple[Any, Any, Any]:
        self.traces += 1
        done, seed, loss_before = self._counters()

        def step(i: Any, last: Any, loss_sum: Any, exact: Any, *tensors: Any) -> tuple[Any, ...]:
            gradients, loss, right = self._gradients(
                tensors[0], sources[i], shifted[i], targets[i], counts[i], done + i, seed
            )
            weights, first, second = tensors
            moved = self._moved(weights, first, second, gradients, rates[i], done + i + 1)
            return i + 1, loss, loss_sum + tf.cast(loss, tf.float64), exact + right, *moved

        return self._take(step, steps, done, loss_before)

    def _take(self, step: Any, steps: Any, done: Any, loss_before: Any) -> tuple[Any, Any, Any]:
        """Take steps while the loss is finite; return their loss's sum, the last loss and exact."""
        # Weights and moments are plain loop tensors: variables would be read and written in each
        # step, and the program would take twice as long to compile.
        # Not tf.range: XLA would compile again for each number of steps.
        taken, last, loss_sum, exact, *moved = tf.while_loop(
            lambda i, last, *_: (i < steps) & tf.math.is_finite(last),
            step,
            (tf.constant(0), tf.constant(0.0), loss_before, tf.constant(0), *self._read()),
        )
        self._assign(done + taken, loss_sum, moved)
        return loss_sum - loss_before, last, exact

    def _read(self) -> list[list[Any]]:
        """Return weights and moments as tensors."""
        return [[variable.read_value() for variable in group] for group in self._variables]

    def _counters(self) -> tuple[Any, Any, Any]:
        """Return the steps done, int32, the seed, int64, and the sum of the losses, float64."""
        done = tf.cast(self._steps_done.read_value(), tf.int32)
        return done, self._seed.read_value(), self._loss_sum.read_value()

    def _assign(self, steps_done: Any, loss_sum: Any, moved: Any) -> None:
        self._steps_done.assign(tf.cast(steps_done, tf.int64))
        self._loss_sum.assign(loss_sum)
        for group, tensors in zip(self._variables, moved, strict=True):
            for variable, tensor in zip(group, tensors, strict=True):
                variable.assign(tensor)

    def _gradients(
        self,
        weights: Any,
        sources: Any,
        shifted: Any,
        targets: Any,
        count: Any,
        step: Any,
        seed: Any,
    ) -> tuple[Any, Any, Any]:
        """Return gradients and loss of a step, and the number of sequences entirely right.

        The loss is the sum over these rows, divided by the number of tokens in the whole batch.
        """
        with tf.GradientTape() as tape:
            tape.watch(weights)
            losses, margins = self._forward.scores(weights, sources, shifted, targets, step, seed)
            loss = tf.reduce_sum(losses) / count
        right = tf.math.count_nonzero(tf.reduce_min(margins, axis=1) >= 0, dtype=tf.int32)
        gradients = tape.gradient(loss, weights)
        return [tf.convert_to_tensor(gradient) for gradient in gradients], loss, right

    def _moved(
        self, weights: Any, first: Any, second: Any, gradients: Any, rate: Any, count: Any
    ) -> tuple[Any, Any, Any]:
        """Return weights and moments after optimizer step number `count`."""
        if self.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.clip_norm)
        return adam_step(weights, first, second, gradients, rate, count)

    def _validation_scores(self, sources: Any, shifted: Any, targets: Any) -> tuple[Any, Any]:
        logits = self._forward.logits(self._variables[0], sources, shifted)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        real = tf.cast(targets != PADDING, losses.dtype)
        return losses * real, _likeliest(logits)


def _likeliest(logits: Any) -> Any:
    """Return the most likely tokens, int32, of logits (..., n_features); never the reserved id."""
    others = tf.argmax(logits[..., PADDING + 1 :], axis=-1, output_type=tf.int32)
    return others + PADDING + 1


def dropout_seed(seed: int) -> int:
    """Return a hash of a training's seed, an int64: each dropout adds its number to it.

    Without the hash consecutive seeds would share masks.
    """
    return int(np.random.SeedSequence(seed).generate_state(1, np.uint64).view(np.int64)[0])


def token_counts(targets: Ids, steps: int) -> Floats:
    """Return the number of tokens without padding in each of `steps` batches, float32 (steps,)."""
    counts: Floats = (targets != PADDING).reshape(steps, -1).sum(axis=1).astype(np.float32)
    return counts


def fill(array: Any, shape: tuple[int, ...]) -> Any:
    """Return the array's values as the beginning of a buffer of this shape."""
    buffer = np.full(shape, PADDING, array.dtype)
    buffer.reshape(-1)[: array.size] = array.reshape(-1)
    return buffer
