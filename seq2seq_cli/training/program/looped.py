"""LSTMs over sequences in a loop over their steps, laid out for XLA on the CPU."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from seq2seq_cli.training.program.recurrent import (
    Gradient,
    LstmCall,
    LstmOutputs,
    StepActivations,
    Tensor,
    kernel_gradient,
    step_backward,
    step_forward,
    zero_state,
)


def looped(calls: Sequence[LstmCall]) -> list[LstmOutputs]:
    """Run LSTMs over sequences of one length in one loop, whose body takes a step of each call.

    The calls are what XLA has to run side by side. All are differentiable in inputs, kernel and
    state; all dimensions are static.
    """

    def sequences(*flat: Tensor) -> tuple[Any, Gradient]:
        given = [
            call._replace(inputs=flat[i], kernel=flat[i + 1], state=(flat[i + 2], flat[i + 3]))
            for i, call in zip(range(0, len(flat), 4), calls, strict=True)
        ]
        return _looped(given)

    flat = [tensor for call in calls for tensor in (call.inputs, call.kernel, *call.start)]
    results = iter(tf.custom_gradient(sequences)(*flat))
    return [LstmOutputs.of(call, results) for call in calls]


class _Written(NamedTuple):
    """The arrays that a call's steps write, in the order of the inputs.

    As their sizes are known, XLA updates them in place.
    """

    gates: tf.TensorArray  # (steps, batch, 4 units)
    outputs: tf.TensorArray  # (steps, batch, units)
    cells: tf.TensorArray  # (steps, batch, units)


def _array(like: Tensor) -> tf.TensorArray:
    steps, *shape = like.shape
    return tf.TensorArray(like.dtype, steps, element_shape=shape)


def _written(call: LstmCall) -> _Written:
    steps, batch, width = call.inputs.shape
    shape = (batch, width // 4)
    outputs, cells = (
        tf.TensorArray(call.inputs.dtype, steps, element_shape=shape) for _ in ("outputs", "cells")
    )
    return _Written(_array(call.inputs), outputs, cells)


def _place(call: LstmCall, t: Tensor) -> Tensor:
    """Return where the t-th step taken has its inputs."""
    return call.inputs.shape[0] - 1 - t if call.reverse else t


def _before(call: LstmCall, start: Tensor, values: Tensor) -> Tensor:
    """States after each step, in the order of the inputs -> the states before each."""
    if call.reverse:
        return tf.concat([values[1:], start[tf.newaxis]], axis=0)
    return tf.concat([start[tf.newaxis], values[:-1]], axis=0)


def _take_step(
    call: LstmCall, t: Tensor, state: tuple[Tensor, Tensor], written: _Written
) -> tuple[tuple[Tensor, Tensor], _Written]:
    """Return hidden and cell state after a step, which is written."""
    hidden, cell = state
    place = _place(call, t)
    before = hidden if call.dropped is None else hidden * call.dropped
    step, after = step_forward(tf.gather(call.inputs, place) + tf.matmul(before, call.kernel), cell)
    after_cell = step.cell
    if call.mask is not None:
        present = tf.gather(call.mask, place)[:, tf.newaxis]
        after, after_cell = tf.where(present, after, hidden), tf.where(present, step.cell, cell)
    return (after, after_cell), _Written(
        written.gates.write(place, step.gates),
        written.outputs.write(place, after),
        written.cells.write(place, after_cell),
    )


def _step_back(
    call: LstmCall,
    place: Tensor,
    activations: StepActivations,
    transposed: Tensor,
    d_hidden: Tensor,
    d_cell: Tensor,
) -> tuple[Tensor, ...]:
    """Return the gradients of hidden and cell state before a step, and of its gates."""
    d_gates, d_before = step_backward(activations, d_hidden, d_cell)
    passed: Tensor | float = 0.0
    if call.mask is not None:
        present = tf.gather(call.mask, place)[:, tf.newaxis]
        d_gates = tf.where(present, d_gates, 0.0)
        passed = tf.where(present, 0.0, d_hidden)
        d_before = tf.where(present, d_before, d_cell)
    d_recurrent = tf.matmul(d_gates, transposed)  # (batch, 4 units) @ (4 units, units)
    if call.dropped is not None:
        d_recurrent *= call.dropped
    return d_recurrent + passed, d_before, d_gates


def _looped(calls: list[LstmCall]) -> tuple[Any, Gradient]:
    steps = calls[0].inputs.shape[0]

    def forward(t: Tensor, states: Any, written: Any) -> tuple[Any, ...]:
        taken = zip(calls, states, written, strict=True)
        moved = [_take_step(call, t, state, arrays) for call, state, arrays in taken]
        return t + 1, [state for state, _ in moved], [arrays for _, arrays in moved]

    _, states, written = tf.while_loop(
        lambda t, *_: t < steps,
        forward,
        (0, [call.start for call in calls], [_written(call) for call in calls]),
        maximum_iterations=steps,
    )
    activations = [StepActivations(w.gates.stack(), None, w.cells.stack()) for w in written]
    outputs = [w.outputs.stack() for w in written]
    ends = zip(calls, outputs, states, strict=True)
    results = [tensor for call, o, state in ends for tensor in LstmOutputs(o, *state).given(call)]

    def gradient(*upstream: Tensor) -> tuple[Tensor, ...]:
        values = iter(upstream)
        d_outputs = [LstmOutputs.of(call, values) for call in calls]
        transposed = [tf.transpose(call.kernel) for call in calls]
        cells_before = [
            _before(call, call.start[1], k.cell) for call, k in zip(calls, activations, strict=True)
        ]

        def backward(t: Tensor, d_states: Any, written: Any) -> tuple[Any, ...]:
            after, arrays = [], []
            for i, (call, (d_hidden, d_cell)) in enumerate(zip(calls, d_states, strict=True)):
                place = _place(call, t)
                step = StepActivations(
                    tf.gather(activations[i].gates, place),
                    tf.gather(cells_before[i], place),
                    tf.gather(activations[i].cell, place),
                )
                if d_outputs[i].outputs is not None:
                    d_hidden += tf.gather(d_outputs[i].outputs, place)
                *d_state, d_gates = _step_back(call, place, step, transposed[i], d_hidden, d_cell)
                after.append(tuple(d_state))
                arrays.append(written[i].write(place, d_gates))
            return t - 1, after, arrays

        ends = [
            (d.hidden, d.cell) if call.gives_state else zero_state(call.inputs)
            for call, d in zip(calls, d_outputs, strict=True)
        ]
        arrays = [_array(k.gates) for k in activations]
        _, d_states, written = tf.while_loop(
            lambda t, *_: t >= 0, backward, (steps - 1, ends, arrays), maximum_iterations=steps
        )
        gradients = []
        for i, call in enumerate(calls):
            d_gates = written[i].stack()
            hidden = _before(call, call.start[0], outputs[i])
            hidden = hidden if call.dropped is None else hidden * call.dropped
            gradients += [d_gates, kernel_gradient(hidden, d_gates), *d_states[i]]
        return tuple(gradients)

    return tuple(results), gradient
