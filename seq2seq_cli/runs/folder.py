"""A run's folder, from the beginning of a training to the complete run.

A training happens in `NAME.training`, whose lock it holds. Once it is complete, the folder is
renamed to `NAME`, which never changes afterwards. Both contain

    config.toml  history.jsonl           from the beginning
    train.keras  inference_encoder.keras  inference_decoder.keras  run.json     once it is complete
    checkpoint/NUMBER.npz, NUMBER.json   the last two; the last one in a complete run
    checkpoint/NUMBER.jsonl              their history
    tensorboard/                         events, on demand

and, in a training, the lock and temporary files. Other files belong to the user: they are never
removed, and move into the run that replaces this one.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from seq2seq_cli.config import RunConfig
from seq2seq_cli.runs.checkpoint import (
    CHECKPOINTS,
    KEPT,
    Checkpoint,
    is_stopped,
    numbers,
    remove_checkpoints,
    remove_undescribed,
    save_checkpoint,
)
from seq2seq_cli.runs.history import EpochRecord, HistoryFile, history_line, history_text
from seq2seq_cli.runs.lock import LOCK, hold_lock
from seq2seq_cli.runs.manifest import (
    CONFIG_FILE,
    HISTORY,
    MANIFEST,
    RECORDED,
    FileRecord,
    Manifest,
    Results,
)
from seq2seq_cli.runs.names import replaced_path, training_path
from seq2seq_cli.storage import (
    append_line,
    atomic_path,
    flush_folder,
    remove_temporary,
    unwritable,
    write_text,
)

TENSORBOARD = "tensorboard"
EVENTS = "events.out.tfevents.*"

SaveModel = Callable[[Path], object]
"""Writes a model to a path."""


class RunFolder:
    """The folder of a training that will become a run; the caller holds its lock."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.path = training_path(run)
        self.is_complete = False
        self._checkpoints = self.path / CHECKPOINTS
        self._history = HistoryFile(self._checkpoints)
        self._has_ended = False  # whether the last checkpoint includes the last step
        remove_temporary(self.path)
        remove_temporary(self._checkpoints)
        remove_undescribed(self._checkpoints)

    @property
    def tensorboard(self) -> Path:
        """The folder of the history in TensorBoard's format."""
        return self.path / TENSORBOARD

    def begin(self, config: RunConfig) -> None:
        """Begin a new training, replacing a stopped one."""
        clear(self.path)
        write_text(self.path / CONFIG_FILE, config.to_toml())
        write_text(self.path / HISTORY, "")

    def resume(self, checkpoint: Checkpoint) -> None:
        """Continue from a stopped training's checkpoint, or from a complete run's."""
        (self.path / MANIFEST).unlink(missing_ok=True)
        if not is_stopped(self.run):
            clear(self.path)
            self._copy_events()
        self._write_progress(checkpoint)

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, then remove the one that it replaces."""
        save_checkpoint(self._checkpoints, checkpoint, self._history)
        self._has_ended = checkpoint.status.has_ended
        remove_checkpoints(self._checkpoints, numbers(self._checkpoints)[KEPT:])

    def add_record(self, record: EpochRecord) -> None:
        """Write a line of the history."""
        append_line(self.path / HISTORY, history_line(record))

    def complete(
        self, checkpoint: Checkpoint, results: Results, models: Mapping[str, SaveModel], now: str
    ) -> Manifest:
        """Write the missing files of a complete run, the manifest last, and rename the folder.

        `now` is in ISO 8601, UTC.
        """
        if not self._has_ended:
            self.save_checkpoint(checkpoint)
        self._write_progress(checkpoint)
        for name, save in models.items():
            with atomic_path(self.path / name) as path:
                save(path)
        manifest = Manifest(
            format_version=Manifest.VERSION,
            completed_at=now,
            seconds=round(checkpoint.status.seconds, 3),
            **checkpoint.environment.model_dump(),
            files={name: FileRecord.of(self.path / name) for name in RECORDED},
            results=results,
        )
        write_text(self.path / MANIFEST, manifest.to_json())
        remove_checkpoints(self._checkpoints, numbers(self._checkpoints)[1:])
        self.is_complete = True
        take_place(self.run)
        return manifest

    def _write_progress(self, checkpoint: Checkpoint) -> None:
        write_text(self.path / CONFIG_FILE, checkpoint.config.to_toml())
        write_text(self.path / HISTORY, history_text(checkpoint.history))

    def _copy_events(self) -> None:
        for path in (self.run / TENSORBOARD).rglob(EVENTS):
            if not path.is_file():  # a device would be read without end
                continue
            copy = self.path / path.relative_to(self.run)
            try:
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, copy)
            except OSError as error:
                raise unwritable(copy, error) from error


@contextmanager
def hold_run(run: Path) -> Iterator[Path]:
    """Hold the lock on a run; yield the folder of its training, which is created for it.

    Raises ExistsError if another process holds the lock.
    """
    settle(run)
    with hold_lock(training_path(run)):
        yield training_path(run)


def settle(run: Path) -> None:
    """Finish the replacement of a run by a process that was killed between its last renames.

    Raises ExistsError if another process is doing it and does not finish.
    """
    replaced, training = replaced_path(run), training_path(run)
    if not os.path.lexists(replaced):
        return
    with hold_lock(training):
        if os.path.lexists(run):
            _remove_replaced(run)
        elif (training / MANIFEST).is_file():
            take_place(run)
        else:
            _rename(replaced, run)


def take_place(run: Path) -> None:
    """Replace a run by its complete training; the caller holds the lock."""
    if os.path.lexists(run):
        _rename(run, replaced_path(run))
    _rename(training_path(run), run)
    flush_folder(run.parent)
    _remove_replaced(run)


def _rename(folder: Path, renamed: Path) -> None:
    try:
        folder.rename(renamed)
    except OSError as error:
        raise unwritable(renamed, error) from error


def _remove_replaced(run: Path) -> None:
    """Remove a run that was replaced, and move the user's other files into the new one.

    If that fails, the next process that looks tries again.
    """
    replaced = replaced_path(run)
    with suppress(OSError):
        (run / LOCK).unlink(missing_ok=True)
        remove(replaced)
        for path in list(replaced.rglob("*")):
            if path.is_symlink() or not path.is_dir():
                moved = run / path.relative_to(replaced)
                moved.parent.mkdir(parents=True, exist_ok=True)
                path.replace(moved)
        shutil.rmtree(replaced)


def remove(folder: Path) -> None:
    """Remove a run's files, and its folder if nothing else is in it; of a link, only the link."""
    if folder.is_symlink():
        folder.unlink()
        return
    clear(folder)
    (folder / LOCK).unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def clear(folder: Path) -> None:
    """Remove a training's files from a folder: the manifest first, the configuration last."""
    checkpoints, tensorboard = folder / CHECKPOINTS, folder / TENSORBOARD
    for name in (MANIFEST, *RECORDED):
        if name != CONFIG_FILE:
            (folder / name).unlink(missing_ok=True)
    remove_checkpoints(checkpoints, numbers(checkpoints))
    for path in tensorboard.rglob(EVENTS):
        path.unlink(missing_ok=True)
    for path in (folder, checkpoints):
        remove_temporary(path)
    for path in (checkpoints, *tensorboard.glob("*/"), tensorboard):
        with suppress(OSError):
            path.rmdir()
    (folder / CONFIG_FILE).unlink(missing_ok=True)
