"""The encoder and the decoder that a run's inference files describe, ready to decode.

Both are called as the Keras models in the same files are, with one-hot inputs of rank 3, and have
a second, faster way in that takes ids.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seq2seq_cli.config import RunConfig
from seq2seq_cli.errors import ModelError
from seq2seq_cli.inference.keras_file import Layer, read_layers
from seq2seq_cli.inference.layers import (
    FoldedLstm,
    LstmWeights,
    State,
    dense,
    fold_lstm,
    log_softmax,
    lstm_step,
    zero_state,
)
from seq2seq_cli.manifest import DECODER_MODEL, ENCODER_MODEL
from seq2seq_cli.runs import Run, open_run
from seq2seq_cli.vocabulary import PADDING, Floats, Ids, one_hot_decode

ENCODER_LAYER = "encoder_lstm"
DECODER_LAYER = "decoder_lstm"
OUTPUT_LAYER = "output"


@dataclass(frozen=True)
class Encoder:
    """Source -> the state that the decoder starts from, the context vector."""

    lstm: FoldedLstm

    def encode(self, sources: Ids) -> State:
        """Return the states (n, units) after sources (n, steps), each read up to its padding."""
        state = zero_state(len(sources), self.lstm.recurrent_kernel.shape[0])
        padded = (sources == PADDING).any()
        for ids in sources.T:
            after = lstm_step(self.lstm, ids, state)
            if padded:
                real = (ids != PADDING)[:, None]
                after = State(
                    np.where(real, after.hidden, state.hidden),
                    np.where(real, after.cell, state.cell),
                )
            state = after
        return state

    def __call__(self, sources: Floats) -> list[Floats]:
        """Return hidden and cell state for one-hot sources (n, steps, cardinality)."""
        return list(self.encode(one_hot_decode(sources)))


@dataclass(frozen=True)
class Decoder:
    """State and the token before -> probabilities of the next token, and the state after."""

    lstm: FoldedLstm
    kernel: Floats  # (units, cardinality)
    bias: Floats  # (cardinality,)

    def step(self, tokens: Ids, state: State) -> tuple[Floats, State]:
        """Return logits (n, cardinality) after `tokens` (n,), and the state after them."""
        state = lstm_step(self.lstm, tokens, state)
        return dense(state.hidden, self.kernel, self.bias), state

    def __call__(self, inputs: list[Floats]) -> list[Floats]:
        """Return probabilities (n, steps, cardinality) and both states.

        `inputs` are one-hot tokens (n, steps, cardinality), hidden and cell state (n, units).
        """
        tokens, hidden, cell = inputs
        state = State(np.asarray(hidden, np.float32), np.asarray(cell, np.float32))
        steps = []
        for ids in one_hot_decode(tokens).T:
            logits, state = self.step(ids, state)
            steps.append(np.exp(log_softmax(logits)))
        return [np.stack(steps, axis=1), *state]


@dataclass(frozen=True)
class Network:
    """The two halves of a trained model, and the run they come from."""

    run: Run
    encoder: Encoder
    decoder: Decoder

    @property
    def config(self) -> RunConfig:
        """The configuration that the model was trained with."""
        return self.run.config


def load_run(run: str | None = None, runs_dir: str | Path = "runs") -> Network:
    """Load a completed run's encoder and decoder, without TensorFlow.

    Takes the newest completed run unless `run` names one. Raises ModelError where there is none,
    or where a file is missing, corrupt or does not fit the run's configuration.
    """
    return load_network(open_run(Path(runs_dir), run))


def load_network(run: Run) -> Network:
    """Load the run's inference files; raises ModelError for what is corrupt or does not fit."""
    encoder_file, decoder_file = run.path / ENCODER_MODEL, run.path / DECODER_MODEL
    encoder_layers = read_layers(run.read(ENCODER_MODEL), str(encoder_file))
    decoder_layers = read_layers(run.read(DECODER_MODEL), str(decoder_file))
    inputs, units = run.config.task.cardinality, run.config.model.units
    lstm_shapes = [(inputs, 4 * units), (units, 4 * units), (4 * units,)]
    encoder = _arrays(encoder_layers, ENCODER_LAYER, "LSTM", lstm_shapes, encoder_file)
    decoder = _arrays(decoder_layers, DECODER_LAYER, "LSTM", lstm_shapes, decoder_file)
    kernel, bias = _arrays(
        decoder_layers, OUTPUT_LAYER, "Dense", [(units, inputs), (inputs,)], decoder_file
    )
    return Network(
        run,
        Encoder(fold_lstm(LstmWeights(*encoder))),
        Decoder(fold_lstm(LstmWeights(*decoder)), kernel, bias),
    )


# What the arithmetic in `layers` assumes of a layer; anything else would give wrong numbers.
_SETTINGS = {
    "LSTM": {"activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True},
    "Dense": {"activation": "softmax", "use_bias": True},
}


def _arrays(
    layers: dict[str, Layer], name: str, kind: str, shapes: list[tuple[int, ...]], file: Path
) -> tuple[Floats, ...]:
    """Return the named layer's arrays, or raise ModelError where it is not what is expected."""
    layer = layers.get(name)
    if layer is None or layer.kind != kind:
        raise ModelError(f"{file} has no {kind} layer {name}: it was not saved by s2s")
    for setting, value in _SETTINGS[kind].items():
        if layer.settings.get(setting) != value:
            raise ModelError(
                f"{file}: layer {name} has {setting} = {layer.settings.get(setting)!r}, "
                f"and s2s reads {value!r}"
            )
    found = [array.shape for array in layer.weights]
    if found != shapes:
        raise ModelError(
            f"{file}: layer {name} has arrays of shapes {found}, "
            f"and the run's configuration asks for {shapes}"
        )
    return layer.weights
