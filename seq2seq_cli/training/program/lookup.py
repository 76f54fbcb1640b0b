"""Table look-up by id: the product of one-hot vectors with a table, without the one-hot array."""

from typing import Any

import tensorflow as tf

from seq2seq_cli.training.program.device import layout

Tensor = Any


def gather_rows(table: Tensor, ids: Tensor) -> Tensor:
    """Return rows of `table` (rows, width) for `ids` of any shape: (..., width)."""
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
