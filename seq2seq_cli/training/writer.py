"""What a training writes into its run's folder, in the order that keeps it whole."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import keras

from seq2seq_cli.config import RunConfig
from seq2seq_cli.manifest import CONFIG, HISTORY, MANIFEST, Results, write_manifest
from seq2seq_cli.storage import append_line, write_text
from seq2seq_cli.training import circumstances
from seq2seq_cli.training.checkpoint import Checkpoint, save_checkpoint
from seq2seq_cli.training.events import EpochEnded
from seq2seq_cli.training.models import save_models
from seq2seq_cli.vocabulary import Floats


class RunWriter:
    """A training's run folder; workers that are not the chief have none, and write nothing."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    @property
    def is_complete(self) -> bool:
        """Whether the folder is a complete run's already."""
        return self.folder is not None and (self.folder / MANIFEST).exists()

    def begin(self, config: RunConfig) -> None:
        """Write what is known before the first step."""
        if self.folder:
            write_text(self.folder / CONFIG, config.to_toml())
            write_text(self.folder / HISTORY, "")

    def go_on(self, config: RunConfig, epochs_done: int) -> None:
        """Take up a folder after so many epochs: it is not complete any more."""
        if self.folder:
            (self.folder / MANIFEST).unlink(missing_ok=True)
            write_text(self.folder / CONFIG, config.to_toml())
            history = self.folder / HISTORY
            lines = history.read_text(encoding="utf-8").splitlines(keepends=True)
            write_text(history, "".join(lines[:epochs_done]))

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint."""
        if self.folder:
            save_checkpoint(self.folder, checkpoint)

    def add(self, ended: EpochEnded) -> None:
        """Write an epoch's line of the history."""
        if self.folder:
            append_line(self.folder / HISTORY, json.dumps(asdict(ended)))

    def complete(
        self,
        models: tuple[keras.Model, ...],
        weights: list[Floats],
        results: Results,
        seconds: float,
    ) -> None:
        """Save the models with these weights, and after them the manifest."""
        if self.folder:
            save_models(self.folder, models, weights)
            now = datetime.now(UTC).isoformat()
            write_manifest(self.folder, results, circumstances.current(), round(seconds, 3), now)

    def advice(self, steps_done: int | None) -> str:
        """Say what there is of a stopped training and how it goes on."""
        if not self.folder:
            return "the chief has the checkpoint"
        default = self.folder.parent == Path("runs")
        where = "" if default else f" --runs-dir {self.folder.parent}"
        saved = (
            f"checkpoint saved at step {steps_done:,}"
            if steps_done is not None
            else ("the last checkpoint stands")
        )
        return f"{saved}; go on with: s2s train --resume --run {self.folder.name}{where}"
