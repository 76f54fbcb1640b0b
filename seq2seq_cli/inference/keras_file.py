"""A `.keras` file -> the layers' settings and named arrays. The only user of h5py.

A `.keras` file is a zip archive of `config.json`, the architecture, and `model.weights.h5`, the
arrays. Nothing named in it is imported or built: only plain values and float arrays are read, and
no array is read before its shape has been checked.
"""

import io
import json
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from seq2seq_cli.architecture import Layer, Shape
from seq2seq_cli.archive import read_member, reason
from seq2seq_cli.data.vocabulary import Floats
from seq2seq_cli.errors import ModelError

ARCHITECTURE_MEMBER = "config.json"
WEIGHTS_MEMBER = "model.weights.h5"

MOST_ARCHITECTURE = 2**24
"""Maximum bytes of the architecture; that of 64 layers has about 200,000."""

MOST_OVERHEAD = 2**22
"""Maximum bytes of the weights' member in addition to its arrays."""


@dataclass(frozen=True)
class SavedLayer:
    """A layer of a saved model: its class, its settings, and its weights in Keras' order.

    `parts` are the settings of the layers that a wrapper such as Bidirectional holds.
    """

    name: str
    kind: str
    settings: dict[str, Any]
    parts: tuple[dict[str, Any], ...]
    weights: tuple[Floats, ...]


def read_layers(content: bytes, origin: str, wanted: Collection[Layer]) -> dict[str, SavedLayer]:
    """Return the layers of the `.keras` file with this content, by their names.

    Those that are `wanted` have weights. Raises ModelError, naming `origin`, if it is not a valid
    `.keras` file or arrays have other shapes.
    """
    shapes = {layer.name: layer.shapes for layer in wanted}
    most = MOST_OVERHEAD + 4 * sum(layer.parameters for layer in wanted)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            config = json.loads(read_member(archive, ARCHITECTURE_MEMBER, MOST_ARCHITECTURE))
            described = [_described(layer) for layer in config["config"]["layers"]]
            packed = read_member(archive, WEIGHTS_MEMBER, most)
        weights = _read_weights(packed, shapes)
    except (ModelError, MemoryError):
        raise
    except Exception as error:  # a damaged file fails in many ways
        raise ModelError(
            f"{origin} is not a .keras file that s2s can read: {reason(error)}"
        ) from error
    return {
        name: SavedLayer(name, kind, settings, parts, weights.get(name, ()))
        for name, kind, settings, parts in described
    }


def _described(layer: Any) -> tuple[str, str, dict[str, Any], tuple[dict[str, Any], ...]]:
    settings = layer["config"]
    inner = [settings.get(key) for key in ("layer", "backward_layer")]
    parts = tuple(part["config"] for part in inner if part is not None)
    if not all(isinstance(mapping, dict) for mapping in (settings, *parts)):
        raise ValueError("a layer has no settings")
    return str(settings["name"]), str(layer["class_name"]), settings, parts


def _read_weights(
    content: bytes, wanted: Mapping[str, tuple[Shape, ...]]
) -> dict[str, tuple[Floats, ...]]:
    """Return each wanted layer's arrays by the layer's name, which is in an attribute.

    The groups are only numbered by class. A recurrent layer's arrays are in its cell, one level
    deeper; a bidirectional layer holds two layers.
    """
    weights = {}
    with h5py.File(io.BytesIO(content), "r") as file:
        layers = _plain_group(file, "layers")
        for group_name in layers:
            group = _plain_group(layers, group_name)
            name = str(_plain_group(group, "vars").attrs["name"])
            if name not in wanted:
                continue
            directions = [key for key in ("forward_layer", "backward_layer") if key in group]
            holders = [_plain_group(group, key) for key in directions] or [group]
            datasets = [dataset for part in holders for dataset in _datasets(part)]
            shapes = [dataset.shape for dataset in datasets]
            if shapes != list(wanted[name]):
                raise ValueError(
                    f"layer {name} has arrays of shapes {str(shapes)[:100]}, and the run's "
                    f"configuration asks for {list(wanted[name])}"
                )
            weights[name] = tuple(map(_read_array, datasets))
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
        raise ValueError(f"{dataset.name} should lie in the file as a whole")
    array = np.asarray(dataset[()])
    if not np.isfinite(array).all():
        raise ValueError(f"{dataset.name} holds values that are not finite")
    return array


def _hard_link(parent: h5py.Group, name: str) -> Any:
    """Return the member, refusing a link to another file before it is followed."""
    if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{parent.name}/{name} is a link to elsewhere")
    return parent[name]
