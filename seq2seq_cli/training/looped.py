"""LSTMs over sequences in a loop over their steps, laid out for XLA on the CPU."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from seq2seq_cli.training.recurrent import (
    Gradient,
    Kept,
    Lane,
    Sequenced,
    Tensor,
    kernel_gradient,
    step_backward,
    step_forward,
)


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
    step, after = step_forward(tf.gather(lane.inputs, place) + tf.matmul(before, lane.kernel), cell)
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
    lane: Lane, place: Tensor, kept: Kept, transposed: Tensor, d_hidden: Tensor, d_cell: Tensor
) -> tuple[Tensor, ...]:
    """Return the gradients of hidden and cell state before a step, and of its gates."""
    d_gates, d_before = step_backward(kept, d_hidden, d_cell)
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
    kept = [Kept(w.gates.stack(), None, w.cells.stack()) for w in written]
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
                step = Kept(
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
            gradients += [d_gates, kernel_gradient(hidden, d_gates), *d_states[i]]
        return tuple(gradients)

    return tuple(results), gradient
