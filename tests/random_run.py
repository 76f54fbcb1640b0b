"""Runs with random weights, without a training: as arrays, and as the files that it would save."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py
import numpy as np

from seq2seq_cli.architecture import LSTM_SETTINGS, Architecture, Layer
from seq2seq_cli.config import RunConfig
from seq2seq_cli.inference.loading import load_network
from seq2seq_cli.inference.network import LoadedRun
from seq2seq_cli.runs.checkpoint import Checkpoint, TrainingStatus, TrainState
from seq2seq_cli.runs.claim import create_folder
from seq2seq_cli.runs.history import Call, EpochRecord
from seq2seq_cli.runs.manifest import (
    DECODER_MODEL,
    ENCODER_MODEL,
    MANIFEST,
    TRAIN_MODEL,
    Environment,
    Results,
)
from seq2seq_cli.storage import sha256_of


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
    """Return a run of this configuration; `change` is applied to each layer."""
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


RESULTS = Results(
    exact_match=0.5, exact_match_low=0.4, exact_match_high=0.6,
    teacher_forced_token_accuracy=0.75, loss=1.25, n_samples=100,
)  # fmt: skip


def checkpoint_of(config, history=(), calls=(), seed=0) -> Checkpoint:
    """Return a checkpoint with random weights and these figures; without calls it is the last."""
    generator = np.random.default_rng(seed)
    arrays = [
        generator.normal(0, 0.7, shape).astype(np.float32)
        for layer in Architecture.of(config).all_layers
        for shape in layer.shapes
    ]
    status = TrainingStatus(
        epochs_done=len(history), best_epoch=len(history), best=RESULTS, calls=calls,
        has_ended=bool(history) and not calls,
    )  # fmt: skip
    return Checkpoint(
        state=TrainState(arrays, arrays, arrays, config.training.total_steps, 0.5),
        best_weights=arrays,
        status=status,
        config=config,
        environment=Environment(versions={"keras": "3.15.1"}, device="CPU", threads=2, flags={}),
        written_at="2026-01-02T12:00:00Z",
        history=history,
    )


def save_random_run(runs_dir: Path, name: str, config: RunConfig, seed: int = 0) -> Path:
    """Write a complete run with random weights, and its last checkpoint; return its folder."""
    architecture, generator = Architecture.of(config), np.random.default_rng(seed)
    run = random_run(config, seed)
    train_model = keras_file(list(architecture.all_layers), generator)
    contents = {TRAIN_MODEL: train_model, **run.files}
    record = EpochRecord(
        1, 1, 640, 1.5, 1.25, 0.5, 0.4, 0.6, 0.75, 0.01, 2.0, 320.0, 10,
        calls=(Call(10, 10, 1.5, 0.5, 0.01),),
    )  # fmt: skip
    checkpoint = checkpoint_of(config, (record,), seed=seed)
    with create_folder(runs_dir, name, config.task, False) as folder:
        folder.begin(config)
        folder.add_record(record)
        folder.save_checkpoint(replace(checkpoint, status=TrainingStatus(), history=()))
        save = {
            file: lambda path, content=content: path.write_bytes(content)
            for file, content in contents.items()
        }
        folder.complete(checkpoint, RESULTS, save, "2026-01-02T12:00:00Z")
    return folder.run


def edit(path: Path, change: Callable[[dict], object]) -> None:
    """Change a JSON document, such as with `lambda document: document.update(steps_done=7)`."""
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document, indent=2))


def replace_file(folder: Path, name: str, content: bytes) -> None:
    """Put other content in a recorded file's place, and into the manifest, as an attacker would."""
    (folder / name).write_bytes(content)
    record = {"sha256": sha256_of(content), "bytes": len(content)}
    edit(folder / MANIFEST, lambda manifest: manifest["files"].update({name: record}))
