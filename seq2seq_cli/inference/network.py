"""The encoder and the decoder of a model, ready to decode.

Both can be called like the Keras models in the same files, with arrays of the same shapes, and have
faster methods that take ids.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.vocabulary import PADDING, Floats, Ids, check_ids, one_hot_decode
from seq2seq_cli.inference.layers import (
    FoldedLstm,
    LstmState,
    Mask,
    attend,
    dense,
    log_softmax,
    lstm_sequence,
    lstm_step,
    position_biases,
)
from seq2seq_cli.runs.listing import Run

BATCH = 512
"""Sequences decoded together: their gates fit a core's second-level cache."""

PADDED_IDS = 2**20
"""Maximum ids of sources decoded together: fewer long sources fit in the memory."""

SCORES = 2**25
"""Maximum scores computed together: the more ids, the fewer sources are decoded together."""

ATTENDED_FLOATS = 2**22
"""Maximum floats that attention reads for the sequences decoded together."""

LEAST_ATTENDED = 16
"""Sequences decoded together even if they exceed that: a step on fewer takes as long."""

WEIGHED_FLOATS = 2**17
"""Attention weights computed together: they fit a core's second-level cache."""

Rows = Ids | NDArray[np.int64] | Mask
"""Rows of a batch: their indices, or a mask."""

States = list[LstmState]
"""A state for each layer of a stack, each (batch, width)."""


def take_states(states: States, rows: Rows) -> States:
    """Return the states of these rows of the batch."""
    return [LstmState(state.hidden[rows], state.cell[rows]) for state in states]


def is_worth_dropping(going: Mask) -> bool:
    """Return whether dropping the rows (batch,) that have ended saves more than the copy costs."""
    return bool(going.mean() <= 0.75)


class EncoderLayer(NamedTuple):
    """An LSTM of the encoder, with the backward LSTM if it is bidirectional."""

    forward: FoldedLstm
    backward: FoldedLstm | None = None


class Memory(NamedTuple):
    """What attention attends to."""

    outputs: Floats  # (batch, steps, width): the encoder's
    mask: Mask | None  # (batch, steps): false at padding; None without padding
    ends: NDArray[np.int64]  # (batch, 3): last positions of source and target; the target's next

    def take(self, rows: Rows | slice) -> "Memory":
        """Return the memory for these rows of the batch."""
        mask = None if self.mask is None else self.mask[rows]
        return Memory(self.outputs[rows], mask, self.ends[rows])

    def biases(self, tables: Floats, t: int, n_out: int) -> Floats:
        """Return attention's biases (batch or 1, n_out, steps + 2) from `t` target tokens on."""
        ends = self.ends[:1] if (self.ends == self.ends[0]).all() else self.ends
        source_last, target_last, first = ends.T[:, :, np.newaxis]
        n_in = self.outputs.shape[1]
        return position_biases(tables, n_in, n_out, source_last, target_last, first + t)


@dataclass(frozen=True)
class Encoder:
    """Encodes a source as the states that the decoder starts from, the context vector."""

    layers: list[EncoderLayer]
    attended: bool  # whether the decoder needs the outputs
    positioned: bool = False  # whether it counts its steps

    def encode(self, sources: Ids) -> tuple[States, Floats | None]:
        """Return the states after sources (n, steps), each read up to its padding.

        With attention the last layer's outputs (n, steps, width) are returned too.
        """
        padded = sources == PADDING
        mask = ~padded if padded.any() else None
        values: Floats | Ids = sources
        states: States = []
        for number, layer in enumerate(self.layers):
            keep = self.attended or number < len(self.layers) - 1
            state, outputs = lstm_sequence(layer.forward, values, mask, keep)
            if layer.backward:
                other, before = lstm_sequence(layer.backward, values, mask, keep, backwards=True)
                pairs = zip(state, other, strict=True)
                state = LstmState(*(np.concatenate(pair, axis=1) for pair in pairs))
                if outputs is not None and before is not None:
                    outputs = np.concatenate([outputs, before], axis=2)
            states.append(state)
            if outputs is not None:
                values = outputs
        return states, np.asarray(values) if self.attended else None

    def __call__(self, sources: Floats | Ids) -> list[Floats]:
        """Return the states, and with attention position and outputs, like the Keras encoder.

        `sources` are one-hot (n, steps, cardinality), padding being zero vectors, or, for a model
        with an embedding, ids (n, steps).
        """
        states, outputs = self.encode(_ids(sources, self.layers[0].forward))
        flat = [array for state in states for array in state]
        if self.positioned:
            flat.append(np.zeros((len(sources), 1), np.float32))
        return flat if outputs is None else [*flat, outputs]


