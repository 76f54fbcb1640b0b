"""LSTMs over sequences, written for XLA: a loop whose body takes a block of time steps.

They compute what `keras.layers.LSTM` does, from that layer's weights and in its gate order i, f, c,
o. Three things make them faster than the gradient of a loop over a cell:

- The backward pass has one product per step, gate gradients times the transposed recurrent kernel.
  The gradient of the recurrent kernel is a single large product afterwards.
- All gates are one tanh, since sigmoid(x) = (1 + tanh(x / 2)) / 2, and their gradients one product.
  XLA makes few kernels of that: each takes time to compile, and as long to start as to compute.
- Nothing is computed twice. XLA repeats a chain of cheap operations in each of its consumers; in a
  block of time steps that work grows with the square of the block's length. XLA does not repeat a
  division, so cell states and their gradients are divided by `one`, a 1 that it cannot fold.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

Tensor = Any
Gradient = Callable[..., tuple[Tensor, ...]]

CLOSED = 1e4
"""The magnitude of a masked step's gate inputs: sigmoid(-CLOSED) is 0, sigmoid(CLOSED) is 1."""


class LstmCall(NamedTuple):
    """One LSTM over one sequence; the calls that run together are independent of each other."""

    inputs: Tensor  # (steps, batch, 4 units): the LSTM's inputs times its kernel, plus bias
    kernel: Tensor  # (units, 4 units): the recurrent one
    state: tuple[Tensor, Tensor] | None = None  # (batch, units) to start from; None is zeros
    mask: Tensor | None = None  # (steps, batch): where false, states and output do not change
    dropped: Tensor | None = None  # (batch, units): recurrent dropout's factors
    reverse: bool = False  # take the last step first
    gives_outputs: bool = True
    gives_state: bool = True

    @property
    def zeros(self) -> Tensor:
        """A state of zeros, (batch, units)."""
        _, batch, width = self.inputs.shape
        # Not tf.zeros: TensorFlow would fold it into a constant whose name differs in each process,
        # and a cached program would not be found.
        return tf.constant(0.0, self.inputs.dtype, (batch, width // 4))


class LstmOutputs(NamedTuple):
    """The results that a call requests; the others are None, and cost nothing."""

    outputs: Tensor | None  # (steps, batch, units), in the order of the inputs
    hidden: Tensor | None  # (batch, units), after the last step taken
    cell: Tensor | None  # (batch, units)

    @classmethod
    def of(cls, call: LstmCall, values: Iterator[Tensor]) -> "LstmOutputs":
        """Take a call's results from the next of these values."""
        asked = (call.gives_outputs, call.gives_state, call.gives_state)
        return cls(*(next(values) if is_asked else None for is_asked in asked))

    def flat(self, call: LstmCall) -> list[Tensor]:
        """Return the results that the call requests, in the order in which `of` takes them."""
        ends = [self.hidden, self.cell] if call.gives_state else []
        return [self.outputs, *ends] if call.gives_outputs else ends


class Step(NamedTuple):
    """What a step saves for the backward pass."""

    gates: Tensor  # (batch, 4 units): the tanh of each
    cell_before: Tensor  # (batch, units)
    cell: Tensor  # (batch, units)


def run_lstms(calls: Sequence[LstmCall], block: int, one: Tensor) -> list[LstmOutputs]:
    """Run LSTMs over sequences of one length, `block` time steps in each iteration of one loop.

    XLA can run the calls in parallel. They are differentiable in inputs, kernel and state; all
    dimensions are static. `one` is a scalar 1 that XLA cannot fold.
    """
    n_steps = calls[0].inputs.shape[0]
    block = min(block, n_steps)
    if n_rest := n_steps % block:
        return _run_rest(calls, n_rest, block, one)
    closed = [_closed_where_masked(call) for call in calls]

    def sequences(*flat: Tensor) -> tuple[Any, Gradient]:
        values = iter(flat)
        bound = [
            call._replace(
                inputs=next(values),
                kernel=next(values),
                state=(next(values), next(values)) if call.state else None,
            )
            for call in closed
        ]
        return _run_blocks(bound, block, one)

    flat = [x for call in closed for x in (call.inputs, call.kernel, *(call.state or ()))]
    results = iter(tf.custom_gradient(sequences)(*flat))
    return [LstmOutputs.of(call, results) for call in calls]


def _run_rest(calls: Sequence[LstmCall], n_rest: int, block: int, one: Tensor) -> list[LstmOutputs]:
    """Run the steps that fill whole blocks, then the remaining ones."""

    def part(call: LstmCall, number: int, **changes: Any) -> LstmCall:
        """Return the call for the steps in whole blocks (0), or for the remaining ones (1)."""
        sizes = _ordered(call, [call.inputs.shape[0] - n_rest, n_rest])
        for name in ("inputs", "mask"):
            if (values := getattr(call, name)) is not None:
                changes[name] = _ordered(call, tf.split(values, sizes))[number]
        return call._replace(**changes)

    first = run_lstms([part(call, 0, gives_state=True) for call in calls], block, one)
    started = zip(calls, first, strict=True)
    rest = [part(call, 1, state=(start.hidden, start.cell)) for call, start in started]
    last = run_lstms(rest, n_rest, one)
    return [
        after._replace(outputs=tf.concat(_ordered(call, [before.outputs, after.outputs]), 0))
        if call.gives_outputs
        else after
        for call, before, after in zip(calls, first, last, strict=True)
    ]


def _closed_where_masked(call: LstmCall) -> LstmCall:
    """Return the call with inputs that do not change the cell state where its mask is false."""
    if call.mask is None:
        return call
    closed = _each_gate(call, -CLOSED, CLOSED, 0.0, -CLOSED)
    return call._replace(inputs=tf.where(call.mask[:, :, tf.newaxis], call.inputs, closed))


def _each_gate(call: LstmCall, *values: float) -> Tensor:
    """Return a vector (4 units,) with one value per gate i, f, c, o."""
    return tf.constant(np.repeat(np.array(values, np.float32), call.inputs.shape[2] // 4))


def _forward(
    call: LstmCall,
    one: Tensor,
    state: tuple[Tensor, Tensor],
    inputs: Sequence[Tensor],
    passing: Sequence[Tensor | None],
) -> tuple[list[Step], list[Tensor]]:
    """Take a block of steps; return what each saves, and the hidden states.

    `inputs` are (batch, 4 units) each, `passing` (batch, 1) with a 1 where the step is masked.
    """
    hidden, cell = state
    scale = _each_gate(call, 0.5, 0.5, 1.0, 0.5)
    steps, outputs = list[Step](), list[Tensor]()
    for gates, passes in zip(inputs, passing, strict=True):
        before = hidden if call.dropped is None else hidden * call.dropped
        gates += tf.matmul(before, call.kernel)  # (batch, units) @ (units, 4 units)
        gates = tf.tanh(gates * scale)
        i, f, candidate, o = tf.split(gates, 4, axis=-1)
        after = ((0.5 + 0.5 * f) * cell + (0.5 + 0.5 * i) * candidate) / one
        output = (0.5 + 0.5 * o) * tf.tanh(after)
        if passes is not None:
            output += hidden * passes / one
        steps.append(Step(gates, cell, after))
        outputs.append(output)
        hidden, cell = output, after
    return steps, outputs


def _backward(
    call: LstmCall,
    one: Tensor,
    transposed: Tensor,
    d_state: tuple[Tensor, Tensor],
    steps: Sequence[Step],
    d_outputs: Sequence[Tensor | None],
    passing: Sequence[Tensor | None],
) -> tuple[tuple[Tensor, Tensor], list[Tensor]]:
    """Return the gradients of the state before a block of steps, and of each step's gates.

    All lists are in the order in which the steps were taken.
    """
    d_hidden, d_cell = d_state
    slopes = _each_gate(call, 0.25, 0.25, 1.0, 0.25)
    d_gates = list[Tensor]()
    for step, d_output, passes in zip(*map(reversed, (steps, d_outputs, passing)), strict=True):
        if d_output is not None:
            d_hidden += d_output
        i, f, candidate, o = tf.split(step.gates, 4, axis=-1)
        tanh_cell = tf.tanh(step.cell)
        d_cell = (d_cell + d_hidden * (0.5 + 0.5 * o) * (1.0 - tanh_cell * tanh_cell)) / one
        factors = [d_cell * candidate, d_cell * step.cell_before, d_cell * (0.5 + 0.5 * i)]
        factors.append(d_hidden * tanh_cell)
        d_gates.append(tf.concat(factors, axis=-1) * (slopes * (1.0 - step.gates * step.gates)))
        d_recurrent = tf.matmul(d_gates[-1], transposed)  # (batch, 4 units) @ (4 units, units)
        if call.dropped is not None:
            d_recurrent *= call.dropped
        d_hidden = d_recurrent if passes is None else d_recurrent + d_hidden * passes / one
        d_cell *= 0.5 + 0.5 * f
    return (d_hidden, d_cell), d_gates[::-1]


def _kernel_gradient(call: LstmCall, hidden_before: Tensor, d_gates: Tensor) -> Tensor:
    """Hidden states (steps, batch, units) and gates (steps, batch, 4 units) -> one product."""
    if call.dropped is not None:
        hidden_before *= call.dropped
    rows = tf.reshape(hidden_before, (-1, hidden_before.shape[-1]))
    return tf.matmul(rows, tf.reshape(d_gates, (-1, d_gates.shape[-1])), transpose_a=True)


def _passing(call: LstmCall) -> Tensor | None:
    """Return 1 where a step is masked and the hidden state passes through, (steps, batch, 1)."""
    return None if call.mask is None else tf.where(call.mask, 0.0, 1.0)[:, :, tf.newaxis]


def _ordered(call: LstmCall, values: Sequence[Any]) -> list[Any]:
    """Return values in the order of the steps taken instead of the inputs, or back."""
    return list(values[::-1] if call.reverse else values)


class _Arrays(NamedTuple):
    """What the blocks of a call save, in the order of the inputs; XLA updates it in place."""

    gates: tf.TensorArray  # (blocks, block, batch, 4 units)
    cells: tf.TensorArray  # (blocks, block, batch, units): before each step
    hidden: tf.TensorArray  # (blocks, block, batch, units): after each step


def _run_blocks(calls: Sequence[LstmCall], block: int, one: Tensor) -> tuple[Any, Gradient]:
    n_blocks = calls[0].inputs.shape[0] // block
    passing = [_passing(call) for call in calls]
    numbers = count(1)

    def new_array(like: Tensor) -> tf.TensorArray:
        """Return an array for the blocks' rows, each like this one.

        All of it will be written. XLA would merge arrays of equal values and copy the merged one
        for each loop, so each array has its own initial value.
        """
        shape = (block, *like.shape[-2:])
        values = tf.constant(float(next(numbers)), like.dtype, (n_blocks, *shape))
        return tf.TensorArray(like.dtype, n_blocks, element_shape=shape).unstack(values)

    def index(call: LstmCall, number: Any) -> Any:
        """Return the index in the arrays of the block that is taken as number `number`, from 0."""
        return n_blocks - 1 - number if call.reverse else number

    def rows(call: LstmCall, array: Tensor | None, number: Any) -> list[Any]:
        """Return a block's rows of (steps, batch, width), in the order of the steps."""
        if array is None:
            return [None] * block
        begin = tf.stack([index(call, number) * block, 0, 0])
        return _ordered(call, tf.unstack(tf.slice(array, begin, (block, *array.shape[1:]))))

    def write(array: tf.TensorArray, call: LstmCall, number: Any, rows: list[Any]) -> Any:
        return array.write(index(call, number), tf.stack(_ordered(call, rows)))

    def forward(number: Any, states: Any, arrays: Any) -> tuple[Any, Any, Any]:
        ends, written = [], []
        for call, passes, state, array in zip(calls, passing, states, arrays, strict=True):
            inputs, passed = rows(call, call.inputs, number), rows(call, passes, number)
            steps, hidden = _forward(call, one, state, inputs, passed)
            gates, cells = [step.gates for step in steps], [step.cell_before for step in steps]
            ends.append((hidden[-1], steps[-1].cell))
            parts = zip(array, (gates, cells, hidden), strict=True)
            written.append(_Arrays(*(write(x, call, number, values) for x, values in parts)))
        return number + 1, ends, written

    starts = [call.state or (call.zeros, call.zeros) for call in calls]
    arrays = [
        _Arrays(new_array(call.inputs), new_array(call.zeros), new_array(call.zeros))
        for call in calls
    ]
    _, ends, arrays = tf.while_loop(
        lambda number, *_: number < n_blocks, forward, (0, starts, arrays)
    )

    def whole(array: tf.TensorArray) -> Tensor:
        """Return an array's rows: (steps, batch, width)."""
        blocks = array.stack()
        return tf.reshape(blocks, (n_blocks * block, *blocks.shape[2:]))

    saved = [_Arrays(*map(whole, array)) for array in arrays]
    outputs = [LstmOutputs(kept.hidden, *end) for kept, end in zip(saved, ends, strict=True)]

    def gradient(*upstream: Tensor) -> tuple[Tensor, ...]:
        values = iter(upstream)
        d_outputs = [LstmOutputs.of(call, values) for call in calls]
        transposed = [tf.transpose(call.kernel) for call in calls]

        def backward(done: Any, d_states: Any, cells: Any, arrays: Any) -> tuple[Any, ...]:
            number, moved = n_blocks - 1 - done, []
            for i, call in enumerate(calls):
                gates, before = (rows(call, x, number) for x in (saved[i].gates, saved[i].cells))
                after = [*before[1:], cells[i]]
                steps = [Step(*parts) for parts in zip(gates, before, after, strict=True)]
                d_rows, passed = (rows(call, x, number) for x in (d_outputs[i].outputs, passing[i]))
                d_state, d_gates = _backward(
                    call, one, transposed[i], d_states[i], steps, d_rows, passed
                )
                moved.append((d_state, before[0], write(arrays[i], call, number, d_gates)))
            return done + 1, *map(list, zip(*moved, strict=True))

        d_ends = [
            (d.hidden, d.cell) if call.gives_state else (call.zeros, call.zeros)
            for call, d in zip(calls, d_outputs, strict=True)
        ]
        # Counting up to a constant tells XLA how often the body runs.
        _, d_starts, _, arrays = tf.while_loop(
            lambda done, *_: done < n_blocks,
            backward,
            (0, d_ends, [cell for _, cell in ends], [new_array(call.inputs) for call in calls]),
        )
        gradients = []
        for call, start, kept, array, d_start in zip(
            calls, starts, saved, arrays, d_starts, strict=True
        ):
            first = start[0][tf.newaxis]
            before = [kept.hidden[1:], first] if call.reverse else [first, kept.hidden[:-1]]
            d_gates = whole(array)
            gradients += [d_gates, _kernel_gradient(call, tf.concat(before, 0), d_gates)]
            gradients += d_start if call.state else ()
        return tuple(gradients)

    flat = [x for call, output in zip(calls, outputs, strict=True) for x in output.flat(call)]
    return tuple(flat), gradient
