"""Runs with random weights, made in no time: as arrays, and as the files that a training saves."""

import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from seq2seq_cli.architecture import LSTM_SETTINGS, Architecture, Layer
from seq2seq_cli.config import RunConfig
from seq2seq_cli.inference.loading import load_network
from seq2seq_cli.inference.network import LoadedRun
from seq2seq_cli.runs.manifest import DECODER_MODEL, ENCODER_MODEL


@dataclass
class RandomRun:
    """What loading asks of a run."""

    config: RunConfig
    files: dict[str, bytes]
    name: str = "random"
    path: Path = field(default_factory=lambda: Path("random"))

    def read(self, file):
        return self.files[file]


def random_run(config, seed=0, change=lambda layer: layer):
    """Return a run of this configuration; `change` makes another layer of each."""
    architecture, generator = Architecture.of(config), np.random.default_rng(seed)
    encoder = [architecture.source_embedding, *architecture.encoder_lstms]
    decoder = [
        architecture.target_embedding, *architecture.decoder_lstms, *architecture.attention_layers,
        architecture.output,
    ]  # fmt: skip
    files = {
        name: keras_file([change(layer) for layer in layers if layer], generator)
        for name, layers in ((ENCODER_MODEL, encoder), (DECODER_MODEL, decoder))
    }
    return RandomRun(config, files)


def load_random(config, seed=0) -> LoadedRun:
    """Return a loaded run with random weights."""
    return load_network(random_run(config, seed))


def keras_file(layers: list[Layer], generator) -> bytes:
    """Return a .keras file of these layers, with random weights."""
    described, weights, content = [], io.BytesIO(), io.BytesIO()
    with h5py.File(weights, "w") as file:
        for number, layer in enumerate(layers):
            settings = {"name": layer.name, **layer.settings}
            group = file.create_group(f"layers/l{number}")
            group.create_group("vars").attrs["name"] = layer.name
            holders = [group]
            if layer.kind == "Bidirectional":
                settings |= {
                    key: {"class_name": "LSTM", "config": dict(LSTM_SETTINGS)}
                    for key in ("layer", "backward_layer")
                }
                holders = [group.create_group(key) for key in ("forward_layer", "backward_layer")]
            each = len(layer.shapes) // len(holders)
            for i, holder in enumerate(holders):
                inner = (
                    holder if layer.kind in ("Dense", "Embedding") else holder.require_group("cell")
                )
                arrays = inner.require_group("vars")
                for j, shape in enumerate(layer.shapes[i * each : (i + 1) * each]):
                    arrays[str(j)] = generator.normal(0, 0.7, shape).astype(np.float32)
            described.append({"class_name": layer.kind, "config": settings})
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("config.json", json.dumps({"config": {"layers": described}}))
        archive.writestr("model.weights.h5", weights.getvalue())
    return content.getvalue()
