"""An LSTM over a short sequence as one differentiable function, laid out for XLA on the CPU.

It computes what `keras.layers.LSTM` does, from that layer's own weights. Two things make it faster
than differentiating a loop over steps: the backward loop holds one product a step, and the
recurrent kernel's gradient is a single large product after it.
"""

from typing import Any, NamedTuple

import tensorflow as tf

Tensor = Any


class Sequenced(NamedTuple):
    """What an LSTM gives for a sequence."""

    outputs: Tensor  # (steps, batch, units)
    hidden: Tensor  # (batch, units), after the last step
    cell: Tensor  # (batch, units)


class _Step(NamedTuple):
    """What a forward step leaves for the backward one, each (batch, units) or None before it."""

    hidden_before: Tensor | None
    cell_before: Tensor | None
    input_gate: Tensor
    forget_gate: Tensor
    candidate: Tensor
    output_gate: Tensor
    tanh_cell: Tensor


def gather_rows(table: Tensor, ids: Tensor) -> Tensor:
    """Return rows of `table` (rows, width) for `ids` (steps, batch): (steps, batch, width).

    It is the product of the one-hot encoded ids with the table. Its gradient is computed as that
    product's: for small vocabularies it is faster than adding up the rows one by one.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def gather(table: Tensor) -> tuple[Tensor, Any]:
        def gradient(upstream: Tensor) -> Tensor:
            rows, width = table.shape
            one_hot = tf.one_hot(tf.reshape(ids, (-1,)), rows)
            return tf.matmul(one_hot, tf.reshape(upstream, (-1, width)), transpose_a=True)

        return tf.gather(table, ids), gradient

    return gather(table)


def unrolled_lstm(
    gate_inputs: Tensor, recurrent_kernel: Tensor, state: tuple[Tensor, Tensor] | None = None
) -> Sequenced:
    """Run an LSTM over projected inputs (steps, batch, 4 units), with one block of code a step.

    `gate_inputs` are inputs times kernel plus bias, gates in Keras' order i, f, c, o. Without a
    state it starts from zeros, and the first step has no product.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(inputs: Tensor, kernel: Tensor, *state: Tensor) -> tuple[Any, Any]:
        hidden, cell = state or (None, None)
        kept: list[_Step] = []
        outputs = []
        for gates in tf.unstack(inputs):
            step, hidden, cell = _forward(gates, kernel, hidden, cell)
            kept.append(step)
            outputs.append(hidden)

        def gradient(d_outputs: Tensor, d_hidden: Tensor, d_cell: Tensor) -> tuple[Tensor, ...]:
            return _backward(kept, kernel, tf.unstack(d_outputs), d_hidden, d_cell)

        return (tf.stack(outputs), hidden, cell), gradient

    return Sequenced(*run(gate_inputs, recurrent_kernel, *(state or ())))


def _forward(
    gates: Tensor, kernel: Tensor, hidden: Tensor | None, cell: Tensor | None
) -> tuple[_Step, Tensor, Tensor]:
    if hidden is not None:
        gates += tf.matmul(hidden, kernel)  # (batch, units) @ (units, 4 units)
    i, f, candidate, o = tf.split(gates, 4, axis=-1)
    i, f, candidate, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(candidate), tf.sigmoid(o)
    after = i * candidate if cell is None else f * cell + i * candidate
    tanh_cell = tf.tanh(after)
    return _Step(hidden, cell, i, f, candidate, o, tanh_cell), o * tanh_cell, after


def _backward(
    kept: list[_Step], kernel: Tensor, d_outputs: list[Tensor], d_hidden: Tensor, d_cell: Tensor
) -> tuple[Tensor, ...]:
    """Return the gradients of gate inputs, recurrent kernel and, where there was one, the state."""
    d_gates = []
    for step, d_output in zip(reversed(kept), reversed(d_outputs), strict=True):
        d_hidden += d_output
        d_cell += d_hidden * step.output_gate * (1.0 - step.tanh_cell * step.tanh_cell)
        gates = _gate_gradients(step, d_hidden, d_cell)
        d_gates.append(gates)
        if step.hidden_before is not None:
            d_hidden = tf.matmul(
                gates, kernel, transpose_b=True
            )  # (batch, 4 units) @ (4 units, units)
            d_cell *= step.forget_gate
    d_gates.reverse()
    recurrent = [
        (step.hidden_before, gates)
        for step, gates in zip(kept, d_gates, strict=True)
        if step.hidden_before is not None
    ]
    if not recurrent:
        return tf.stack(d_gates), tf.zeros_like(kernel)
    before = tf.concat([hidden for hidden, _ in recurrent], axis=0)  # (steps batch, units)
    d_kernel = tf.matmul(before, tf.concat([g for _, g in recurrent], axis=0), transpose_a=True)
    if kept[0].hidden_before is None:
        return tf.stack(d_gates), d_kernel
    return tf.stack(d_gates), d_kernel, d_hidden, d_cell


def _gate_gradients(step: _Step, d_hidden: Tensor, d_cell: Tensor) -> Tensor:
    """Return the gradients of a step's gates before their activations, (batch, 4 units)."""
    i, f, candidate, o = step.input_gate, step.forget_gate, step.candidate, step.output_gate
    before = step.cell_before
    return tf.concat(
        [
            d_cell * candidate * i * (1.0 - i),
            tf.zeros_like(f) if before is None else d_cell * before * f * (1.0 - f),
            d_cell * i * (1.0 - candidate * candidate),
            d_hidden * step.tanh_cell * o * (1.0 - o),
        ],
        axis=-1,
    )
