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


class Lane(NamedTuple):
    """An LSTM's run over a sequence; lanes of one call are independent of each other."""

    inputs: Tensor  # (steps, batch, 4 units): the LSTM's inputs times its kernel, plus bias
    kernel: Tensor  # (units, 4 units): the recurrent one
    state: tuple[Tensor, Tensor] | None = None  # (batch, units) to start from; zeros if not given
    mask: Tensor | None = None  # (steps, batch): where false, states and output stay as they are
    dropped: Tensor | None = None  # (batch, units): recurrent dropout's factors
    reverse: bool = False  # take the last step first

    @property
    def start(self) -> tuple[Tensor, Tensor]:
        """The hidden and the cell state to start from."""
        _, batch, width = self.inputs.shape
        zeros = tf.zeros((batch, width // 4), self.inputs.dtype)
        return self.state or (zeros, zeros)


class Sequenced(NamedTuple):
    """What an LSTM makes of a sequence."""

    outputs: Tensor  # (steps, batch, units), in the order of the inputs
    hidden: Tensor  # (batch, units), after the last step taken
    cell: Tensor  # (batch, units)


class _Kept(NamedTuple):
    """What a forward step leaves for the backward one."""

    gates: Tensor  # (batch, 4 units), activated
    cell_before: Tensor  # (batch, units)
    cell: Tensor  # (batch, units)


def unrolled(lane: Lane) -> Sequenced:
    """Run an LSTM with each step written into the program; without mask, dropout or reversal."""
    assert lane.mask is None
    assert lane.dropped is None
    assert not lane.reverse

    def sequence(inputs: Tensor, kernel: Tensor, *state: Tensor) -> tuple[Any, Gradient]:
        return _unrolled(inputs, kernel, state)

    return Sequenced(*tf.custom_gradient(sequence)(lane.inputs, lane.kernel, *(lane.state or ())))


def looped(lanes: Sequence[Lane]) -> list[Sequenced]:
    """Run LSTMs over sequences of one length in one loop, whose body takes a step of each lane.

    The lanes are what XLA has to run side by side. All are differentiable in inputs, kernel and
    state; all dimensions are static.
    """

    def sequences(*flat: Tensor) -> tuple[Any, Gradient]:
        given = [
            lane._replace(inputs=flat[i], kernel=flat[i + 1], state=(flat[i + 2], flat[i + 3]))
            for i, lane in zip(range(0, len(flat), 4), lanes, strict=True)
        ]
        return _looped(given)

    flat = [tensor for lane in lanes for tensor in (lane.inputs, lane.kernel, *lane.start)]
    results = tf.custom_gradient(sequences)(*flat)
    return [Sequenced(*results[i : i + 3]) for i in range(0, len(results), 3)]


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


class _Written(NamedTuple):
    """The arrays that a lane's steps write, in the order of the inputs.

    As their sizes are known, XLA updates them in place.
    """

    gates: tf.TensorArray  # (steps, batch, 4 units)
    outputs: tf.TensorArray  # (steps, batch, units)
    cells: tf.TensorArray  # (steps, batch, units)


def _array(like: Tensor) -> tf.TensorArray:
    steps, *shape = like.shape
    return tf.TensorArray(like.dtype, steps, element_shape=shape)


def _written(lane: Lane) -> _Written:
    steps, batch, width = lane.inputs.shape
    shape = (batch, width // 4)
    outputs, cells = (tf.TensorArray(lane.inputs.dtype, steps, element_shape=shape) for _ in "ab")
    return _Written(_array(lane.inputs), outputs, cells)


def _place(lane: Lane, t: Tensor) -> Tensor:
    """Return where the t-th step taken has its inputs."""
    return lane.inputs.shape[0] - 1 - t if lane.reverse else t


def _before(lane: Lane, start: Tensor, values: Tensor) -> Tensor:
    """States after each step, in the order of the inputs -> the states before each."""
    if lane.reverse:
        return tf.concat([values[1:], start[tf.newaxis]], axis=0)
    return tf.concat([start[tf.newaxis], values[:-1]], axis=0)


def _lane_forward(
    lane: Lane, t: Tensor, state: tuple[Tensor, Tensor], written: _Written
) -> tuple[tuple[Tensor, Tensor], _Written]:
    """Return hidden and cell state after a step, which is written."""
    hidden, cell = state
    place = _place(lane, t)
    before = hidden if lane.dropped is None else hidden * lane.dropped
    step, after = _forward(tf.gather(lane.inputs, place) + tf.matmul(before, lane.kernel), cell)
    after_cell = step.cell
    if lane.mask is not None:
        present = tf.gather(lane.mask, place)[:, tf.newaxis]
        after, after_cell = tf.where(present, after, hidden), tf.where(present, step.cell, cell)
    return (after, after_cell), _Written(
        written.gates.write(place, step.gates),
        written.outputs.write(place, after),
        written.cells.write(place, after_cell),
    )


def _lane_backward(
    lane: Lane, place: Tensor, kept: _Kept, transposed: Tensor, d_hidden: Tensor, d_cell: Tensor
) -> tuple[Tensor, ...]:
    """Return the gradients of hidden and cell state before a step, and of its gates."""
    d_gates, d_before = _backward(kept, d_hidden, d_cell)
    passed: Tensor | float = 0.0
    if lane.mask is not None:
        present = tf.gather(lane.mask, place)[:, tf.newaxis]
        d_gates = tf.where(present, d_gates, tf.zeros_like(d_gates))
        passed = tf.where(present, tf.zeros_like(d_hidden), d_hidden)
        d_before = tf.where(present, d_before, d_cell)
    d_recurrent = tf.matmul(d_gates, transposed)  # (batch, 4 units) @ (4 units, units)
    if lane.dropped is not None:
        d_recurrent *= lane.dropped
    return d_recurrent + passed, d_before, d_gates


def _looped(lanes: list[Lane]) -> tuple[Any, Gradient]:
    steps = lanes[0].inputs.shape[0]

    def forward(t: Tensor, states: Any, written: Any) -> tuple[Any, ...]:
        taken = zip(lanes, states, written, strict=True)
        moved = [_lane_forward(lane, t, state, arrays) for lane, state, arrays in taken]
        return t + 1, [state for state, _ in moved], [arrays for _, arrays in moved]

    _, states, written = tf.while_loop(
        lambda t, *_: t < steps,
        forward,
        (0, [lane.start for lane in lanes], [_written(lane) for lane in lanes]),
        maximum_iterations=steps,
    )
    kept = [_Kept(w.gates.stack(), None, w.cells.stack()) for w in written]
    outputs = [w.outputs.stack() for w in written]
    results = [
        tensor
        for output, (hidden, cell) in zip(outputs, states, strict=True)
        for tensor in (output, hidden, cell)
    ]

    def gradient(*upstream: Tensor) -> tuple[Tensor, ...]:
        transposed = [tf.transpose(lane.kernel) for lane in lanes]
        cells_before = [
            _before(lane, lane.start[1], k.cell) for lane, k in zip(lanes, kept, strict=True)
        ]

        def backward(t: Tensor, d_states: Any, written: Any) -> tuple[Any, ...]:
            after, arrays = [], []
            for i, (lane, (d_hidden, d_cell)) in enumerate(zip(lanes, d_states, strict=True)):
                place = _place(lane, t)
                step = _Kept(
                    tf.gather(kept[i].gates, place),
                    tf.gather(cells_before[i], place),
                    tf.gather(kept[i].cell, place),
                )
                d_hidden += tf.gather(upstream[3 * i], place)
                *d_state, d_gates = _lane_backward(
                    lane, place, step, transposed[i], d_hidden, d_cell
                )
                after.append(tuple(d_state))
                arrays.append(written[i].write(place, d_gates))
            return t - 1, after, arrays

        ends = [(upstream[3 * i + 1], upstream[3 * i + 2]) for i in range(len(lanes))]
        arrays = [_array(k.gates) for k in kept]
        _, d_states, written = tf.while_loop(
            lambda t, *_: t >= 0, backward, (steps - 1, ends, arrays), maximum_iterations=steps
        )
        gradients = []
        for i, lane in enumerate(lanes):
            d_gates = written[i].stack()
            hidden = _before(lane, lane.start[0], outputs[i])
            hidden = hidden if lane.dropped is None else hidden * lane.dropped
            gradients += [d_gates, _kernel_gradient(hidden, d_gates), *d_states[i]]
        return tuple(gradients)

    return tuple(results), gradient
