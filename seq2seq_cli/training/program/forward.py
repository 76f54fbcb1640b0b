"""The train model as a function of its weights, from ids to losses, which the loop differentiates.

A batch is split into the parts that run in parallel.
"""

from functools import partial
from typing import Any

import keras
import tensorflow as tf

from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.vocabulary import PADDING
from seq2seq_cli.training.program.device import layout
from seq2seq_cli.training.program.network import Network, Part
from seq2seq_cli.training.program.recurrent import run_lstms

Tensor = Any


class Forward:
    """The train model's arithmetic; `weights` are those of its trainable variables, in order."""

    def __init__(self, model: keras.Model, config: RunConfig) -> None:
        order = {id(variable): i for i, variable in enumerate(model.trainable_variables)}
        self._indices = {
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
        """Return the cross-entropy at each target position, and the margin, (batch, n_out) each.

        The margin is the target's logit minus the largest logit of all tokens except the reserved
        id: zero if the target is the most likely token, otherwise negative. At padding both are
        zero.
        """
        shards = self._logits(weights, sources, shifted, step, seed)
        scores = []
        # Time first, as computed: transposing would copy the logits, which are the largest array.
        for logits, ids in zip(
            shards, tf.split(tf.transpose(targets), len(shards), 1), strict=True
        ):
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(ids, logits)
            # Not argmax, which costs a second to compile.
            target_logits = tf.gather(logits, ids, axis=-1, batch_dims=2)
            real = tf.cast(ids != PADDING, losses.dtype)
            margins = (target_logits - tf.reduce_max(logits[..., PADDING + 1 :], axis=-1)) * real
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

        With the number of an optimizer step and a `dropout_seed` the model is in training mode and
        its dropout is a pure function of them; without, it is in prediction mode.
        """
        shards = self._logits(weights, sources, shifted, step, seed)
        return tf.transpose(tf.concat(shards, axis=1), (1, 0, 2))

    def _logits(
        self,
        weights: list[Tensor],
        sources: Tensor,
        shifted: Tensor,
        step: Tensor | None,
        seed: Tensor | None,
    ) -> list[Tensor]:
        """Return the logits for equal parts of the batch, (n_out, batch, n_features) each."""
        layers = {
            name: [weights[index] for index in indices] for name, indices in self._indices.items()
        }
        model = Network(layers, self._config.model, step, seed)
        # The two directions of an encoder run in parallel already.
        device = layout()
        is_split = sources.shape[0] % device.shards == 0 and not self._config.model.bidirectional
        shards = device.shards if is_split else 1
        parts = [
            Part(ids, before, ids != PADDING if self._padded else None)
            for ids, before in zip(
                tf.split(tf.transpose(sources), shards, axis=1),
                tf.split(tf.transpose(shifted), shards, axis=1),
                strict=True,
            )
        ]
        # The first id is always 0, which XLA does not know, and it computes an exponential once.
        one = tf.exp(-tf.cast(shifted[0, 0], tf.float32))
        return model.logits(parts, partial(run_lstms, block=device.block, one=one))
