"""What a complete run consists of: its files' names, and the manifest that proves them.

The manifest, `run.json`, is written last. It holds the size and hash of every other file, and
whatever reads one of them reads it whole and checks it here first.
"""

import hashlib
from dataclasses import dataclass
from math import prod
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from seq2seq_cli.errors import ModelError
from seq2seq_cli.storage import sha256, unreadable, write_text

FORMAT_VERSION = 1

CONFIG = "config.toml"
TRAIN_MODEL = "train.keras"
ENCODER_MODEL = "inference_encoder.keras"
DECODER_MODEL = "inference_decoder.keras"
HISTORY = "history.jsonl"
MANIFEST = "run.json"
CHECKPOINTS = "checkpoint"
"""The folder of what an unfinished training needs to go on."""
TENSORBOARD = "tensorboard"
"""The folder of the history in TensorBoard's format."""

RECORDED = (CONFIG, TRAIN_MODEL, ENCODER_MODEL, DECODER_MODEL, HISTORY)
"""The files whose hashes the manifest holds."""


@dataclass(frozen=True)
class LayerSummary:
    """What there is to tell of a layer that has weights."""

    name: str
    kind: str
    shapes: tuple[tuple[int, ...], ...]

    @property
    def parameters(self) -> int:
        """Number of its weights."""
        return sum(prod(shape) for shape in self.shapes)


class Record(BaseModel):
    """A part of the manifest: frozen, strictly typed."""

    model_config = ConfigDict(frozen=True, strict=True, ser_json_inf_nan="constants")


class Version(Record):
    """What a manifest of any version holds."""

    format_version: int


class FileRecord(Record):
    """What a file of a run has to be."""

    sha256: str
    bytes: int


class Results(Record):
    """How a run ended: on held-out sequences, by free-running exact match."""

    exact_match: float
    exact_match_low: float
    exact_match_high: float
    token_accuracy: float
    loss: float
    n_samples: int


class Manifest(Version):
    """What `run.json` holds."""

    completed_at: str
    seconds: float
    versions: dict[str, str]
    threads: int
    flags: dict[str, str] = {}  # of the environment, which the weights' bits depend on
    files: dict[str, FileRecord]
    results: Results


class Circumstances(Record):
    """Under what a run was trained: what its weights' bits depend on, apart from its settings."""

    versions: dict[str, str]
    threads: int
    flags: dict[str, str]


def write_manifest(
    folder: Path, results: Results, circumstances: Circumstances, seconds: float, now: str
) -> Manifest:
    """Complete the run: record its files' hashes and its results; `now` in ISO 8601, UTC."""
    files = {
        name: FileRecord(sha256=sha256(folder / name), bytes=(folder / name).stat().st_size)
        for name in RECORDED
    }
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        completed_at=now,
        seconds=seconds,
        **circumstances.model_dump(),
        files=files,
        results=results,
    )
    write_text(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Return the folder's manifest; ModelError where it is corrupt or of another version."""
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
        found = Version.model_validate_json(content).format_version
        if found != FORMAT_VERSION:
            raise ModelError(
                f"{folder} has format version {found}, and this s2s reads {FORMAT_VERSION}: "
                "use the s2s that trained it, or train it again"
            )
        return Manifest.model_validate_json(content)
    except OSError as error:
        raise unreadable(path, error) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its text"
        raise ModelError(f"{path} is corrupt: {where}: {first['msg']}") from error


def read_recorded(folder: Path, file: str, manifest: Manifest) -> bytes:
    """Return a file's content; ModelError unless its size and hash are the recorded ones."""
    path = folder / file
    if file not in manifest.files:
        raise ModelError(f"{path} is not recorded in the run's manifest")
    record = manifest.files[file]
    try:
        if path.stat().st_size != record.bytes:
            raise ModelError(
                f"{path} is corrupt: its size is not the {record.bytes} bytes recorded"
            )
        content = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path} is missing: the run is damaged, train it again") from None
    except OSError as error:
        raise unreadable(path, error) from error
    if hashlib.sha256(content).hexdigest() != record.sha256:
        raise ModelError(f"{path} is corrupt: its SHA-256 is not the one recorded at its training")
    return content
