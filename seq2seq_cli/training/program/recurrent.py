"""An LSTM's step and its backward pass, and what is taken through a sequence of them.

It computes what `keras.layers.LSTM` does, from that layer's own weights and in its gate order i, f,
c, o. Two things make it faster than differentiating a loop over a cell: the backward pass holds one
product a step, gate gradients times the transposed recurrent kernel, and the recurrent kernel's own
gradient is a single large product after it. `unrolled` and `looped` run it over a sequence.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import tensorflow as tf

Tensor = Any
Gradient = Callable[..., tuple[Tensor, ...]]


class LstmCall(NamedTuple):
    """An LSTM's run over a sequence; calls of one call are independent of each other."""

    inputs: Tensor  # (steps, batch, 4 units): the LSTM's inputs times its kernel, plus bias
    kernel: Tensor  # (units, 4 units): the recurrent one
    state: tuple[Tensor, Tensor] | None = None  # (batch, units) to start from; zeros if not given
    mask: Tensor | None = None  # (steps, batch): where false, states and output stay as they are
    dropped: Tensor | None = None  # (batch, units): recurrent dropout's factors
    reverse: bool = False  # take the last step first
    gives_outputs: bool = True
    gives_state: bool = True

    @property
    def start(self) -> tuple[Tensor, Tensor]:
        """The hidden and the cell state to start from."""
        return self.state or zero_state(self.inputs)


def zero_state(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return zeros for the states of an LSTM with these inputs."""
    _, batch, width = inputs.shape
    # Not tf.zeros: what TensorFlow folds into a constant has another name in each process, and a
    # kept program would not be found by it.
    zeros = tf.constant(0.0, inputs.dtype, (batch, width // 4))
    return zeros, zeros


class LstmOutputs(NamedTuple):
    """What an LSTM makes of a sequence, as far as its call gives it.

    What is not used is not given, or its backward pass would add up zeros.
    """

    outputs: Tensor | None  # (steps, batch, units), in the order of the inputs
    hidden: Tensor | None  # (batch, units), after the last step taken
    cell: Tensor | None  # (batch, units)

    @classmethod
    def of(cls, call: LstmCall, values: Iterator[Tensor]) -> "LstmOutputs":
        """Return the next of these values as a call's, those that are not given as None."""
        given = (call.gives_outputs, call.gives_state, call.gives_state)
        return cls(*(next(values) if is_given else None for is_given in given))

    def given(self, call: LstmCall) -> list[Tensor]:
        """Return what the call gives of it, in the order in which `of` takes it."""
        ends = [self.hidden, self.cell] if call.gives_state else []
        return [self.outputs, *ends] if call.gives_outputs else ends


class StepActivations(NamedTuple):
    """What a forward step leaves for the backward one."""

    gates: Tensor  # (batch, 4 units), activated
    cell_before: Tensor  # (batch, units)
    cell: Tensor  # (batch, units)


def step_forward(gates: Tensor, cell: Tensor) -> tuple[StepActivations, Tensor]:
    """Complete gate inputs (batch, 4 units), cell -> activations, hidden state (batch, units)."""
    i, f, candidate, o = tf.split(gates, 4, axis=-1)
    i, f, candidate, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(candidate), tf.sigmoid(o)
    after = f * cell + i * candidate
    return StepActivations(tf.concat([i, f, candidate, o], axis=-1), cell, after), o * tf.tanh(
        after
    )


def step_backward(
    activations: StepActivations, d_hidden: Tensor, d_cell: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of the states after a step -> of its gates (batch, 4 units), of the cell before."""
    i, f, candidate, o = tf.split(activations.gates, 4, axis=-1)
    tanh_cell = tf.tanh(activations.cell)
    d_cell += d_hidden * o * (1.0 - tanh_cell * tanh_cell)
    d_gates = [
        d_cell * candidate * i * (1.0 - i),
        d_cell * activations.cell_before * f * (1.0 - f),
        d_cell * i * (1.0 - candidate * candidate),
        d_hidden * tanh_cell * o * (1.0 - o),
    ]
    return tf.concat(d_gates, axis=-1), d_cell * f


def kernel_gradient(hidden_before: Tensor, d_gates: Tensor) -> Tensor:
    """Hidden states (steps, batch, units) and gates (steps, batch, 4 units) -> one product."""
    rows = tf.reshape(hidden_before, (-1, hidden_before.shape[-1]))
    return tf.matmul(rows, tf.reshape(d_gates, (-1, d_gates.shape[-1])), transpose_a=True)
