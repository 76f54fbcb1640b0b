"""Loads a run's encoder and decoder from its `.keras` files. The only user of h5py.

A `.keras` file is a zip archive of `config.json`, the architecture, and `model.weights.h5`, the
arrays. Nothing named in it is imported or built: only plain values and float arrays are read, and
no array is read before its shape has been checked against the run's configuration.
"""

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import h5py
import numpy as np

from seq2seq_cli.architecture import LSTM_SETTINGS, Architecture, Layer
from seq2seq_cli.data.vocabulary import Floats
from seq2seq_cli.errors import ConfigurationError, ModelError
from seq2seq_cli.inference.layers import LstmWeights, fold_ids, fold_lstm
from seq2seq_cli.inference.network import Attention, Decoder, Encoder, EncoderLayer, LoadedRun
from seq2seq_cli.runs.listing import Run, SeedRun, open_run
from seq2seq_cli.runs.manifest import DECODER_MODEL, ENCODER_MODEL
from seq2seq_cli.runs.names import runs_path
from seq2seq_cli.storage import read_member, reason

MOST_ARCHITECTURE = 2**24
"""Maximum bytes of the architecture; that of 64 layers has about 200,000."""

MOST_OVERHEAD = 2**22
"""Maximum bytes of the weights' member in addition to its arrays."""

Weights = Mapping[str, tuple[Floats, ...]]
"""The arrays of each layer by its name, in Keras' order."""

AnyRun = LoadedRun | Run | SeedRun | str
"""A loaded run, what `train` or `train_seeds` returns, or the name of a run in `runs`."""


def load_run(run: str | None = None, runs_dir: str | Path = "runs") -> LoadedRun:
    """Load a completed run's encoder and decoder, without TensorFlow.

    Takes the newest completed run unless `run` names one. Raises ConfigurationError for a wrong
    name or folder, and ModelError if there is none, or if a file is missing, corrupt or does not
    fit the run's configuration.
    """
    return load_network(open_run(runs_path(runs_dir), run))


def as_loaded(run: AnyRun) -> LoadedRun:
    """Return the loaded run, loading it if necessary.

    Raises what `load_run` raises, and ModelError for a seed whose training failed.
    """
    if isinstance(run, SeedRun):
        if run.run is None:
            raise ModelError(f"seed {run.seed} has no run: {run.problem}")
        run = run.run
    if isinstance(run, LoadedRun):
        return run
    if isinstance(run, Run):
        return load_network(run)
    if isinstance(run, str):
        return load_run(run)
    raise ConfigurationError(f"run = {run!r}: should be a run, or the name of one")


def load_network(run: Run) -> LoadedRun:
    """Load the run's inference files; raises ModelError if one is corrupt or does not fit."""
    architecture, weights = Architecture.of(run.config), saved_weights(run)
    return LoadedRun(run, load_encoder(architecture, weights), load_decoder(architecture, weights))


def saved_weights(run: Run) -> Weights:
    """Return the arrays of the run's layers; raises ModelError like `load_network`."""
    architecture = Architecture.of(run.config)
    weights: dict[str, tuple[Floats, ...]] = {}
    for name, layers in (
        (ENCODER_MODEL, architecture.encoder_layers),
        (DECODER_MODEL, architecture.decoder_layers),
    ):
        weights |= read_weights(run.read(name), str(run.path / name), layers)
    return weights


def load_encoder(architecture: Architecture, weights: Weights) -> Encoder:
    """Return the encoder with these weights."""
    stack = []
    for layer in architecture.encoder_lstms:
        arrays = weights[layer.name]
        stack.append([fold_lstm(LstmWeights(*arrays[i : i + 3])) for i in range(0, len(arrays), 3)])
    embedding = _embedding(weights, architecture.source_embedding)
    stack[0] = [fold_ids(lstm, embedding) for lstm in stack[0]]
    attended, positioned = (len(architecture.attention_layers) > n for n in (0, 2))
    return Encoder([EncoderLayer(*lstms) for lstms in stack], attended, positioned)


def load_decoder(architecture: Architecture, weights: Weights) -> Decoder:
    """Return the decoder with these weights."""
    stack = [fold_lstm(LstmWeights(*weights[layer.name])) for layer in architecture.decoder_lstms]
    stack[0] = fold_ids(stack[0], _embedding(weights, architecture.target_embedding))
    attention = None
    if architecture.attention_layers:
        arrays = [weights[layer.name] for layer in architecture.attention_layers]
        keys, combining, *tables = arrays
        attention = Attention(*keys, *combining)
        if tables:
            biases = np.stack([table[:, 0] for (table,) in tables])
            attention = attention._replace(biases=biases)
    kernel, bias = weights[architecture.output.name]
    return Decoder(stack, attention, kernel, bias, architecture.target_length)


