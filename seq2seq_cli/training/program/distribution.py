"""The loop over several processes or GPUs: each takes its part of every global batch.

The stock strategies of `tf.distribute` carry the sums; the steps are ours, since `Model.fit` cannot
be used with MultiWorkerMirroredStrategy (keras issue 20585). A step is three programs: the
gradients of the own rows, compiled; the sum over all replicas; and the optimizer, compiled. Every
replica ends it with the same weights.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.vocabulary import Floats, Ids, shift_right
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.training.exchange import lost_worker
from seq2seq_cli.training.program.loop import ChunkResult, Loop, fill, token_counts


class DistributedLoop(Loop):
    """A loop whose batches are split over the strategy's replicas."""

    is_one_program = False
    call_steps = 50
    """Steps a call: the same in every process, whatever its speed, for they wait for each other."""

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
        """Take a step for each rate; every worker is given the whole batches and takes its part."""
        steps, size = len(rates), self.batch_size // self._replicas
        ids = (sources, shift_right(targets), targets)
        batched = [array.reshape(steps, self._replicas, size, -1) for array in ids]

        def part(array: Ids) -> Any:
            shape = (self.call_steps, size, array.shape[-1])
            return self._strategy.experimental_distribute_values_from_function(
                lambda context: tf.constant(fill(array[:, context.replica_id_in_sync_group], shape))
            )

        try:
            loss, last, exact = self._train(
                *map(part, batched),
                tf.constant(fill(rates, (self.call_steps,))),
                tf.constant(fill(token_counts(targets, steps), (self.call_steps,))),
                tf.constant(steps),
            )
        except tf.errors.OpError as error:
            raise lost_worker(error) from error
        return self._result(loss, last, exact, steps)

    def _distributed_steps(
        self, sources: Any, shifted: Any, targets: Any, rates: Any, counts: Any, steps: Any
    ) -> tuple[Any, Any, Any]:
        self.traces += 1
        done, seed, loss_before = self._counters()

        # The index stays outside the compiled part, which would be compiled anew for each value.
        def own_part(weights: Any, i: Any, *ids: Any) -> Any:
            context = tf.distribute.get_replica_context()
            # With dropout each replica drops values of its own.
            place = (done + i) * self._replicas + context.replica_id_in_sync_group
            return self._local(weights, *(batches[i] for batches in ids), counts[i], place, seed)

        def step(i: Any, last: Any, loss_sum: Any, exact: Any, *tensors: Any) -> tuple[Any, ...]:
            own = self._strategy.run(own_part, (tensors[0], i, sources, shifted, targets))
            summed = self._strategy.reduce(tf.distribute.ReduceOp.SUM, own, axis=None)
            loss, right, *moved = self._apply(*tensors, summed, rates[i], done + i + 1)
            return i + 1, loss, loss_sum + tf.cast(loss, tf.float64), exact + right, *moved

        taken, last, loss_sum, exact, *moved = tf.while_loop(
            lambda i, last, *_: (i < steps) & tf.math.is_finite(last),
            step,
            (tf.constant(0), tf.constant(0.0), loss_before, tf.constant(0), *self._read()),
        )
        self._assign(done + taken, loss_sum, moved)
        return loss_sum - loss_before, last, exact

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
