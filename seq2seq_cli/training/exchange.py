"""What the processes of a training tell each other: the chief's content, and who has failed."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from seq2seq_cli.errors import S2sError, StorageError
from seq2seq_cli.runs.checkpoint import (
    Checkpoint,
    Description,
    HistoryRecord,
    deserialize,
    serialize,
)
from seq2seq_cli.runs.history import history_text
from seq2seq_cli.training.cluster import Cluster


class LostWorkerError(StorageError):
    """Another process of this training is gone; `train` says what to do."""


class Exchange:
    """The strategy over a training's processes; None where one process on one device trains.

    Making it waits until all of the cluster's workers are there. It has to be made before anything
    else is computed with TensorFlow.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        with _keeping_handlers():
            self.strategy = find_strategy(cluster)

    def share(self, content: bytes) -> bytes:
        """Return the chief's content in every process."""
        if self.cluster.n_workers == 1:
            return content
        mine = content if self.cluster.is_chief else b""
        length = int(self._sum(np.array([len(mine)], np.int32))[0])
        buffer = np.zeros(length, np.int32)
        buffer[: len(mine)] = np.frombuffer(mine, np.uint8)
        return bytes(self._sum(buffer).astype(np.uint8)) if length else b""

    def share_checkpoint(self, checkpoint: Checkpoint | None) -> Checkpoint | None:
        """Return the chief's checkpoint in every process, or None where it has none."""
        if self.cluster.n_workers == 1:
            return checkpoint
        parts = [b"", b"", b""]
        if checkpoint:
            lines = history_text(checkpoint.history).encode()
            description, content = serialize(checkpoint, HistoryRecord.of(lines))
            parts = [description.to_json().encode(), content, lines]
        text, content, lines = [self.share(part) for part in parts]
        return deserialize(Description.from_json(text), content, lines) if text else None

    @contextmanager
    def checking(self) -> Iterator[None]:
        """Run a block in which this process checks something; all of them stop if one fails."""
        try:
            yield
        except S2sError as error:
            self.check_all(error)
        else:
            self.check_all(None)

    def check_all(self, error: S2sError | None) -> None:
        """Raise `error`, or StorageError where another process has one."""
        failed = 0
        if self.cluster.n_workers > 1:
            failed = int(self._sum(np.array([error is not None], np.int32))[0])
        if error:
            raise error
        if failed:
            raise StorageError(
                "another worker of this training cannot take part: see what it says, mend it, and "
                "start all of them again"
            )

    def _sum(self, values: Any) -> Any:
        assert self.strategy is not None
        try:
            replicas = self.strategy.run(lambda: tf.constant(values))
            return np.asarray(self.strategy.reduce(tf.distribute.ReduceOp.SUM, replicas, axis=None))
        except tf.errors.OpError as error:
            raise lost_worker(error) from error


@contextmanager
def _keeping_handlers() -> Iterator[None]:
    """Put the process's own handlers of signals back in their place.

    TensorFlow's notifier of preemption takes SIGTERM to itself, and no other thing hears it then.
    """
    yield
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if handler is not None:
                signal.signal(number, handler)


def find_strategy(cluster: Cluster) -> tf.distribute.Strategy | None:
    """Return how a training is distributed, or None for one process on at most one GPU."""
    if cluster.n_workers > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return None


def lost_worker(error: Exception) -> LostWorkerError:
    """Return the error for a process that is no longer there."""
    reason = str(error).splitlines()[0]
    return LostWorkerError(f"another worker of this training is gone ({reason})")