class Attention(NamedTuple):
    """The weights of Luong's attention.

    A query is compared with keys, the encoder's outputs times a kernel. Here the query is
    multiplied by the transposed kernel instead: the scores are the same, with fewer products.
    """

    keys_kernel: Floats  # (width, width)
    kernel: Floats  # (2 width, width): of context and output together
    bias: Floats  # (width,)
    biases: Floats | None = None  # (4, 2 radius + 1): of relative positions


class Step(NamedTuple):
    """The result of a decoder's step."""

    logits: Floats  # (n, n_features)
    states: States
    attention: Floats | None  # (n, steps of the source): the weights


@dataclass(frozen=True)
class Decoder:
    """Scores the next token, given the states and the token before."""

    layers: list[FoldedLstm]
    attention: Attention | None
    kernel: Floats  # (width, n_features)
    bias: Floats  # (n_features,)
    target_length: int | None = None  # of all targets; None if they have an end of sequence

    def remember(
        self,
        outputs: Floats | None,
        sources: Ids | None = None,
        limits: NDArray[np.int64] | None = None,
        position: Floats | None = None,
    ) -> Memory | None:
        """Return the memory of the encoder's outputs (n, steps, width); None without attention.

        Padding is known from the sources (n, steps), or from its outputs, which are zero. If
        targets have a fixed length, `limits` (n,) are their lengths. The next target token is at
        `position` (n,), 0 by default.
        """
        if self.attention is None or outputs is None:
            return None
        mask = (outputs != 0).any(axis=2) if sources is None else sources != PADDING
        ends = np.zeros((len(outputs), 3), np.int64)
        ends[:, 0] = mask.sum(axis=1) - 1
        if self.target_length is not None:
            ends[:, 1] = (self.target_length if limits is None else limits) - 1
        if position is not None:
            ends[:, 2] = position
        return Memory(outputs, None if mask.all() else mask, ends)

    def step(self, tokens: Ids, states: States, memory: Memory | None = None, t: int = 0) -> Step:
        """Return the result of a step on `tokens` (n,), which precede target position `t`."""
        after: States = []
        for layer, state in zip(self.layers, states, strict=True):
            after.append(lstm_step(layer, after[-1].hidden if after else tokens, state))
        values, weights = after[-1].hidden, None
        if self.attention and memory:
            attended, looks = self._attend(self.attention, values[:, None], memory, t)
            values, weights = attended[:, 0], looks[:, 0]
        return Step(self.score(values), after, weights)

    def read(self, tokens: Ids, states: States, memory: Memory | None = None) -> Floats:
        """Return the values (n, steps, width) to score after each of the known `tokens`."""
        values: Floats | Ids = tokens
        for layer, state in zip(self.layers, states, strict=True):
            _, outputs = lstm_sequence(layer, values, None, keep=True, before=state)
            assert outputs is not None
            values = outputs
        read = np.asarray(values, np.float32)
        if self.attention and memory:
            n, steps = tokens.shape
            size = max(1, WEIGHED_FLOATS // (steps * memory.outputs.shape[1]))
            for start in range(0, n, size):
                rows = slice(start, start + size)
                read[rows], _ = self._attend(self.attention, read[rows], memory.take(rows))
        return read

    def score(self, values: Floats) -> Floats:
        """Return the logits (n, n_features) of values (n, width)."""
        return dense(values, self.kernel, self.bias)

    @staticmethod
    def _attend(
        attention: Attention, values: Floats, memory: Memory, t: int = 0
    ) -> tuple[Floats, Floats]:
        """Return the attentional vectors of values (n, steps, width), and the weights."""
        queries, biases = values @ attention.keys_kernel.T, None
        if attention.biases is not None:
            biases = memory.biases(attention.biases, t, values.shape[1])
        contexts, weights = attend(queries, memory.outputs, memory.mask, biases)
        joined = np.concatenate([contexts, values], axis=2)
        return np.tanh(dense(joined, attention.kernel, attention.bias)), weights

    def __call__(self, inputs: list[Floats]) -> list[Floats]:
        """Return probabilities (n, steps, n_features) and the states, like the Keras decoder.

        `inputs` are tokens, one-hot (n, steps, n_features) or, for a model with an embedding, ids
        (n, steps); then hidden and cell state (n, width) of each layer; then, with position biases,
        the position (n, 1) of the next token; then, with attention, the encoder's outputs.
        """
        tokens, *rest = inputs
        n_states = 2 * len(self.layers)
        flat = [np.asarray(array, np.float32) for array in rest[:n_states]]
        states = [LstmState(*flat[i : i + 2]) for i in range(0, len(flat), 2)]
        position = [np.asarray(array, np.float32) for array in rest[n_states:-1]]
        memory = None
        if self.attention:
            outputs = np.asarray(rest[-1], np.float32)
            memory = self.remember(outputs, position=position[0][:, 0] if position else None)
        probabilities = []
        for t, ids in enumerate(_ids(tokens, self.layers[0]).T):
            logits, states, _ = self.step(ids, states, memory, t)
            probabilities.append(np.exp(log_softmax(logits)))
        after = [array + len(probabilities) for array in position]
        flat = [array for state in states for array in state]
        return [np.stack(probabilities, axis=1), *flat, *after]


@dataclass(frozen=True)
class LoadedRun:
    """The two halves of a trained model, and the run they come from."""

    run: Run
    encoder: Encoder
    decoder: Decoder

    def __repr__(self) -> str:
        return repr(self.run)

    def _repr_html_(self) -> str:
        return self.run._repr_html_()

    @property
    def config(self) -> RunConfig:
        """The configuration that the model was trained with."""
        return self.run.config

    def batch_size(self, n_in: int) -> int:
        """Return the number of sources of this length to decode together."""
        most = min(PADDED_IDS // n_in, SCORES // len(self.decoder.bias))
        if self.decoder.attention:
            attended = ATTENDED_FLOATS // (n_in * len(self.decoder.kernel))
            most = min(most, max(LEAST_ATTENDED, attended))
        return max(1, min(BATCH, most))

    def length_notes(self, lengths: Iterable[int]) -> list[str]:
        """Return a note if some of the lengths are not those that the run was trained on."""
        task = self.config.task
        shortest, longest = task.lengths
        others = sorted(length for length in lengths if not shortest <= length <= longest)
        if not others:
            return []
        shown = f"{others[0]} to {others[-1]}" if len(others) > 3 else ", ".join(map(str, others))
        return [f"trained on sources of {task.n_in} integers, given {shown}: expect more errors"]


def _ids(sequences: Floats | Ids, reader: FoldedLstm) -> Ids:
    """Return ids of one-hot vectors, or ids unchanged; zero vectors become padding.

    Raises DataError for ids outside the vocabulary of the layer that reads them.
    """
    array = np.asarray(sequences)
    if array.ndim == 3:
        return one_hot_decode(array)
    return check_ids(array.astype(np.int32), reader.kernel.shape[1], lowest=0)
