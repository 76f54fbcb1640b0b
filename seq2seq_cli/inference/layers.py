"""The layers' arithmetic: plain functions on NumPy arrays.

They compute what Keras' stock layers do, up to float rounding.
"""

import threading
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from seq2seq_cli.architecture import BIAS_SCALE
from seq2seq_cli.data.vocabulary import PADDING, Floats, Ids

Mask = NDArray[np.bool_]


class LstmState(NamedTuple):
    """The hidden and the cell state of an LSTM, each (batch, units)."""

    hidden: Floats
    cell: Floats


class LstmWeights(NamedTuple):
    """An LSTM's arrays, as Keras stores them: gates side by side, in the order i, f, c, o."""

    kernel: Floats  # (inputs, 4 units)
    recurrent_kernel: Floats  # (units, 4 units)
    bias: Floats  # (4 units,)

    @property
    def units(self) -> int:
        """Width of the states."""
        return len(self.recurrent_kernel)


class FoldedLstm(NamedTuple):
    """An LSTM prepared for its steps; the gates' inputs come from ids or from vectors.

    Each gate has its own array, in the order i, f, o, c, so that a step works on contiguous
    memory. A sigmoid is 1 / (1 + exp(-x)): the minus sign is folded into the weights of the three
    sigmoid gates. For ids the input product is a row of the kernel, which includes the bias.
    """

    kernel: Floats  # (4, inputs, units), or (4, cardinality, units)
    recurrent_kernel: Floats  # (4, units, units)
    bias: Floats | None  # (4, 1, units); none for ids

    @property
    def units(self) -> int:
        """Width of the states."""
        return int(self.recurrent_kernel.shape[-1])

    def gate_inputs(self, values: Floats | Ids) -> Floats:
        """Return the gates' inputs (4, batch, units) of ids (batch,) or vectors (batch, inputs).

        The array belongs to the calling thread; its next call overwrites it.
        """
        gates, _ = _scratch((4, len(values), self.units))
        if self.bias is None:
            ids = np.asarray(values, np.intp)
            self.kernel.take(ids, axis=1, out=gates, mode="clip")  # "raise" makes a copy
            return gates
        np.matmul(values.astype(np.float32, copy=False), self.kernel, out=gates)
        gates += self.bias
        return gates


def fold_lstm(weights: LstmWeights) -> FoldedLstm:
    """Return the LSTM for vectors, with the signs of its sigmoids folded in."""

    def fold(array: Floats) -> Floats:
        i, f, candidate, o = np.split(array, 4, axis=-1)
        return np.stack([-i, -f, -o, candidate])

    return FoldedLstm(
        fold(weights.kernel), fold(weights.recurrent_kernel), fold(weights.bias)[:, None]
    )


def fold_ids(lstm: FoldedLstm, embedding: Floats | None = None) -> FoldedLstm:
    """Return the LSTM for ids: one-hot vectors, or those of an embedding (cardinality, inputs)."""
    assert lstm.bias is not None
    table = lstm.kernel if embedding is None else embedding @ lstm.kernel
    return FoldedLstm(table + lstm.bias, lstm.recurrent_kernel, None)


_threads = threading.local()


