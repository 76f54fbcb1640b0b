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


def _arrays(lane: Lane, *widths: int) -> tuple[Tensor, ...]:
    """Return arrays for what each step leaves; as their sizes are known, XLA updates in place."""
    steps, batch, _ = lane.inputs.shape
    return tuple(tf.TensorArray(lane.inputs.dtype, steps, element_shape=(batch, w)) for w in widths)


def _at(lane: Lane, values: Tensor, t: Tensor) -> Tensor:
    """Return what belongs to the t-th step taken of values in the order of the inputs."""
    return tf.gather(values, lane.inputs.shape[0] - 1 - t if lane.reverse else t)


def _in_order(lane: Lane, values: Tensor) -> Tensor:
    """Values of the steps as they were taken -> in the order of the inputs."""
    return tf.reverse(values, [0]) if lane.reverse else values


def _lane_forward(lane: Lane, t: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, ...]:
    """Return hidden state, cell state and activated gates after a step."""
    before = hidden if lane.dropped is None else hidden * lane.dropped
    step, after = _forward(_at(lane, lane.inputs, t) + tf.matmul(before, lane.kernel), cell)
    if lane.mask is None:
        return after, step.cell, step.gates
    present = _at(lane, lane.mask, t)[:, tf.newaxis]
    return tf.where(present, after, hidden), tf.where(present, step.cell, cell), step.gates


def _lane_backward(
    lane: Lane, t: Tensor, kept: _Kept, transposed: Tensor, d_hidden: Tensor, d_cell: Tensor
) -> tuple[Tensor, ...]:
    """Return the gradients of hidden and cell state before a step, and of its gates."""
    d_gates, d_before = _backward(kept, d_hidden, d_cell)
    passed: Tensor | float = 0.0
    if lane.mask is not None:
        present = _at(lane, lane.mask, t)[:, tf.newaxis]
        d_gates = tf.where(present, d_gates, tf.zeros_like(d_gates))
        passed = tf.where(present, tf.zeros_like(d_hidden), d_hidden)
        d_before = tf.where(present, d_before, d_cell)
    d_recurrent = tf.matmul(d_gates, transposed)  # (batch, 4 units) @ (4 units, units)
    if lane.dropped is not None:
        d_recurrent *= lane.dropped
    return d_recurrent + passed, d_before, d_gates


def _looped(lanes: list[Lane]) -> tuple[Any, Gradient]:
    steps = lanes[0].inputs.shape[0]
    widths = [lane.inputs.shape[2] for lane in lanes]

    def forward(t: Tensor, states: Any, written: Any) -> tuple[Any, ...]:
        after, arrays = [], []
        for lane, state, group in zip(lanes, states, written, strict=True):
            hidden, cell, gates = _lane_forward(lane, t, *state)
            after.append((hidden, cell))
            values = zip(group, (hidden, cell, gates), strict=True)
            arrays.append(tuple(array.write(t, value) for array, value in values))
        return t + 1, after, arrays

    arrays = [_arrays(lane, w // 4, w // 4, w) for lane, w in zip(lanes, widths, strict=True)]
    _, states, written = tf.while_loop(
        lambda t, *_: t < steps,
        forward,
        (0, [lane.start for lane in lanes], arrays),
        maximum_iterations=steps,
    )
    kept = [tuple(array.stack() for array in group) for group in written]  # in the order taken
    results = []
    for lane, (hidden, cell), (outputs, _, _) in zip(lanes, states, kept, strict=True):
        results += [_in_order(lane, outputs), hidden, cell]

    def gradient(*upstream: Tensor) -> tuple[Tensor, ...]:
        transposed = [tf.transpose(lane.kernel) for lane in lanes]
        before = [
            [tf.concat([first[tf.newaxis], values[:-1]], axis=0)
             for first, values in zip(lane.start, group, strict=False)]
            for lane, group in zip(lanes, kept, strict=True)
        ]  # fmt: skip

        def backward(t: Tensor, d_states: Any, written: Any) -> tuple[Any, ...]:
            after, arrays = [], []
            for i, (lane, (d_hidden, d_cell)) in enumerate(zip(lanes, d_states, strict=True)):
                _, cells, gates = kept[i]
                step = _Kept(tf.gather(gates, t), tf.gather(before[i][1], t), tf.gather(cells, t))
                d_hidden += _at(lane, upstream[3 * i], t)
                *d_state, d_gates = _lane_backward(lane, t, step, transposed[i], d_hidden, d_cell)
                after.append(tuple(d_state))
                arrays.append(written[i].write(t, d_gates))
            return t - 1, after, arrays

        ends = [(upstream[3 * i + 1], upstream[3 * i + 2]) for i in range(len(lanes))]
        arrays = [_arrays(lane, w)[0] for lane, w in zip(lanes, widths, strict=True)]
        _, d_states, written = tf.while_loop(
            lambda t, *_: t >= 0, backward, (steps - 1, ends, arrays), maximum_iterations=steps
        )
        gradients = []
        for i, lane in enumerate(lanes):
            d_gates = written[i].stack()
            hidden = before[i][0] if lane.dropped is None else before[i][0] * lane.dropped
            d_kernel = _kernel_gradient(hidden, d_gates)
            gradients += [_in_order(lane, d_gates), d_kernel, *d_states[i]]
        return tuple(gradients)

    return tuple(results), gradient