def _embedding(weights: Weights, layer: Layer | None) -> Floats | None:
    return weights[layer.name][0] if layer else None


def read_weights(
    content: bytes, origin: str, layers: Sequence[Layer]
) -> dict[str, tuple[Floats, ...]]:
    """Return the arrays of these layers in the `.keras` file with this content.

    Raises ModelError, naming `origin`, if it is not a valid `.keras` file or does not have exactly
    these layers; other layers in it are ignored.
    """
    most = MOST_OVERHEAD + 4 * sum(layer.parameters for layer in layers)
    try:
        with ZipFile(BytesIO(content)) as archive:
            config = json.loads(read_member(archive, "config.json", MOST_ARCHITECTURE))
            arrays = read_member(archive, "model.weights.h5", most)
        saved = {layer["config"]["name"]: layer for layer in config["config"]["layers"]}
        for layer in layers:
            _check_layer(layer, saved.get(layer.name, {"class_name": None}))
        with h5py.File(BytesIO(arrays), "r") as file:
            return _read_arrays(file, {layer.name: layer for layer in layers})
    except MemoryError:
        raise
    except Exception as error:  # a damaged file fails in many ways
        raise ModelError(
            f"{origin} is not a .keras file that s2s can read: {reason(error)}"
        ) from error


def _check_layer(layer: Layer, saved: Mapping[str, Any]) -> None:
    """Raise ValueError unless a layer was saved with the expected class and settings."""
    if saved["class_name"] != layer.kind:
        raise ValueError(f"it has no {layer.kind} layer {layer.name}")
    settings = saved["config"]
    wrapped = [settings[key]["config"] for key in ("layer", "backward_layer") if settings.get(key)]
    for values, expected in (
        (settings, layer.settings),
        *((values, LSTM_SETTINGS) for values in wrapped),
    ):
        for name, value in expected.items():
            if values.get(name) != value:
                raise ValueError(
                    f"layer {layer.name} has {name} = {str(values.get(name))[:60]}, and s2s reads "
                    f"{value!r}"
                )


def _read_arrays(file: h5py.File, layers: Mapping[str, Layer]) -> dict[str, tuple[Floats, ...]]:
    """Return each layer's arrays by the layer's name, which is in an attribute.

    The groups are only numbered by class. A recurrent layer's arrays are in its cell, one level
    deeper; a bidirectional layer holds two layers.
    """
    weights = {}
    groups = _plain_group(file, "layers")
    for group_name in groups:
        group = _plain_group(groups, group_name)
        name = str(_plain_group(group, "vars").attrs["name"])
        if name not in layers:
            continue
        directions = [key for key in ("forward_layer", "backward_layer") if key in group]
        holders = [_plain_group(group, key) for key in directions] or [group]
        datasets = [dataset for holder in holders for dataset in _datasets(holder)]
        shapes = [dataset.shape for dataset in datasets]
        if shapes != list(layers[name].shapes):
            raise ValueError(
                f"layer {name} has arrays of shapes {str(shapes)[:100]}, and the run's "
                f"configuration asks for {list(layers[name].shapes)}"
            )
        weights[name] = tuple(map(_read_array, datasets))
    if missing := layers.keys() - weights.keys():
        raise ValueError(f"it has no arrays of layer {min(missing)}")
    return weights


def _datasets(group: h5py.Group) -> list[h5py.Dataset]:
    """Return the arrays of a layer that is not a wrapper, without its dropout seeds."""
    arrays = _plain_group(_plain_group(group, "cell") if "cell" in group else group, "vars")
    return [_plain_dataset(arrays, key) for key in sorted(arrays, key=int)]


def _plain_group(parent: h5py.Group, name: str) -> h5py.Group:
    group = _hard_link(parent, name)
    if not isinstance(group, h5py.Group):
        raise ValueError(f"{group.name} should be a group")
    return group


def _plain_dataset(parent: h5py.Group, name: str) -> h5py.Dataset:
    dataset = _hard_link(parent, name)
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{dataset.name} should be an array")
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{dataset.name} takes its data from another file")
    return dataset


def _read_array(dataset: h5py.Dataset) -> Floats:
    """Return an array of finite floats that is stored contiguously and uncompressed."""
    if dataset.dtype != np.float32:
        raise ValueError(f"{dataset.name} should hold 32-bit floats")
    if dataset.chunks is not None or dataset.id.get_storage_size() != dataset.nbytes:
        raise ValueError(f"{dataset.name} should be stored in one piece")
    array = np.asarray(dataset[()])
    if not np.isfinite(array).all():
        raise ValueError(f"{dataset.name} holds values that are not finite")
    return array


def _hard_link(parent: h5py.Group, name: str) -> Any:
    """Return the member, refusing a link to another file before it is followed."""
    if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{parent.name}/{name} is a link to elsewhere")
    return parent[name]