def _scratch(shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Return two arrays of this shape, reused within each thread.

    Without reuse, new pages of memory would take a third of a step's time.
    """
    if getattr(_threads, "shape", None) != shape:
        _threads.shape, _threads.arrays = shape, np.empty((2, *shape), np.float32)
    first, second = _threads.arrays
    return first, second


def zero_state(batch: int, units: int) -> LstmState:
    """Return the state before a sequence begins."""
    return LstmState(np.zeros((batch, units), np.float32), np.zeros((batch, units), np.float32))


def lstm_step(lstm: FoldedLstm, values: Floats | Ids, state: LstmState | None) -> LstmState:
    """Return the state after one step on ids (batch,) or vectors (batch, inputs).

    `state` is None before a sequence begins.
    """
    gates = lstm.gate_inputs(values)  # (4, batch, units)
    if state is not None:
        _, products = _scratch(gates.shape)
        gates += np.matmul(state.hidden, lstm.recurrent_kernel, out=products)
    sigmoids, candidate = gates[:3], gates[3]
    with np.errstate(over="ignore"):  # 1 / (1 + inf) is correctly 0
        np.exp(sigmoids, out=sigmoids)
    sigmoids += 1
    i, f, o = np.divide(1, sigmoids, out=sigmoids)
    cell = np.tanh(candidate)
    cell *= i
    if state is not None:
        f *= state.cell
        cell += f
    hidden = np.tanh(cell)
    hidden *= o
    return LstmState(hidden, cell)


def lstm_sequence(
    lstm: FoldedLstm,
    values: Floats | Ids,
    mask: Mask | None,
    keep: bool,
    backwards: bool = False,
    before: LstmState | None = None,
) -> tuple[LstmState, Floats | None]:
    """Run an LSTM over ids (batch, steps) or vectors (batch, steps, inputs), from a state or zeros.

    Returns the state after the last step, and with `keep` the outputs (batch, steps, units). Where
    `mask` (batch, steps) is false, a step leaves the state unchanged and its output is zero.
    """
    batch, steps = values.shape[:2]
    state = before or zero_state(batch, lstm.units)
    outputs = np.zeros((batch, steps, lstm.units), np.float32) if keep else None
    order = range(steps)[::-1] if backwards else range(steps)
    for number, t in enumerate(order):
        if number == 0 and before is None and mask is None:
            state = _first(lstm, values[:, t])
        elif mask is None:
            state = lstm_step(lstm, values[:, t], state)
        else:
            after, real = lstm_step(lstm, values[:, t], state), mask[:, t, None]
            pairs = zip(after, state, strict=True)
            state = LstmState(*(np.where(real, new, old) for new, old in pairs))
        if outputs is not None:
            outputs[:, t] = state.hidden if mask is None else state.hidden * real
    return state, outputs


def _first(lstm: FoldedLstm, values: Floats | Ids) -> LstmState:
    """Return the state after a sequence's first step, computed once for each different id."""
    n_ids = lstm.kernel.shape[1]
    if lstm.bias is not None or n_ids > len(values):
        return lstm_step(lstm, values, None)
    each = lstm_step(lstm, np.arange(n_ids, dtype=np.int32), None)
    return LstmState(each.hidden[values], each.cell[values])


def attend(
    queries: Floats, memory: Floats, mask: Mask | None, biases: Floats | None = None
) -> tuple[Floats, Floats]:
    """Return dot attention's contexts (batch, n, width) and weights (batch, n, steps).

    Queries have shape (batch, n, width), the memory that they attend to (batch, steps, width).
    Where `mask` (batch, steps) is false the weight is zero. With biases (batch or 1, n, steps + 2)
    queries may also attend to a position before and one after the source, where the memory is zero:
    the returned weights then sum to less than 1.
    """
    weights = np.matmul(queries, memory.transpose(0, 2, 1))
    looked_at = mask
    if biases is not None:
        weights = np.pad(weights, ((0, 0), (0, 0), (1, 1))) + biases
        if mask is not None:
            looked_at = np.pad(mask, ((0, 0), (2, 0)), constant_values=True)
    if looked_at is not None:
        np.copyto(weights, -np.inf, where=~looked_at[:, None])
    weights -= weights.max(axis=2, keepdims=True)
    np.exp(weights, out=weights)
    weights /= weights.sum(axis=2, keepdims=True)
    if biases is not None:
        weights = weights[:, :, 1:-1]
        if mask is not None:
            weights *= mask[:, None]
    return np.matmul(weights, memory), weights


def position_biases(
    tables: Floats,
    n_in: int,
    n_out: int,
    source_last: NDArray[np.int64],
    target_last: NDArray[np.int64],
    first: NDArray[np.int64],
) -> Floats:
    """Return attention's biases (rows, n_out, n_in + 2) of target positions from `first` on.

    The positions, (rows, 1) each, are of the last token of source and target, and of the first
    target token. `tables` are (4, 2 radius + 1); the formula is in
    `Architecture.attention_layers`. Biases are constant along the diagonals j - t and j + t.
    """
    radius = tables.shape[1] // 2

    def look_up(table: int, offsets: NDArray[np.int64]) -> Floats:
        values: Floats = tables[table].take(offsets.clip(-radius, radius) + radius)
        return values

    def windows(vectors: Floats) -> Floats:
        view: Floats = sliding_window_view(vectors, n_in + 2, axis=1)
        return view

    differences = np.arange(-n_out, n_in + 1) - first
    sums = np.arange(-1, n_in + n_out) + first
    along = look_up(0, differences) + look_up(3, source_last - target_last - differences)
    across = look_up(1, sums - target_last) + look_up(2, source_last - sums)
    biases: Floats = windows(across) + windows(along)[:, ::-1]
    biases *= np.float32(BIAS_SCALE)
    return biases


def dense(inputs: Floats, kernel: Floats, bias: Floats) -> Floats:
    """(batch, inputs) @ (inputs, outputs) + (outputs,)."""
    return inputs @ kernel + bias


def likeliest(scores: Floats) -> Ids:
    """Return the best id of scores (n, ids), (n,): never PADDING, the first in a tie."""
    best: Ids = scores[:, PADDING + 1 :].argmax(axis=1).astype(np.int32) + np.int32(PADDING + 1)
    return best


def log_softmax(logits: Floats) -> Floats:
    """Return natural-log probabilities over the last axis."""
    shifted: Floats = logits - logits.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted
