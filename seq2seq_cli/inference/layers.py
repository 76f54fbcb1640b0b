"""The layers' arithmetic: plain functions on NumPy arrays.

It is that of Keras' stock layers, to within float rounding; gate order i, f, c, o.
"""

from typing import NamedTuple

import numpy as np

from seq2seq_cli.vocabulary import Floats, Ids


class State(NamedTuple):
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
    """An LSTM prepared for ids: its input product is a row of `table`.

    A sigmoid is (1 + tanh(x / 2)) / 2. With the halves folded into the weights of the three
    sigmoid gates, one tanh over all gates serves them all.
    """

    table: Floats  # (cardinality, 4 units): kernel plus bias
    recurrent_kernel: Floats  # (units, 4 units)


def fold_lstm(weights: LstmWeights) -> FoldedLstm:
    """Return the LSTM with its bias and the halves of its sigmoids folded in."""
    scale = np.full(4, 0.5, np.float32)
    scale[2] = 1.0  # the candidate's tanh has no half
    columns = np.repeat(scale, weights.units)
    table = (weights.kernel + weights.bias) * columns
    return FoldedLstm(table, np.ascontiguousarray(weights.recurrent_kernel * columns))


def zero_state(batch: int, units: int) -> State:
    """Return the state before a sequence begins."""
    return State(np.zeros((batch, units), np.float32), np.zeros((batch, units), np.float32))


def lstm_step(lstm: FoldedLstm, ids: Ids, state: State) -> State:
    """Return the state after one step on `ids` (batch,)."""
    gates = state.hidden @ lstm.recurrent_kernel  # (batch, units) @ (units, 4 units)
    gates += lstm.table[ids]
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
    return State(hidden, np.ascontiguousarray(f))


def dense(inputs: Floats, kernel: Floats, bias: Floats) -> Floats:
    """(batch, inputs) @ (inputs, outputs) + (outputs,)."""
    return inputs @ kernel + bias


def log_softmax(logits: Floats) -> Floats:
    """Return natural-log probabilities over the last axis."""
    shifted: Floats = logits - logits.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted
