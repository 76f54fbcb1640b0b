"""The layers' arithmetic: plain functions on NumPy arrays.

It is that of Keras' stock layers, to within float rounding; gate order i, f, c, o.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.data.vocabulary import PADDING, Floats, Ids

Mask = NDArray[np.bool_]


class LstmState(NamedTuple):
    """The hidden and the cell state of an LSTM, each (batch, units)."""

    hidden: Floats
    cell: Floats


class LstmWeights(NamedTuple):
    """An LSTM's arrays, as Keras keeps them."""

    kernel: Floats  # (inputs, 4 units)
    recurrent_kernel: Floats  # (units, 4 units)
    bias: Floats  # (4 units,)

    @property
    def units(self) -> int:
        """Width of the states."""
        return len(self.recurrent_kernel)


class FoldedLstm(NamedTuple):
    """An LSTM prepared for its steps; the gates' inputs come from ids or from vectors.

    A sigmoid is (1 + tanh(x / 2)) / 2. With the halves folded into the weights of the three
    sigmoid gates, one tanh over all gates serves them all. For ids the input product is a row of
    the kernel, and the bias is in that already.
    """

    kernel: Floats  # (inputs, 4 units), or (cardinality, 4 units)
    recurrent_kernel: Floats  # (units, 4 units)
    bias: Floats | None  # (4 units,); none for ids

    @property
    def units(self) -> int:
        """Width of the states."""
        return len(self.recurrent_kernel)

    def gate_inputs(self, values: Floats | Ids) -> Floats:
        """Return the gates' inputs (batch, 4 units) of ids (batch,) or vectors (batch, inputs)."""
        if self.bias is None:
            rows: Floats = self.kernel[values]
            return rows
        return dense(values.astype(np.float32, copy=False), self.kernel, self.bias)


def fold_lstm(weights: LstmWeights) -> FoldedLstm:
    """Return the LSTM for vectors, with the halves of its sigmoids folded in."""
    scale = np.full(4, 0.5, np.float32)
    scale[2] = 1.0  # the candidate's tanh has no half
    columns = np.repeat(scale, weights.units)
    kernel = np.ascontiguousarray(weights.kernel * columns)
    recurrent_kernel = np.ascontiguousarray(weights.recurrent_kernel * columns)
    return FoldedLstm(kernel, recurrent_kernel, weights.bias * columns)


def fold_ids(lstm: FoldedLstm, embedding: Floats | None = None) -> FoldedLstm:
    """Return the LSTM for ids: one-hot vectors, or those of an embedding (cardinality, inputs)."""
    assert lstm.bias is not None
    table = lstm.kernel if embedding is None else embedding @ lstm.kernel
    return FoldedLstm(table + lstm.bias, lstm.recurrent_kernel, None)


def zero_state(batch: int, units: int) -> LstmState:
    """Return the state before a sequence begins."""
    return LstmState(np.zeros((batch, units), np.float32), np.zeros((batch, units), np.float32))


def lstm_step(lstm: FoldedLstm, values: Floats | Ids, state: LstmState) -> LstmState:
    """Return the state after one step on ids (batch,) or vectors (batch, inputs)."""
    gates = state.hidden @ lstm.recurrent_kernel  # (batch, units) @ (units, 4 units)
    gates += lstm.gate_inputs(values)
    np.tanh(gates, out=gates)
    i, f, candidate, o = np.split(gates, 4, axis=1)
    for gate in (i, f, o):
        gate += 1.0
        gate *= 0.5
    f *= state.cell
    i *= candidate
    f += i
    hidden = np.tanh(f)
    hidden *= o
    return LstmState(hidden, np.ascontiguousarray(f))


def lstm_sequence(
    lstm: FoldedLstm, values: Floats | Ids, mask: Mask | None, keep: bool, backwards: bool = False
) -> tuple[LstmState, Floats | None]:
    """Run an LSTM over ids (batch, steps) or vectors (batch, steps, inputs), from zeros.

    Returns the state after the last step, and with `keep` the outputs (batch, steps, units). Where
    `mask` (batch, steps) is false a step leaves the state as it is, and its output is zero.
    """
    batch, steps = values.shape[:2]
    state = zero_state(batch, lstm.units)
    outputs = np.zeros((batch, steps, lstm.units), np.float32) if keep else None
    for t in range(steps)[::-1] if backwards else range(steps):
        after = lstm_step(lstm, values[:, t], state)
        if mask is None:
            state = after
            if outputs is not None:
                outputs[:, t] = state.hidden
            continue
        real = mask[:, t, None]
        state = LstmState(
            *(np.where(real, new, old) for new, old in zip(after, state, strict=True))
        )
        if outputs is not None:
            outputs[:, t] = state.hidden * real
    return state, outputs


def attend(queries: Floats, keys: Floats, mask: Mask | None) -> Floats:
    """Return dot attention's weights (batch, steps) of queries (batch, width).

    Keys have shape (batch, steps, width); where `mask` (batch, steps) is false the weight is zero.
    """
    scores = np.matmul(keys, queries[:, :, None])[:, :, 0]
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    scores -= scores.max(axis=1, keepdims=True)
    weights: Floats = np.exp(scores)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def dense(inputs: Floats, kernel: Floats, bias: Floats) -> Floats:
    """(batch, inputs) @ (inputs, outputs) + (outputs,)."""
    return inputs @ kernel + bias


def likeliest(scores: Floats) -> Ids:
    """Return the best id of scores (n, ids), (n,): never PADDING, the first of equal ones."""
    best: Ids = scores[:, PADDING + 1 :].argmax(axis=1).astype(np.int32) + np.int32(PADDING + 1)
    return best


def log_softmax(logits: Floats) -> Floats:
    """Return natural-log probabilities over the last axis."""
    shifted: Floats = logits - logits.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted
