"""The checkpoints that a training writes into its folder while it runs."""

import time
from datetime import UTC, datetime

import numpy as np

from seq2seq_cli.config import RunConfig
from seq2seq_cli.runs.checkpoint import Checkpoint, TrainState
from seq2seq_cli.runs.environment import current_environment
from seq2seq_cli.runs.folder import RunFolder
from seq2seq_cli.training.device import device_name
from seq2seq_cli.training.validation import Progress


class Saver:
    """Writes a training's checkpoints, one every `checkpoint_seconds`, into its folder.

    Of several workers only the chief has a folder; the others write nothing.
    """

    def __init__(
        self, folder: RunFolder | None, config: RunConfig, checkpoint_seconds: float
    ) -> None:
        self._folder = folder
        self._config = config
        self._checkpoint_seconds = checkpoint_seconds
        self._started = self._saved_at = time.perf_counter()

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next checkpoint."""
        return time.perf_counter() - self._saved_at > self._checkpoint_seconds

    def checkpoint(self, state: TrainState, progress: Progress) -> Checkpoint:
        """Return all that a training resumes from; the seconds are of all processes so far."""
        seconds = progress.status.seconds + time.perf_counter() - self._started
        return Checkpoint(
            state=state,
            best_weights=progress.best_weights,
            status=progress.status.model_copy(update={"seconds": seconds}),
            config=self._config,
            environment=current_environment(device_name()),
            written_at=datetime.now(UTC).isoformat(),
            history=progress.history,
        )

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, unless the weights are no longer finite: the last good one stays."""
        is_finite = all(np.isfinite(array).all() for array in checkpoint.state.weights)
        if self._folder and is_finite:
            self._folder.save_checkpoint(checkpoint)
        self._saved_at = time.perf_counter()
