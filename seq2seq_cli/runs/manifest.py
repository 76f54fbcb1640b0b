"""What a complete run consists of: its files' names, and the manifest that proves them.

The manifest, `run.json`, is written last. It holds the size and hash of every other file, and
whatever reads one of them reads it whole and checks it here first.
"""

from pathlib import Path

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from seq2seq_cli.errors import ModelError, S2sError
from seq2seq_cli.storage import sha256, sha256_of, unreadable

MANIFEST_VERSION = 2
READABLE_VERSIONS = (1, 2)

CONFIG_FILE = "config.toml"
TRAIN_MODEL = "train.keras"
ENCODER_MODEL = "inference_encoder.keras"
DECODER_MODEL = "inference_decoder.keras"
HISTORY = "history.jsonl"
MANIFEST = "run.json"

RECORDED = (CONFIG_FILE, TRAIN_MODEL, ENCODER_MODEL, DECODER_MODEL, HISTORY)
"""The files whose hashes the manifest holds."""


class Record(BaseModel):
    """A part of a run's JSON files: frozen, strictly typed; its validator is built at first use."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        ser_json_inf_nan="constants",
        populate_by_name=True,
        defer_build=True,
    )


class Version(Record):
    """What a manifest of any version holds."""

    format_version: int


class FileRecord(Record):
    """What a file of a run has to be."""

    sha256: str
    bytes: int

    @classmethod
    def of(cls, path: Path) -> "FileRecord":
        """Return what the file is now."""
        return cls(sha256=sha256(path), bytes=path.stat().st_size)


class Results(Record):
    """How an epoch or a run ended, on held-out sequences.

    The exact match is that of free-running prediction too; the accuracy of the tokens is not, for
    each is predicted after the right ones.
    """

    exact_match: float
    exact_match_low: float
    exact_match_high: float
    teacher_forced_token_accuracy: float = Field(
        validation_alias=AliasChoices("teacher_forced_token_accuracy", "token_accuracy")
    )
    loss: float
    n_samples: int


class Manifest(Version):
    """What `run.json` holds."""

    completed_at: str  # in ISO 8601, UTC
    seconds: float
    versions: dict[str, str]
    threads: int
    flags: dict[str, str] = {}  # of the environment, which the weights' bits depend on
    files: dict[str, FileRecord]
    results: Results
    checkpoint_sha256: str = ""  # of the arrays that the run ended with

    def to_json(self) -> str:
        """Return the manifest's text."""
        return self.model_dump_json(indent=2) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """Return the folder's manifest; ModelError where it is corrupt or of another version."""
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
        found = Version.model_validate_json(content).format_version
        if found not in READABLE_VERSIONS:
            raise ModelError(
                f"{folder} has format version {found}, and this s2s reads up to "
                f"{MANIFEST_VERSION}: use the s2s that trained it, or train it again"
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
    try:
        return _read_recorded(folder, file, manifest)
    except ModelError as error:
        if _is_current(folder, manifest):
            raise
        raise ModelError(
            f"{folder} has got another training's run in the meantime: do this once more"
        ) from error


def _is_current(folder: Path, manifest: Manifest) -> bool:
    """Tell whether a manifest is still the folder's; a training takes it away before it writes."""
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
        if path.stat().st_size != record.bytes:
            raise ModelError(
                f"{path} is corrupt: its size is not the {record.bytes} bytes recorded"
            )
        content = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path} is missing: the run is damaged, train it again") from None
    except OSError as error:
        raise unreadable(path, error) from error
    if sha256_of(content) != record.sha256:
        raise ModelError(f"{path} is corrupt: its SHA-256 is not the one recorded at its training")
    return content
