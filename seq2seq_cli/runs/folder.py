"""What may lie in a run's folder, and in which order it is written, so that it is always whole.

    config.toml  history.jsonl           of the training, from its beginning
    train.keras  inference_encoder.keras  inference_decoder.keras  run.json     once it is complete
    checkpoint/NUMBER.npz, NUMBER.json   the last two
    checkpoint/NUMBER.jsonl              their history
    tensorboard/                         events, on demand
    .lock                                while a training has the folder
    .STEM.s2s-TOKEN.SUFFIX               what is being written, and
    .files.s2s-TOKEN/                    what is needed on the way; leftovers of a killed process go

Whatever else lies there is someone else's, and is never removed.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from seq2seq_cli.config import RunConfig
from seq2seq_cli.errors import ModelError
from seq2seq_cli.runs.checkpoint import Checkpoint
from seq2seq_cli.runs.checkpoint_files import (
    CHECKPOINTS,
    KEPT,
    HistoryFile,
    newest_description,
    numbers,
    remove_checkpoints,
    remove_undescribed,
    save_checkpoint,
)
from seq2seq_cli.runs.history import EpochRecord, history_line, history_text
from seq2seq_cli.runs.lock import LOCK
from seq2seq_cli.runs.manifest import (
    CONFIG_FILE,
    HISTORY,
    MANIFEST,
    RECORDED,
    FileRecord,
    Manifest,
    Results,
    read_manifest,
)
from seq2seq_cli.storage import (
    TEMPORARY,
    append_line,
    atomic_paths,
    flush_file,
    flush_folder,
    remove_leftovers,
    remove_temporary_folders,
    write_text,
)

TENSORBOARD = "tensorboard"
EVENTS = "events.out.tfevents.*"

SaveModel = Callable[[Path], object]
"""Writes a model to a path."""


class RunFolder:
    """A run's folder in a training that holds its lock.

    Where a complete run lies there, all of it is left as it is until this training is complete too,
    and what is new lies in the checkpoints alone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._checkpoints = path / CHECKPOINTS
        self._earlier: list[str] = []  # numbers of checkpoints of a training that this one replaces
        self._earlier_events: list[Path] = []
        self._history = HistoryFile(self._checkpoints)
        self._ended_with = ""  # hash of the arrays, once the last step is saved
        self._first_step = 0  # that this training has begun, or gone on, with
        self._remove_leftovers()

    @property
    def tensorboard(self) -> Path:
        """The folder of the history in TensorBoard's format."""
        return self.path / TENSORBOARD

    @property
    def is_complete(self) -> bool:
        """Whether a complete run lies there, be it this training's or an earlier one's."""
        return (self.path / MANIFEST).is_file()

    @property
    def is_finished(self) -> bool:
        """Whether a complete run lies there and its last checkpoint is the newest one."""
        with suppress(ModelError):
            return self.is_complete and not has_unfinished(self.path)
        return False

    @property
    def holds_earlier(self) -> bool:
        """Whether there is still nothing but an earlier training's, which is left as it was."""
        return bool(self._earlier) or self.is_finished

    def begin(self, config: RunConfig) -> None:
        """Begin a new training: where there is no earlier one, write what is known of it.

        An earlier one stays until this one has a checkpoint with a step taken.
        """
        self._earlier = numbers(self._checkpoints)
        self._earlier_events = list(self.tensorboard.rglob(EVENTS))
        if not self._earlier and not self.is_complete:
            write_text(self.path / CONFIG_FILE, config.to_toml())
            write_text(self.path / HISTORY, "")

    def go_on(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint."""
        self._first_step = checkpoint.state.steps_done
        if not self.is_complete:
            self._write_progress(checkpoint)

    def save_checkpoint(self, checkpoint: Checkpoint) -> bool:
        """Write a checkpoint; tell whether there is one of this training.

        While only an earlier training's are there, one without a new step is none.
        """
        if checkpoint.state.steps_done > self._first_step or not self.holds_earlier:
            self._save(checkpoint)
        return not self.holds_earlier

    def add_record(self, record: EpochRecord) -> None:
        """Write a line of the history, unless it is still another training's."""
        if not self.is_complete and not self._earlier:
            append_line(self.path / HISTORY, history_line(record))

    def complete(
        self, checkpoint: Checkpoint, results: Results, models: Mapping[str, SaveModel], now: str
    ) -> Manifest:
        """Write the models, the manifest and, unless it is written, the last checkpoint.

        `now` is in ISO 8601, UTC.

        Everything is written and flushed before anything of an earlier run is touched. If the
        process is killed after that, the last checkpoint has what it takes to complete the run.
        """
        checkpoint_sha256 = self._ended_with or self._save(checkpoint)
        with atomic_paths([self.path / name for name in (*RECORDED, MANIFEST)]) as paths:
            places = dict(zip((*RECORDED, MANIFEST), paths, strict=True))
            places[CONFIG_FILE].write_text(checkpoint.config.to_toml(), encoding="utf-8")
            places[HISTORY].write_text(history_text(checkpoint.history), encoding="utf-8")
            for name, save in models.items():
                save(places[name])
            manifest = Manifest(
                format_version=Manifest.VERSION,
                completed_at=now,
                seconds=round(checkpoint.status.seconds, 3),
                **checkpoint.environment.model_dump(),
                files={name: FileRecord.of(places[name]) for name in RECORDED},
                results=results,
                checkpoint_sha256=checkpoint_sha256,
            )
            places[MANIFEST].write_text(manifest.to_json(), encoding="utf-8")
            for path in paths:
                flush_file(path)
            (self.path / MANIFEST).unlink(missing_ok=True)
            flush_folder(self.path)
        return manifest

    def clear(self) -> None:
        """Remove all that a training writes: the manifest first, the configuration last."""
        for name in (MANIFEST, *RECORDED):
            if name != CONFIG_FILE:
                (self.path / name).unlink(missing_ok=True)
        remove_checkpoints(self._checkpoints, numbers(self._checkpoints))
        self._remove_leftovers()
        for path in self.tensorboard.rglob(EVENTS):
            path.unlink()
        for path in (self._checkpoints, *self.tensorboard.glob("*/"), self.tensorboard):
            with suppress(OSError):
                path.rmdir()
        (self.path / CONFIG_FILE).unlink(missing_ok=True)

    def _save(self, checkpoint: Checkpoint) -> str:
        """Write a checkpoint, then remove what it takes the place of; return its arrays' hash."""
        sha256 = save_checkpoint(self._checkpoints, checkpoint, self._history)
        self._ended_with = sha256 if checkpoint.status.has_ended else ""
        replaced = bool(self._earlier)
        remove_checkpoints(self._checkpoints, self._earlier)
        for path in self._earlier_events:
            path.unlink(missing_ok=True)
        self._earlier, self._earlier_events = [], []
        remove_checkpoints(self._checkpoints, numbers(self._checkpoints)[KEPT:])
        if replaced and not self.is_complete:
            self._write_progress(checkpoint)
        return sha256

    def _write_progress(self, checkpoint: Checkpoint) -> None:
        write_text(self.path / CONFIG_FILE, checkpoint.config.to_toml())
        write_text(self.path / HISTORY, history_text(checkpoint.history))

    def _remove_leftovers(self) -> None:
        """Remove what a killed process has left half written."""
        remove_leftovers(self.path, (*RECORDED, MANIFEST).__contains__)
        remove_temporary_folders(self.path)
        remove_undescribed(self._checkpoints)


def is_replaceable(folder: Path) -> bool:
    """Tell whether a new training may take a folder's place: that of a run, or of nothing."""
    return (folder / CONFIG_FILE).is_file() or is_abandoned(folder)


def is_abandoned(folder: Path) -> bool:
    """Tell whether there is nothing in a folder but what a process killed at its start leaves."""
    return folder.is_dir() and all(
        path.name == LOCK or TEMPORARY.fullmatch(path.name) for path in folder.iterdir()
    )


def has_checkpoint(folder: Path) -> bool:
    """Tell whether a training in this folder has left a checkpoint."""
    return (folder / CONFIG_FILE).is_file() and bool(numbers(folder / CHECKPOINTS))


def has_unfinished(folder: Path, manifest: Manifest | None = None) -> bool:
    """Return whether a complete run's newest checkpoint is of another training, or a longer one.

    The manifest is read unless it is passed. Raises ModelError where it is damaged.
    """
    newest = newest_description(folder)
    if newest is None:
        return False
    ended_with = (manifest or read_manifest(folder)).checkpoint_sha256
    return newest.sha256 != ended_with
