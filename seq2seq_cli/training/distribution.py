"""Training on several workers or GPUs, each of which takes its part of every global batch.

The stock strategies of `tf.distribute` sum the gradients; the steps are ours, since `Model.fit`
does not work with MultiWorkerMirroredStrategy (keras issue 20585). A step is three programs: the
gradients of a replica's rows, compiled; the sum over all replicas; and the optimizer, compiled. All
replicas end it with the same weights. Workers exchange only these sums.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.plan import Plan
from seq2seq_cli.data.vocabulary import Floats, Ids, shift_right
from seq2seq_cli.errors import ConfigurationError, StorageError
from seq2seq_cli.training.cluster import Cluster
from seq2seq_cli.training.models import build_models
from seq2seq_cli.training.program.loop import ChunkResult, Loop, fill, token_counts


class LostWorkerError(StorageError):
    """Another worker of this training has ended."""


class SharedLoop:
    """The loop of trainings that differ only in their seed, and so share one program.

    Several workers must all create it at about the same time, before TensorFlow computes anything.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._strategy = _find_strategy(cluster)
        self._loop: Loop | None = None

    def begin(self, plan: Plan) -> Loop:
        """Return the loop at the beginning of a plan; the previous training must have ended."""
        model = build_models(plan.config, plan.embedding)[0]
        if self._loop:
            weights = [variable.numpy() for variable in model.trainable_variables]
            self._loop.restart(weights, plan.config.training.seed)
        elif self._strategy:
            self._loop = DistributedLoop(model, plan.config, self._strategy)
        else:
            self._loop = Loop(model, plan.config)
        return self._loop


def _find_strategy(cluster: Cluster) -> tf.distribute.Strategy | None:
    """Return how a training is distributed, or None for one process on at most one GPU."""
    if cluster.n_workers > 1:
        with _default_signals(), _naming_lost_workers():
            return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return None


@contextmanager
def _default_signals() -> Iterator[None]:
    """Let signals end the process by default, and restore their handlers afterwards.

    TensorFlow holds Python's lock while it waits for the other workers, so no handler could run,
    and it replaces the handler of SIGTERM.
    """
    if current_thread() is not main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)


@contextmanager
def _naming_lost_workers() -> Iterator[None]:
    """Raise LostWorkerError in place of TensorFlow's errors for a worker that does not answer."""
    try:
        yield
    except tf.errors.OpError as error:
        reason = str(error).splitlines()[0]
        raise LostWorkerError(f"another worker of this training is gone ({reason})") from error


class DistributedLoop(Loop):
    """A loop whose batches are split over the strategy's replicas."""

    is_one_program = False
    call_steps = 50
    """Steps per call: the same in every process, since they wait for each other."""

    def __init__(
        self,
        model: keras.Model,
        config: RunConfig,
        strategy: tf.distribute.Strategy,
    ) -> None:
        super().__init__(model, config)
        self._strategy = strategy
        self._replicas = strategy.num_replicas_in_sync
        if self.batch_size % self._replicas:
            raise ConfigurationError(
                f"training.batch_size = {self.batch_size}: should be a multiple of the "
                f"{self._replicas} replicas that share each batch"
            )
        self._shapes = [tuple(variable.shape) for variable in self._variables[0]]
        self._train = tf.function(self._distributed_steps, autograph=False)
        self._local = tf.function(self._local_sums, jit_compile=True, autograph=False)
        self._apply = tf.function(self._update, jit_compile=True, autograph=False)

    def train(self, sources: Ids, targets: Ids, rates: Floats) -> ChunkResult:
        """Take one step per rate; every worker gets whole batches and uses its part."""
        steps, size = len(rates), self.batch_size // self._replicas
        ids = (sources, shift_right(targets), targets)
        batched = [array.reshape(steps, self._replicas, size, -1) for array in ids]

        def part(array: Ids) -> Any:
            shape = (self.call_steps, size, array.shape[-1])
            return self._strategy.experimental_distribute_values_from_function(
                lambda context: tf.constant(fill(array[:, context.replica_id_in_sync_group], shape))
            )

        with _naming_lost_workers():
            loss, last, exact = self._train(
                *map(part, batched),
                tf.constant(fill(rates, (self.call_steps,))),
                tf.constant(fill(token_counts(targets, steps), (self.call_steps,))),
                tf.constant(steps),
            )
        return self._result(loss, last, exact, steps)

    def _distributed_steps(
        self, sources: Any, shifted: Any, targets: Any, rates: Any, counts: Any, steps: Any
    ) -> tuple[Any, Any, Any]:
        self.traces += 1
        done, seed, loss_before = self._counters()

        # The index stays outside the compiled part, which would be compiled again for each value.
        def own_part(weights: Any, i: Any, *ids: Any) -> Any:
            context = tf.distribute.get_replica_context()
            # Each replica drops different values.
            dropout_step = (done + i) * self._replicas + context.replica_id_in_sync_group
            rows = (batches[i] for batches in ids)
            return self._local(weights, *rows, counts[i], dropout_step, seed)

        def step(i: Any, last: Any, loss_sum: Any, exact: Any, *tensors: Any) -> tuple[Any, ...]:
            own = self._strategy.run(own_part, (tensors[0], i, sources, shifted, targets))
            summed = self._strategy.reduce(tf.distribute.ReduceOp.SUM, own, axis=None)
            loss, right, *moved = self._apply(*tensors, summed, rates[i], done + i + 1)
            return i + 1, loss, loss_sum + tf.cast(loss, tf.float64), exact + right, *moved

        return self._take(step, steps, done, loss_before)

    def _local_sums(self, *arguments: Any) -> Any:
        """Return this replica's share of gradients, loss and right sequences, as one vector."""
        gradients, loss, right = self._gradients(*arguments)
        flat = [tf.reshape(gradient, (-1,)) for gradient in gradients]
        return tf.concat([*flat, tf.stack([loss, tf.cast(right, tf.float32)])], axis=0)

    def _update(
        self, weights: Any, first: Any, second: Any, summed: Any, rate: Any, count: Any
    ) -> tuple[Any, ...]:
        """Return loss, right sequences, weights and moments after a step with these sums."""
        sizes = [int(np.prod(shape)) for shape in self._shapes]
        *flat, loss, right = tf.split(summed, [*sizes, 1, 1])
        gradients = [tf.reshape(g, s) for g, s in zip(flat, self._shapes, strict=True)]
        moved = self._moved(weights, first, second, gradients, rate, count)
        return loss[0], tf.cast(right[0], tf.int32), *moved
