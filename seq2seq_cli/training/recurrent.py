"""An LSTM over a sequence as one differentiable function, laid out for XLA on the CPU.

It computes what `keras.layers.LSTM` does, from that layer's own weights and in its gate order i, f,
c, o. Two things make it faster than differentiating a loop over a cell: the backward pass holds one
product a step, gate gradients times the transposed recurrent kernel, and the recurrent kernel's own
gradient is a single large product after it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

Tensor = Any
Gradient = Callable[..., tuple[Tensor, ...]]


class Sequenced(NamedTuple):
    """What an LSTM makes of a sequence."""

    outputs: Tensor  # (steps, batch, units)
    hidden: Tensor  # (batch, units), after the last step
    cell: Tensor  # (batch, units)


class _Kept(NamedTuple):
    """What a forward step leaves for the backward one."""

    gates: Tensor  # (batch, 4 units), activated
    cell_before: Tensor  # (batch, units)
    cell: Tensor  # (batch, units)


def lstm(
    gate_inputs: Tensor,
    recurrent_kernel: Tensor,
    state: Sequence[Tensor] = (),
    unroll: bool = False,
) -> Sequenced:
    """Run an LSTM over time; differentiable in all its arguments.

    `gate_inputs` (steps, batch, 4 units) are inputs times kernel plus bias; `recurrent_kernel` is
    (units, 4 units); `state` the hidden and cell state (batch, units) to start from, zeros if not
    given. With `unroll` each step is written into the program, instead of a loop over them. All
    dimensions are static.
    """
    run = _unrolled if unroll else _looped

    def sequence(inputs: Tensor, kernel: Tensor, *state: Tensor) -> tuple[Any, Gradient]:
        return run(inputs, kernel, state)

    return Sequenced(*tf.custom_gradient(sequence)(gate_inputs, recurrent_kernel, *state))


def _forward(gates: Tensor, cell: Tensor) -> tuple[_Kept, Tensor]:
    """Complete gate inputs (batch, 4 units), cell -> what is kept, hidden state (batch, units)."""
    i, f, candidate, o = tf.split(gates, 4, axis=-1)
    i, f, candidate, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(candidate), tf.sigmoid(o)
    after = f * cell + i * candidate
    return _Kept(tf.concat([i, f, candidate, o], axis=-1), cell, after), o * tf.tanh(after)


def _backward(kept: _Kept, d_hidden: Tensor, d_cell: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of the states after a step -> of its gates (batch, 4 units), of the cell before."""
    i, f, candidate, o = tf.split(kept.gates, 4, axis=-1)
    tanh_cell = tf.tanh(kept.cell)
    d_cell += d_hidden * o * (1.0 - tanh_cell * tanh_cell)
    d_gates = [
        d_cell * candidate * i * (1.0 - i),
        d_cell * kept.cell_before * f * (1.0 - f),
        d_cell * i * (1.0 - candidate * candidate),
        d_hidden * tanh_cell * o * (1.0 - o),
    ]
    return tf.concat(d_gates, axis=-1), d_cell * f


def _kernel_gradient(hidden_before: Tensor, d_gates: Tensor) -> Tensor:
    """Hidden states (steps, batch, units) and gates (steps, batch, 4 units) -> one product."""
    rows = tf.reshape(hidden_before, (-1, hidden_before.shape[-1]))
    return tf.matmul(rows, tf.reshape(d_gates, (-1, d_gates.shape[-1])), transpose_a=True)


def _unrolled(inputs: Tensor, kernel: Tensor, state: Sequence[Tensor]) -> tuple[Any, Gradient]:
    _, batch, width = inputs.shape
    zeros = tf.zeros((batch, width // 4), inputs.dtype)
    hidden, cell = state or (zeros, zeros)
    kept: list[_Kept] = []
    before: list[Tensor] = []  # of the steps that have a product: the first from zeros has none
    outputs: list[Tensor] = []
    for gates in tf.unstack(inputs):
        if hidden is not zeros:
            before.append(hidden)
            gates += tf.matmul(hidden, kernel)  # (batch, units) @ (units, 4 units)
        step, hidden = _forward(gates, cell)
        cell = step.cell
        kept.append(step)
        outputs.append(hidden)

    def gradient(d_outputs: Tensor, d_hidden: Tensor, d_cell: Tensor) -> tuple[Tensor, ...]:
        transposed = tf.transpose(kernel)
        d_gates: list[Tensor] = []
        for step, d_output in zip(reversed(kept), reversed(tf.unstack(d_outputs)), strict=True):
            gates, d_cell = _backward(step, d_hidden + d_output, d_cell)
            d_gates.insert(0, gates)
            if state or len(d_gates) < len(kept):
                d_hidden = tf.matmul(gates, transposed)  # (batch, 4 units) @ (4 units, units)
        if before:
            d_kernel = _kernel_gradient(tf.stack(before), tf.stack(d_gates[-len(before) :]))
        else:
            d_kernel = tf.zeros_like(kernel)
        return (tf.stack(d_gates), d_kernel, *([d_hidden, d_cell] if state else []))

    return (tf.stack(outputs), hidden, cell), gradient


def _looped(inputs: Tensor, kernel: Tensor, state: Sequence[Tensor]) -> tuple[Any, Gradient]:
    steps, batch, width = inputs.shape
    units = width // 4
    zeros = tf.zeros((batch, units), inputs.dtype)
    first_hidden, first_cell = state or (zeros, zeros)

    def arrays(*widths: int) -> tuple[Tensor, ...]:
        # Sizes that are known beforehand become plain arrays, which XLA updates in place.
        return tuple(tf.TensorArray(inputs.dtype, steps, element_shape=(batch, w)) for w in widths)

    def forward(t: Tensor, hidden: Tensor, cell: Tensor, *written: Tensor) -> tuple[Any, ...]:
        step, hidden = _forward(tf.gather(inputs, t) + tf.matmul(hidden, kernel), cell)
        values = (hidden, step.gates, step.cell)
        both = zip(written, values, strict=True)
        return t + 1, hidden, step.cell, *(array.write(t, value) for array, value in both)

    _, hidden, cell, *written = tf.while_loop(
        lambda t, *_: t < steps,
        forward,
        (0, first_hidden, first_cell, *arrays(units, width, units)),
        maximum_iterations=steps,
    )
    outputs, gates, cells = (array.stack() for array in written)

    def gradient(d_outputs: Tensor, d_hidden: Tensor, d_cell: Tensor) -> tuple[Tensor, ...]:
        transposed = tf.transpose(kernel)
        cells_before = tf.concat([first_cell[tf.newaxis], cells[:-1]], axis=0)
        hidden_before = tf.concat([first_hidden[tf.newaxis], outputs[:-1]], axis=0)

        def backward(t: Tensor, d_hidden: Tensor, d_cell: Tensor, d_gates: Tensor) -> Any:
            step = _Kept(*(tf.gather(array, t) for array in (gates, cells_before, cells)))
            d_step, d_cell = _backward(step, d_hidden + tf.gather(d_outputs, t), d_cell)
            return t - 1, tf.matmul(d_step, transposed), d_cell, d_gates.write(t, d_step)

        _, d_hidden, d_cell, d_gates = tf.while_loop(
            lambda t, *_: t >= 0,
            backward,
            (steps - 1, d_hidden, d_cell, *arrays(width)),
            maximum_iterations=steps,
        )
        d_inputs = d_gates.stack()
        d_kernel = _kernel_gradient(hidden_before, d_inputs)
        return (d_inputs, d_kernel, *([d_hidden, d_cell] if state else []))

    return (outputs, hidden, cell), gradient
