"""A `.keras` file -> the layers' settings and named arrays. The only user of h5py.

A `.keras` file is a zip archive of `config.json`, the architecture, and `model.weights.h5`, the
arrays. Nothing named in it is imported or built: only plain values and float arrays come out.
"""

import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from seq2seq_cli.data.vocabulary import Floats
from seq2seq_cli.errors import ModelError

ARCHITECTURE_MEMBER = "config.json"
WEIGHTS_MEMBER = "model.weights.h5"

MAX_UNPACKED_BYTES = 16 * 2**30
"""Bytes that an unpacked part may have: a guard against archives made to fill the memory."""


@dataclass(frozen=True)
class SavedLayer:
    """A layer of a saved model: its class, its settings, and its weights in Keras' order."""

    name: str
    kind: str
    settings: dict[str, Any]
    weights: tuple[Floats, ...]

    @property
    def parts(self) -> list[dict[str, Any]]:
        """The settings of the layers that a wrapper such as Bidirectional holds."""
        inner = (self.settings.get(key) for key in ("layer", "backward_layer"))
        return [part["config"] for part in inner if isinstance(part, dict)]


def read_layers(content: bytes, origin: str) -> dict[str, SavedLayer]:
    """Return the layers of the `.keras` file with this content, by their names.

    Raises ModelError, naming `origin`, for whatever is no such file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            config = json.loads(_unpack(archive, ARCHITECTURE_MEMBER))
            weights = _read_weights(_unpack(archive, WEIGHTS_MEMBER))
        return {
            layer["config"]["name"]: SavedLayer(
                name=layer["config"]["name"],
                kind=layer["class_name"],
                settings=layer["config"],
                weights=weights.get(layer["config"]["name"], ()),
            )
            for layer in config["config"]["layers"]
        }
    except (
        zipfile.BadZipFile,
        KeyError,
        TypeError,
        ValueError,
        OSError,
        RuntimeError,
        NotImplementedError,
        RecursionError,
    ) as error:
        raise ModelError(f"{origin} is no .keras file that s2s can read: {error}") from error


def _unpack(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > MAX_UNPACKED_BYTES:
        raise ValueError(f"{name} is too large")
    return archive.read(name)


def _read_weights(content: bytes) -> dict[str, tuple[Floats, ...]]:
    """Return each layer's arrays by the layer's own name, which stands in an attribute.

    The groups' names are numbered by class and tell nothing. A recurrent layer's arrays are in
    its cell, which stands one level deeper; a bidirectional one holds two layers.
    """
    weights = {}
    with h5py.File(io.BytesIO(content), "r") as file:
        layers = file["layers"]
        for group_name in layers:
            group = _plain_group(layers, group_name)
            name = _plain_group(group, "vars").attrs["name"]
            both = [key for key in ("forward_layer", "backward_layer") if key in group]
            holders = [_plain_group(group, key) for key in both] or [group]
            weights[str(name)] = tuple(array for part in holders for array in _arrays(part))
    return weights


def _arrays(group: h5py.Group) -> list[Floats]:
    """Return the arrays of a layer that is no wrapper, without the seeds of its dropout."""
    arrays = _plain_group(_plain_group(group, "cell") if "cell" in group else group, "vars")
    return [_plain_array(arrays, key) for key in sorted(arrays, key=int)]


def _plain_group(parent: h5py.Group, name: str) -> h5py.Group:
    group = _hard_link(parent, name)
    if not isinstance(group, h5py.Group):
        raise ValueError(f"{group.name} should be a group")
    return group


def _plain_array(parent: h5py.Group, name: str) -> Floats:
    dataset = _hard_link(parent, name)
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError(f"{dataset.name} should be an array")
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{dataset.name} takes its data from another file")
    if dataset.dtype != np.float32 or dataset.nbytes > MAX_UNPACKED_BYTES:
        raise ValueError(f"{dataset.name} should hold 32-bit floats")
    array = np.asarray(dataset[()])
    if not np.isfinite(array).all():
        raise ValueError(f"{dataset.name} holds values that are not finite")
    return array


def _hard_link(parent: h5py.Group, name: str) -> Any:
    """Return the member; a link that leads to another file is refused before it is followed."""
    if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{parent.name}/{name} is a link to elsewhere")
    return parent[name]
