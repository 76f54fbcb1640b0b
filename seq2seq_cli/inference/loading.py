"""A run's inference files -> its encoder and decoder, checked against its configuration."""

from collections.abc import Sequence
from pathlib import Path

from seq2seq_cli.config import RunConfig
from seq2seq_cli.errors import ModelError
from seq2seq_cli.inference.keras_file import Layer, read_layers
from seq2seq_cli.inference.layers import FoldedLstm, LstmWeights, fold_ids, fold_lstm
from seq2seq_cli.inference.network import Attention, Decoder, Encoder, EncoderLayer, Network
from seq2seq_cli.manifest import DECODER_MODEL, ENCODER_MODEL, LayerSummary
from seq2seq_cli.runs import Run, open_run
from seq2seq_cli.vocabulary import Floats

# `training.models` gives the layers these names; a run saved by one has to fit the other.
ENCODER_LAYER = "encoder_lstm"
DECODER_LAYER = "decoder_lstm"
SOURCE_EMBEDDING = "source_embedding"
TARGET_EMBEDDING = "target_embedding"
KEYS_LAYER = "attention_keys"
COMBINING_LAYER = "attention_output"
OUTPUT_LAYER = "output"

# What the arithmetic in `layers` assumes of a layer; anything else would give wrong numbers.
SETTINGS: dict[str, dict[str, object]] = {
    "LSTM": {"activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True},
    "Bidirectional": {"merge_mode": "concat"},
    "Dense": {},
    "Embedding": {},
}


def load_run(run: str | None = None, runs_dir: str | Path = "runs") -> Network:
    """Load a completed run's encoder and decoder, without TensorFlow.

    Takes the newest completed run unless `run` names one. Raises ModelError where there is none,
    or where a file is missing, corrupt or does not fit the run's configuration.
    """
    return load_network(open_run(Path(runs_dir), run))


def load_network(run: Run) -> Network:
    """Load the run's inference files; raises ModelError for what is corrupt or does not fit."""
    encoder_file, decoder_file = run.path / ENCODER_MODEL, run.path / DECODER_MODEL
    encoder = _File(encoder_file, read_layers(run.read(ENCODER_MODEL), str(encoder_file)))
    decoder = _File(decoder_file, read_layers(run.read(DECODER_MODEL), str(decoder_file)))
    return Network(run, load_encoder(run.config, encoder), load_decoder(run.config, decoder))


def summarize(run: Run) -> list[LayerSummary]:
    """Return a run's layers that have weights, the encoder's first."""
    found = {}
    for file in (ENCODER_MODEL, DECODER_MODEL):
        for layer in read_layers(run.read(file), str(run.path / file)).values():
            if layer.weights:
                shapes = tuple(array.shape for array in layer.weights)
                found[layer.name] = LayerSummary(layer.name, layer.kind, shapes)
    return list(found.values())


class _File:
    """The layers of a file, each returned only if it is what is expected."""

    def __init__(self, path: Path, layers: dict[str, Layer]) -> None:
        self.path = path
        self.layers = layers

    def arrays(
        self, name: str, kind: str, shapes: Sequence[tuple[int, ...]], **settings: object
    ) -> tuple[Floats, ...]:
        """Return the named layer's arrays; ModelError unless it is as expected."""
        layer = self.layers.get(name)
        if layer is None or layer.kind != kind:
            raise ModelError(f"{self.path} has no {kind} layer {name}: it was not saved by s2s")
        wanted = {**SETTINGS[kind], **settings}
        for part in layer.parts:
            for setting, value in (SETTINGS["LSTM"] if part else {}).items():
                if part.get(setting) != value:
                    self._refuse(name, setting, part.get(setting), value)
        for setting, value in wanted.items():
            if layer.settings.get(setting) != value:
                self._refuse(name, setting, layer.settings.get(setting), value)
        found = [array.shape for array in layer.weights]
        if found != list(shapes):
            raise ModelError(
                f"{self.path}: layer {name} has arrays of shapes {found}, and the run's "
                f"configuration asks for {list(shapes)}"
            )
        return layer.weights

    def _refuse(self, name: str, setting: str, found: object, wanted: object) -> None:
        raise ModelError(
            f"{self.path}: layer {name} has {setting} = {found!r}, and s2s reads {wanted!r}"
        )

    def embedding(self, name: str, rows: int, size: int) -> Floats | None:
        """Return the named embedding (rows, size), or None where its size is 0: one-hot."""
        return self.arrays(name, "Embedding", [(rows, size)])[0] if size else None


def load_encoder(config: RunConfig, file: _File) -> Encoder:
    """Return the encoder that the configuration describes."""
    task, model = config.task, config.model
    inputs = model.embedding or task.cardinality
    layers = []
    for number in range(model.layers):
        shapes = _lstm_shapes(inputs, model.units)
        name = numbered(ENCODER_LAYER, number)
        if model.bidirectional:
            arrays = file.arrays(name, "Bidirectional", [*shapes, *shapes])
        else:
            arrays = file.arrays(name, "LSTM", shapes, go_backwards=False)
        layers.append(
            [fold_lstm(LstmWeights(*arrays[i : i + 3])) for i in range(0, len(arrays), 3)]
        )
        inputs = model.units * len(layers[-1])
    embedding = file.embedding(SOURCE_EMBEDDING, task.cardinality, model.embedding)
    layers[0] = [fold_ids(lstm, embedding) for lstm in layers[0]]
    return Encoder([EncoderLayer(*both) for both in layers], model.attention != "none")


def load_decoder(config: RunConfig, file: _File) -> Decoder:
    """Return the decoder that the configuration describes."""
    task, model = config.task, config.model
    width = model.units * (2 if model.bidirectional else 1)
    inputs = model.embedding or task.n_features
    layers: list[FoldedLstm] = []
    for number in range(model.layers):
        name = numbered(DECODER_LAYER, number)
        arrays = file.arrays(name, "LSTM", _lstm_shapes(inputs, width), go_backwards=False)
        layers.append(fold_lstm(LstmWeights(*arrays)))
        inputs = width
    embedding = file.embedding(TARGET_EMBEDDING, task.n_features, model.embedding)
    layers[0] = fold_ids(layers[0], embedding)
    attention = None
    if model.attention != "none":
        keys = file.arrays(KEYS_LAYER, "Dense", [(width, width)], use_bias=False)
        shapes = [(2 * width, width), (width,)]
        combining = file.arrays(COMBINING_LAYER, "Dense", shapes, activation="tanh")
        attention = Attention(*keys, *combining)
    shapes = [(width, task.n_features), (task.n_features,)]
    kernel, bias = file.arrays(OUTPUT_LAYER, "Dense", shapes, activation="softmax", use_bias=True)
    return Decoder(layers, attention, kernel, bias)


def numbered(name: str, number: int) -> str:
    """Return the name of a layer of a stack, counted from 0."""
    return f"{name}_{number + 1}" if number else name


def _lstm_shapes(inputs: int, units: int) -> list[tuple[int, ...]]:
    return [(inputs, 4 * units), (units, 4 * units), (4 * units,)]
