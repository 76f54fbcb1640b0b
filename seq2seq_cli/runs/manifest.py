"""The files of a complete run, and the manifest that verifies them.

The manifest, `run.json`, is written last. It holds the size and hash of every other file; each is
read whole and checked here before it is used.
"""

import os
import re
from pathlib import Path
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seq2seq_cli import __version__
from seq2seq_cli.errors import ModelError, S2sError
from seq2seq_cli.machine import cores
from seq2seq_cli.storage import read_file, sha256, sha256_of, unreadable

CONFIG_FILE = "config.toml"
TRAIN_MODEL = "train.keras"
ENCODER_MODEL = "inference_encoder.keras"
DECODER_MODEL = "inference_decoder.keras"
HISTORY = "history.jsonl"
MANIFEST = "run.json"

MOST_MANIFEST = 2**20
"""Maximum bytes of a manifest."""

RECORDED = (CONFIG_FILE, TRAIN_MODEL, ENCODER_MODEL, DECODER_MODEL, HISTORY)
"""The files whose hashes the manifest holds."""

PACKAGES = ("tensorflow", "keras", "numpy")
VARIABLES = ("XLA_FLAGS", "TF_XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS", "TF_NUM_INTRAOP_THREADS")

CACHE_FLAG = re.compile(r"""--tf_xla_persistent_cache_directory=('[^']*'|"[^"]*"|\S*)""")
"""The flag for the cache of compiled programs, a folder per process; no bit depends on it."""


class Record(BaseModel):
    """A part of a run's JSON files: frozen, strictly typed; its validator is built at first use."""

    model_config = ConfigDict(
        frozen=True, strict=True, ser_json_inf_nan="constants", defer_build=True
    )


class Version(Record):
    """The part of a document that all versions have."""

    format_version: int


class Document(Version):
    """A record that is a whole file, in one format version."""

    VERSION: ClassVar[int]

    def to_json(self) -> str:
        """Return the document's text."""
        return self.model_dump_json(indent=2) + "\n"

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Return the document; ValueError if it is damaged or has another format version."""
        version = Version.model_validate_json(content).format_version
        if version != cls.VERSION:
            raise ValueError(f"it has format version {version}, and this s2s reads {cls.VERSION}")
        return cls.model_validate_json(content)


class Environment(Record):
    """The packages, the device, the processor's threads and the flags a run was trained with."""

    versions: dict[str, str]
    device: str
    threads: int
    flags: dict[str, str]


class FileRecord(Record):
    """The recorded size and hash of a run's file."""

    sha256: str
    bytes: int = Field(ge=0)

    @classmethod
    def of(cls, path: Path) -> "FileRecord":
        """Return the record of a file as it is now."""
        return cls(sha256=sha256(path), bytes=path.stat().st_size)


class Results(Record):
    """The results of an epoch or a run on held-out sequences.

    They are teacher-forced. The exact match equals that of free-running prediction; the accuracy of
    the tokens does not, since each is predicted after the right ones.
    """

    exact_match: float
    exact_match_low: float
    exact_match_high: float
    teacher_forced_token_accuracy: float
    loss: float
    n_samples: int


class Manifest(Document):
    """The content of `run.json`."""

    VERSION = 3

    completed_at: str  # in ISO 8601, UTC
    seconds: float
    versions: dict[str, str]
    device: str
    threads: int
    flags: dict[str, str]  # environment variables that the weights' bits depend on
    files: dict[str, FileRecord]
    results: Results


def read_manifest(folder: Path) -> Manifest:
    """Return the folder's manifest; ModelError if it is corrupt or has another version."""
    path = folder / MANIFEST
    try:
        return Manifest.from_json(read_file(path, MOST_MANIFEST))
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing: the run is damaged or being replaced") from error
    except OSError as error:
        raise unreadable(path, error) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its text"
        raise ModelError(f"{path} is corrupt: {where}: {first['msg']}") from error
    except ValueError as error:
        raise ModelError(f"{path} cannot be used: {error}; train the run again") from error


def read_recorded(folder: Path, file: str, manifest: Manifest) -> bytes:
    """Return a file's content; ModelError unless its size and hash are the recorded ones."""
    try:
        return _read_recorded(folder, file, manifest)
    except ModelError as error:
        if _is_current(folder, manifest):
            raise
        raise ModelError(f"{folder} has been replaced by another run: try again") from error


def _is_current(folder: Path, manifest: Manifest) -> bool:
    try:
        return read_manifest(folder) == manifest
    except S2sError:
        return False


def _read_recorded(folder: Path, file: str, manifest: Manifest) -> bytes:
    path = folder / file
    if file not in manifest.files:
        raise ModelError(f"{path} is not recorded in the run's manifest")
    record = manifest.files[file]
    try:
        content = read_file(path, record.bytes + 1)
    except FileNotFoundError:
        raise ModelError(f"{path} is missing: the run is damaged, train it again") from None
    except OSError as error:
        raise unreadable(path, error) from error
    if len(content) != record.bytes:
        raise ModelError(f"{path} is corrupt: its size is not the {record.bytes} bytes recorded")
    if sha256_of(content) != record.sha256:
        raise ModelError(f"{path} is corrupt: its SHA-256 is not the one recorded at its training")
    return content


def current_environment(device: str) -> Environment:
    """Return the environment of this process, which trains on this device."""
    return Environment(
        versions=installed_versions(),
        device=device,
        threads=cores(),
        flags=_flags(),
    )


def installed_versions() -> dict[str, str]:
    """Return the versions of the packages that a training's bits depend on."""
    from importlib.metadata import version  # slow to import; reading runs does not need it

    # A folder may hold this package without having installed it.
    others = {package: version(package) for package in PACKAGES}
    return {"seq2seq-cli": __version__, **others}


def differences(now: Environment, before: Environment) -> list[str]:
    """Return a note on each difference between this environment and the one before."""
    new, old = _named(now), _named(before)
    return [
        f"{name} is {new.get(name, 'unset')} and was {old.get(name, 'unset')}: the weights will "
        "not be bit-identical to those of an uninterrupted training"
        for name in {**old, **new}
        if new.get(name) != old.get(name)
    ]


def _named(environment: Environment) -> dict[str, str]:
    machine = {"the device": environment.device, "the number of cores": str(environment.threads)}
    return {**environment.versions, **machine, **environment.flags}


def _flags() -> dict[str, str]:
    """Return the variables that the bits may depend on, without the flag for the cache."""
    flags = {name: CACHE_FLAG.sub("", os.environ.get(name, "")).strip() for name in VARIABLES}
    return {name: value for name, value in flags.items() if value}
