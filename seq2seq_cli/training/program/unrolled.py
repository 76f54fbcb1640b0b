"""An LSTM over a sequence with each step written into the program."""

from typing import Any

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


def unrolled(call: LstmCall) -> LstmOutputs:
    """Run an LSTM with each step written into the program; without mask, dropout or reversal."""
    assert call.mask is None
    assert call.dropped is None
    assert not call.reverse

    def sequence(inputs: Tensor, kernel: Tensor, *state: Tensor) -> tuple[Any, Gradient]:
        return _unrolled(call._replace(inputs=inputs, kernel=kernel, state=state or None))

    results = tf.custom_gradient(sequence)(call.inputs, call.kernel, *(call.state or ()))
    return LstmOutputs.of(call, iter(results))


def _unrolled(call: LstmCall) -> tuple[Any, Gradient]:
    inputs, kernel, state = call.inputs, call.kernel, call.state
    zeros, _ = zero_state(inputs)
    hidden, cell = state or (zeros, zeros)
    activations: list[StepActivations] = []
    before: list[Tensor] = []  # of the steps that have a product: the first from zeros has none
    outputs: list[Tensor] = []
    for gates in tf.unstack(inputs):
        if hidden is not zeros:
            before.append(hidden)
            gates += tf.matmul(hidden, kernel)  # (batch, units) @ (units, 4 units)
        step, hidden = step_forward(gates, cell)
        cell = step.cell
        activations.append(step)
        outputs.append(hidden)

    def gradient(*upstream: Tensor) -> tuple[Tensor, ...]:
        transposed = tf.transpose(kernel)
        d_outputs, d_hidden, d_cell = LstmOutputs.of(call, iter(upstream))
        if d_hidden is None:
            d_hidden, d_cell = zeros, zeros
        by_step = [None] * len(activations) if d_outputs is None else tf.unstack(d_outputs)
        d_gates: list[Tensor] = []
        for step, d_output in zip(reversed(activations), reversed(by_step), strict=True):
            d_hidden = d_hidden if d_output is None else d_hidden + d_output
            gates, d_cell = step_backward(step, d_hidden, d_cell)
            d_gates.insert(0, gates)
            if state or len(d_gates) < len(activations):
                d_hidden = tf.matmul(gates, transposed)  # (batch, 4 units) @ (4 units, units)
        if before:
            d_kernel = kernel_gradient(tf.stack(before), tf.stack(d_gates[-len(before) :]))
        else:
            d_kernel = tf.constant(0.0, kernel.dtype, kernel.shape)
        return (tf.stack(d_gates), d_kernel, *([d_hidden, d_cell] if state else []))

    return tuple(LstmOutputs(tf.stack(outputs), hidden, cell).given(call)), gradient
