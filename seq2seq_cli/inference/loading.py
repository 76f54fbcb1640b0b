"""Loads a run's encoder and decoder, checked against its configuration."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from seq2seq_cli.architecture import LSTM_SETTINGS, Architecture, Layer
from seq2seq_cli.data.vocabulary import Floats
from seq2seq_cli.errors import ModelError
from seq2seq_cli.inference.keras_file import SavedLayer, read_layers
from seq2seq_cli.inference.layers import LstmWeights, fold_ids, fold_lstm
from seq2seq_cli.inference.network import Attention, Decoder, Encoder, EncoderLayer, LoadedRun
from seq2seq_cli.runs.listing import Run, open_run
from seq2seq_cli.runs.manifest import DECODER_MODEL, ENCODER_MODEL


def load_run(run: str | None = None, runs_dir: str | Path = "runs") -> LoadedRun:
    """Load a completed run's encoder and decoder, without TensorFlow.

    Takes the newest completed run unless `run` names one. Raises ModelError if there is none, or if
    a file is missing, corrupt or does not fit the run's configuration.
    """
    return load_network(open_run(Path(runs_dir), run))


def saved_weights(run: Run) -> dict[str, tuple[Floats, ...]]:
    """Return the arrays of each layer by its name; raises ModelError like `load_network`."""
    architecture = Architecture.of(run.config)
    weights: dict[str, tuple[Floats, ...]] = {}
    for name, layers in (
        (ENCODER_MODEL, architecture.encoder_layers),
        (DECODER_MODEL, architecture.decoder_layers),
    ):
        file = SavedModel.read(run.read(name), str(run.path / name), layers)
        weights |= {layer.name: file.arrays(layer) for layer in layers}
    return weights


def load_network(run: Run) -> LoadedRun:
    """Load the run's inference files; raises ModelError if one is corrupt or does not fit."""
    architecture = Architecture.of(run.config)

    def open_file(name: str, wanted: Sequence[Layer]) -> SavedModel:
        return SavedModel.read(run.read(name), str(run.path / name), wanted)

    encoder = open_file(ENCODER_MODEL, architecture.encoder_layers)
    decoder = open_file(DECODER_MODEL, architecture.decoder_layers)
    return LoadedRun(run, load_encoder(architecture, encoder), load_decoder(architecture, decoder))


class SavedModel:
    """The layers of a file, each returned only if it matches the architecture."""

    def __init__(self, path: str, layers: dict[str, SavedLayer]) -> None:
        self.path = path
        self.layers = layers

    @classmethod
    def read(cls, content: bytes, path: str, wanted: Sequence[Layer]) -> "SavedModel":
        """Return the layers of the file with this content."""
        return cls(path, read_layers(content, path, wanted))

    def arrays(self, wanted: Layer) -> tuple[Floats, ...]:
        """Return a layer's arrays; ModelError unless the file has exactly that layer."""
        name = wanted.name
        layer = self.layers.get(name)
        if layer is None or layer.kind != wanted.kind:
            raise ModelError(
                f"{self.path} has no {wanted.kind} layer {name}: it was not saved by s2s"
            )
        self._check_settings(name, layer.settings, wanted.settings)
        for part in layer.parts:
            self._check_settings(name, part, LSTM_SETTINGS)
        shapes = [array.shape for array in layer.weights]
        if shapes != list(wanted.shapes):
            raise ModelError(
                f"{self.path}: layer {name} has arrays of shapes {shapes}, and the run's "
                f"configuration asks for {list(wanted.shapes)}"
            )
        return layer.weights

    def embedding(self, wanted: Layer | None) -> Floats | None:
        """Return an embedding's table, or None for one-hot inputs."""
        return self.arrays(wanted)[0] if wanted else None

    def _check_settings(
        self, name: str, found: Mapping[str, object], wanted: Mapping[str, object]
    ) -> None:
        for setting, value in wanted.items():
            if found.get(setting) != value:
                given = repr(found.get(setting))[:60]
                raise ModelError(
                    f"{self.path}: layer {name} has {setting} = {given}, and s2s reads {value!r}"
                )


def load_encoder(architecture: Architecture, file: SavedModel) -> Encoder:
    """Return the encoder of the file; ModelError unless it matches the architecture."""
    layers = []
    for layer in architecture.encoder_lstms:
        arrays = file.arrays(layer)
        layers.append(
            [fold_lstm(LstmWeights(*arrays[i : i + 3])) for i in range(0, len(arrays), 3)]
        )
    embedding = file.embedding(architecture.source_embedding)
    layers[0] = [fold_ids(lstm, embedding) for lstm in layers[0]]
    attended, positioned = (len(architecture.attention_layers) > n for n in (0, 2))
    return Encoder([EncoderLayer(*lstms) for lstms in layers], attended, positioned)


def load_decoder(architecture: Architecture, file: SavedModel) -> Decoder:
    """Return the decoder of the file; ModelError unless it matches the architecture."""
    layers = [fold_lstm(LstmWeights(*file.arrays(layer))) for layer in architecture.decoder_lstms]
    layers[0] = fold_ids(layers[0], file.embedding(architecture.target_embedding))
    attention = None
    if architecture.attention_layers:
        keys, combining, *tables = map(file.arrays, architecture.attention_layers)
        attention = Attention(*keys, *combining)
        if tables:
            biases = np.stack([table[:, 0] for (table,) in tables])
            attention = attention._replace(biases=biases)
    kernel, bias = file.arrays(architecture.output)
    return Decoder(layers, attention, kernel, bias, architecture.target_length)
