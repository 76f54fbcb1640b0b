"""Standard Keras callbacks, driven by the loop of our own."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np

from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.training.events import EpochEnded


class Callbacks:
    """A `keras.callbacks.CallbackList` on the train model.

    The steps of one call of the compiled program count as one batch, named by its last step. A
    callback may stop the training (`model.stop_training`), and may change the learning rate
    (`model.optimizer.learning_rate`): the change is a factor on the schedule from then on. That
    optimizer only shows the learning rate, the loop has its own.
    """

    def __init__(
        self, callbacks: Sequence[keras.callbacks.Callback], model: keras.Model, epochs: int
    ) -> None:
        self._model = model
        self._optimizer = keras.optimizers.Adam()
        self._shown = 0.0
        self.scale = 1.0
        if callbacks:
            model.optimizer = self._optimizer
        model.stop_training = False
        self._list = keras.callbacks.CallbackList(list(callbacks), model=model, epochs=epochs)
        self._active = bool(callbacks)

    @property
    def factor(self) -> np.float32:
        """What the callbacks have made of the schedule's learning rate."""
        return np.float32(self.scale)

    @property
    def stop(self) -> bool:
        """Whether a callback wants the training to stop."""
        return bool(self._model.stop_training)

    def begin(self) -> None:
        """Tell that the training begins, or goes on."""
        self._list.on_train_begin()

    def begin_epoch(self, epoch: int, rate: float) -> None:
        """Tell that an epoch, counted from 1, begins with this learning rate."""
        if not self._active:
            return
        self._show(rate)
        self._list.on_epoch_begin(epoch - 1)
        self._follow()

    def batch(self, step: int, loss: float) -> None:
        """Tell that the steps of an epoch before `step` are taken."""
        if self._active:
            self._list.on_train_batch_begin(step - 1)
            self._list.on_train_batch_end(step - 1, {"loss": loss})

    def end_epoch(self, ended: EpochEnded) -> None:
        """Tell that an epoch is trained and validated."""
        if not self._active:
            return
        self._show(ended.learning_rate)
        logs = {
            "loss": ended.training_loss,
            "learning_rate": ended.learning_rate,
            "samples_per_s": ended.samples_per_s,
            "val_loss": ended.loss,
            "val_exact_match": ended.exact_match,
            "val_token_accuracy": ended.token_accuracy,
        }
        self._list.on_epoch_end(ended.epoch - 1, logs)
        self._follow()

    def end(self) -> None:
        """Tell that the training ends; after it the model can be saved."""
        self._list.on_train_end()
        self._model.optimizer = None

    def _show(self, rate: float) -> None:
        self._optimizer.learning_rate = rate
        self._shown = float(self._optimizer.learning_rate)

    def _follow(self) -> None:
        now = float(self._optimizer.learning_rate)
        if now != self._shown and self._shown > 0:
            self.scale *= now / self._shown
            self._shown = now


def tensorboard(folder: Path) -> keras.callbacks.Callback:
    """Return the callback that writes the history for TensorBoard.

    Raises ConfigurationError where TensorBoard is not installed.
    """
    if find_spec("tensorboard") is None:
        raise ConfigurationError(
            "--tensorboard needs TensorBoard: pip install 'seq2seq-cli[tensorboard]'"
        )
    return keras.callbacks.TensorBoard(log_dir=str(folder), write_graph=False)
