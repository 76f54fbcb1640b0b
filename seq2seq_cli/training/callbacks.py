"""Standard Keras callbacks, driven by the loop of our own."""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from seq2seq_cli.errors import ConfigurationError, S2sError
from seq2seq_cli.runs.history import EpochRecord
from seq2seq_cli.storage import unwritable
from seq2seq_cli.training.own_callbacks import raised

STATE_NOTE = (
    "what callbacks keep for themselves, such as EarlyStopping's counters, is not in the "
    "checkpoint: they begin anew"
)


class Callbacks:
    """A `keras.callbacks.CallbackList` on the train model.

    The steps of one call of the compiled program count as one batch. It begins by the name of its
    first step and ends by that of its last, as in Keras with `steps_per_execution`. A callback may
    stop the training (`model.stop_training`), and may change the learning rate
    (`model.optimizer.learning_rate`): the change is a factor on the schedule from the next call on.
    That optimizer only shows the learning rate, the loop has its own.

    `scale` is the product of these factors that a training goes on with: without those that
    `on_train_begin` and the epoch's `on_epoch_begin` have made, which are called again then.

    What they raise is a ConfigurationError where they are a user's `own`, named so.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        model: keras.Model,
        epochs: int,
        own: str = "",
    ) -> None:
        self._own = own
        self._model = model
        self._optimizer = keras.optimizers.Adam()
        self._shown = 0.0
        self.scale = 1.0
        self._by_train_begin = self._by_epoch_begin = 1.0
        self.active = bool(callbacks)
        if self.active:
            model.optimizer = self._optimizer
        model.stop_training = False
        self._list = keras.callbacks.CallbackList(list(callbacks), model=model, epochs=epochs)

    @property
    def factor(self) -> np.float32:
        """What the callbacks have made of the schedule's learning rate."""
        return np.float32(self.scale * self._by_epoch_begin * self._by_train_begin)

    @property
    def stop(self) -> bool:
        """Whether a callback wants the training to stop."""
        return bool(self._model.stop_training)

    def begin(self, rate: float) -> None:
        """Tell that the training begins, or goes on, with this learning rate."""
        if self.active:
            self._show(rate)
            self._call(self._list.on_train_begin)
            self._by_train_begin = self._change()

    def begin_epoch(self, epoch: int, rate: float) -> None:
        """Tell that an epoch, counted from 1, begins; `rate` is that of its first step."""
        if self.active:
            self._show(rate)
            self._call(self._list.on_epoch_begin, epoch - 1)
            self._by_epoch_begin = self._change()

    def begin_batch(self, step: int, rate: float) -> None:
        """Tell that a call is about to take this step of the epoch and some more."""
        if self.active:
            self._show(rate)
            self._call(self._list.on_train_batch_begin, step)
            self.scale *= self._change()

    def end_batch(self, step: int, rate: float, loss: float) -> None:
        """Tell that a call has taken steps of the epoch, this one as its last."""
        if self.active:
            self._show(rate)
            self._call(self._list.on_train_batch_end, step, {"loss": loss})
            self.scale *= self._change()

    def end_epoch(self, ended: EpochRecord) -> None:
        """Tell that an epoch is trained and validated; one that was cut may be gone on with."""
        if not self.active:
            return
        self._show(ended.learning_rate)
        logs = {
            "loss": ended.training_loss,
            "learning_rate": ended.learning_rate,
            "samples_per_s": ended.samples_per_s,
            "val_loss": ended.loss,
            "val_exact_match": ended.exact_match,
            "val_teacher_forced_token_accuracy": ended.teacher_forced_token_accuracy,
        }
        self._call(self._list.on_epoch_end, ended.epoch - 1, logs)
        if ended.is_whole:
            self.scale *= self._by_epoch_begin * self._change()
            self._by_epoch_begin = 1.0

    def end(self) -> None:
        """Tell that the training ends."""
        if self.active:
            self._call(self._list.on_train_end)

    def _call(self, hook: Callable[..., None], *arguments: object) -> None:
        try:
            hook(*arguments)
        except (S2sError, OSError, MemoryError):
            raise
        except Exception as error:
            if not self._own:
                raise
            raise raised(self._own, error) from error

    def _show(self, rate: float) -> None:
        self._optimizer.learning_rate = rate
        self._shown = float(self._optimizer.learning_rate)

    def _change(self) -> float:
        """Return the factor by which the learning rate is no longer the one shown."""
        return float(self._optimizer.learning_rate) / self._shown if self._shown > 0 else 1.0


def tensorboard(folder: Path) -> keras.callbacks.Callback:
    """Return the callback that writes the history for TensorBoard.

    Raises ConfigurationError where TensorBoard is not installed.
    """
    if find_spec("tensorboard") is None:
        raise ConfigurationError(
            "--tensorboard needs TensorBoard: pip install 'seq2seq-cli[tensorboard]'"
        )
    return _TensorBoard(log_dir=str(folder), write_graph=False)


class _TensorBoard(keras.callbacks.TensorBoard):  # type: ignore[misc]
    """TensorBoard's callback; StorageError where it cannot write."""

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        with self._naming():
            super().on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        with self._naming():
            super().on_epoch_end(epoch, logs)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        with self._naming():
            super().on_train_end(logs)

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except tf.errors.OpError as error:
            is_full = isinstance(
                error, tf.errors.ResourceExhaustedError | tf.errors.OutOfRangeError
            )
            code = errno.ENOSPC if is_full else errno.EIO
            reason = OSError(code, os.strerror(code))
            raise unwritable(Path(self.log_dir) / "events.out.tfevents", reason) from error
