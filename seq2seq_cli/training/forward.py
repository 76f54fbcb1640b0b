"""The train model as a function of its weights, ids -> losses: what the loop differentiates.

It is computed by our own arithmetic, `recurrent` and `lookup`.
"""

from typing import Any

import tensorflow as tf

from seq2seq_cli.config import RunConfig
from seq2seq_cli.tasks import get_task
from seq2seq_cli.training.lookup import gather_rows
from seq2seq_cli.training.recurrent import lstm

Tensor = Any

SHARDS = 2
"""Independent parts of a batch, which XLA runs side by side on two cores. It is not the number of
cores, since sums in another order would give other weights on another machine."""


UNROLLED_LENGTH = 12
UNROLLED_AFTER = 200
"""An unrolled LSTM is faster than a loop over its steps, but each step adds to the program, and
compiling it takes longer. So sequences up to UNROLLED_LENGTH are unrolled, once a training has
UNROLLED_AFTER optimizer steps for each step of the longest one: there the two are even, as
`tests/benchmarks/scaling.py --unroll` measures."""


class Forward:
    """The train model's arithmetic for a configuration."""

    def __init__(self, config: RunConfig) -> None:
        task, training = config.task, config.training
        longest = max(task.n_in, get_task(task).target_length(task.n_in, task.n_out))
        steps = training.epochs * -(-training.n_samples // training.batch_size)
        self._unroll = longest <= UNROLLED_LENGTH and steps >= UNROLLED_AFTER * longest

    def scores(
        self, weights: list[Tensor], sources: Tensor, shifted: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the cross-entropy at each target position, and its margin, (batch, n_out) each.

        `weights` stand for the model's trainable variables, in their order. The margin is the
        target's logit less the largest one: zero where it is the most likely token, else below.
        """
        shards = SHARDS if sources.shape[0] % SHARDS == 0 else 1
        parts = zip(*(tf.split(ids, shards) for ids in (sources, shifted, targets)), strict=True)
        losses, margins = zip(*(self._scores(weights, *part) for part in parts), strict=True)
        return tf.concat(losses, axis=0), tf.concat(margins, axis=0)

    def logits(self, weights: list[Tensor], sources: Tensor, shifted: Tensor) -> Tensor:
        """Return unnormalised log-probabilities, steps first: (n_out, batch, cardinality)."""
        kernel, recurrent_kernel, bias, *weights = weights
        inputs = _gate_inputs(kernel, bias, sources)
        _, *state = lstm(inputs, recurrent_kernel, unroll=self._unroll)
        kernel, recurrent_kernel, bias, output_kernel, output_bias = weights
        inputs = _gate_inputs(kernel, bias, shifted)
        outputs = lstm(inputs, recurrent_kernel, state, unroll=self._unroll).outputs
        return tf.tensordot(outputs, output_kernel, 1) + output_bias

    def _scores(
        self, weights: list[Tensor], sources: Tensor, shifted: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor]:
        scored, wanted = self.logits(weights, sources, shifted), tf.transpose(targets)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, scored)
        # Not argmax, which costs a second to compile.
        own = tf.gather(scored, wanted, axis=-1, batch_dims=2)
        return tf.transpose(losses), tf.transpose(own - tf.reduce_max(scored, axis=-1))


def _gate_inputs(kernel: Tensor, bias: Tensor, ids: Tensor) -> Tensor:
    """One-hot encoded ids (batch, steps) times the kernel, plus bias; steps first."""
    return gather_rows(kernel + bias, tf.transpose(ids))
