"""Runs: what is in a complete run's folder, and finding runs again.

A folder is complete once its manifest is there.
"""

from dataclasses import dataclass
from pathlib import Path

from seq2seq_cli.config import RunConfig
from seq2seq_cli.errors import ConfigurationError, ModelError, StorageError
from seq2seq_cli.folders import check_name, has_checkpoint, is_locked
from seq2seq_cli.manifest import CONFIG, MANIFEST, Manifest, read_manifest, read_recorded
from seq2seq_cli.settings import parse_config
from seq2seq_cli.tasks import get_task


@dataclass(frozen=True)
class Run:
    """A complete run: its folder, configuration and manifest."""

    path: Path
    config: RunConfig
    manifest: Manifest

    @property
    def name(self) -> str:
        """The run's name, which is its folder's."""
        return self.path.name

    def read(self, file: str) -> bytes:
        """Return a recorded file's content; ModelError unless it is what the manifest says."""
        return read_recorded(self.path, file, self.manifest)


def open_run(runs_dir: Path, name: str | None = None) -> Run:
    """Return the named run, or the newest completed one.

    Raises ModelError where there is none, or where it is incomplete or damaged.
    """
    if name:
        return _open_folder(runs_dir / check_name(name))
    runs = [listed.run for listed in list_runs(runs_dir) if listed.run]
    if not runs:
        raise ModelError(f"there is no completed run in {runs_dir}: train one with `s2s train`")
    return max(runs, key=lambda run: run.manifest.completed_at)


@dataclass(frozen=True)
class ListedRun:
    """A folder in the runs' folder: a complete run, or the reason why it is none."""

    name: str
    run: Run | None
    problem: str = ""


def list_runs(runs_dir: Path) -> list[ListedRun]:
    """Return what is in the runs' folder, oldest completed run first, incomplete ones last."""
    if not runs_dir.is_dir():
        return []
    listed = [
        _list_folder(folder) for folder in sorted(runs_dir.iterdir()) if (folder / CONFIG).is_file()
    ]
    return sorted(listed, key=lambda item: item.run.manifest.completed_at if item.run else "~")


def _list_folder(folder: Path) -> ListedRun:
    try:
        return ListedRun(folder.name, _open_folder(folder))
    except (ModelError, StorageError) as error:
        if (folder / MANIFEST).exists():
            return ListedRun(folder.name, None, f"damaged: {error}")
        stopped = "stopped, --resume goes on" if has_checkpoint(folder) else "incomplete"
        return ListedRun(folder.name, None, "in training" if is_locked(folder) else stopped)


def _open_folder(folder: Path) -> Run:
    if not folder.is_dir():
        raise ModelError(f"there is no run {folder}: `s2s runs` lists them")
    if not (folder / MANIFEST).is_file():
        if is_locked(folder):
            raise ModelError(f"the run {folder} is still in training")
        advice = (
            f"s2s train --resume --run {folder.name}" if has_checkpoint(folder) else "s2s train"
        )
        raise ModelError(f"the run {folder} is incomplete: go on with `{advice}`")
    manifest = read_manifest(folder)
    text = read_recorded(folder, CONFIG, manifest).decode()
    try:
        config = parse_config(text, str(folder / CONFIG))
        get_task(config.task)
    except ConfigurationError as error:
        raise ModelError(f"{folder / CONFIG} does not fit this s2s: {error}") from error
    return Run(folder, config, manifest)
