"""Standard Keras callbacks, called by the compiled training loop."""

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import keras
import tensorflow as tf

from seq2seq_cli.config import RunConfig, TrainingConfig
from seq2seq_cli.custom_code import CALLBACK, load_function
from seq2seq_cli.errors import ConfigurationError, PackageError, S2sError
from seq2seq_cli.runs.history import EpochRecord
from seq2seq_cli.storage import unwritable

STATE_NOTE = (
    "what callbacks keep for themselves, such as EarlyStopping's counters, is not in the "
    "checkpoint: they start again"
)


class Callbacks:
    """A `keras.callbacks.CallbackList` on the train model.

    The steps of one call of the compiled program count as one batch. It begins with the number of
    its first step and ends with that of its last, as in Keras with `steps_per_execution`. Callbacks
    observe, and may stop the training (`model.stop_training`). `model.optimizer` only shows the
    learning rate: ConfigurationError is raised if a callback sets it, and for any exception of
    callbacks that the user's function `name` returned.
    """

    def __init__(
        self,
        callbacks: Sequence[keras.callbacks.Callback],
        model: keras.Model,
        training: TrainingConfig,
        name: str = "",
    ) -> None:
        self._name = name
        self._model = model
        self._optimizer = model.optimizer = keras.optimizers.Adam()
        model.stop_training = False
        sizes = {"epochs": training.epochs, "steps": training.epoch_steps, "verbose": 0}
        with self._reporting():
            self._list = keras.callbacks.CallbackList(list(callbacks), model=model, **sizes)

    @property
    def stop(self) -> bool:
        """Whether a callback wants the training to stop."""
        return bool(self._model.stop_training)

    def begin(self, rate: float) -> None:
        """Report that the training begins, or resumes, with this learning rate."""
        self._call(self._list.on_train_begin, rate)

    def begin_epoch(self, epoch: int, rate: float) -> None:
        """Report that an epoch, counted from 1, begins; `rate` is that of its first step."""
        self._call(self._list.on_epoch_begin, rate, epoch - 1)

    def begin_batch(self, step: int, rate: float) -> None:
        """Report that a call begins with this step of the epoch."""
        self._call(self._list.on_train_batch_begin, rate, step)

    def end_batch(self, step: int, rate: float, loss: float) -> None:
        """Report that a call has ended with this step of the epoch."""
        self._call(self._list.on_train_batch_end, rate, step, {"loss": loss})

    def end_epoch(self, ended: EpochRecord) -> None:
        """Report that an epoch, or its part before a stop, has been trained and validated."""
        logs = {
            "loss": ended.training_loss,
            "learning_rate": ended.learning_rate,
            "samples_per_s": ended.samples_per_s,
            "val_loss": ended.loss,
            "val_exact_match": ended.exact_match,
            "val_teacher_forced_token_accuracy": ended.teacher_forced_token_accuracy,
        }
        self._call(self._list.on_epoch_end, ended.learning_rate, ended.epoch - 1, logs)

    def end(self, rate: float) -> None:
        """Report that the training ends, after a step with this learning rate."""
        self._call(self._list.on_train_end, rate)

    def _call(self, hook: Callable[..., None], rate: float, *arguments: object) -> None:
        """Call a hook of all callbacks; the optimizer shows this learning rate meanwhile."""
        self._optimizer.learning_rate = rate
        shown = float(self._optimizer.learning_rate)
        with self._reporting():
            hook(*arguments)
        if (rate_set := float(self._optimizer.learning_rate)) != shown:
            raise ConfigurationError(
                f"a callback set the learning rate to {rate_set:g}: callbacks cannot change it, "
                "remove that one; training.schedule says how the rate changes"
            )

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except (S2sError, OSError, MemoryError):
            raise
        except (Exception, SystemExit) as error:
            if not self._name:
                raise
            raise _raised(self._name, error) from error


def load_callbacks(name: str, config: RunConfig, run: str) -> list[keras.callbacks.Callback]:
    """Return the callbacks that the user's function `name`, path/to/file.py:function, returns.

    It is called with the settings as a dictionary of sections and with the run's folder, which is
    empty in workers that have none. Raises ConfigurationError if it cannot be imported, fails, or
    returns something else.
    """
    function = load_function(CALLBACK, name)
    try:
        returned = function(config.model_dump(), run)
    except (Exception, SystemExit) as error:
        raise _raised(name, error) from error
    callbacks = list(returned) if isinstance(returned, Iterable) else [returned]
    for item in callbacks:
        if not isinstance(item, keras.callbacks.Callback):
            raise ConfigurationError(
                f"{CALLBACK} {name}: it returned {type(item).__name__}: should be Keras callbacks"
            )
    return callbacks


def _raised(name: str, error: BaseException) -> ConfigurationError:
    return ConfigurationError(f"{CALLBACK} {name}: it raised {type(error).__name__}: {error}")


def tensorboard(folder: Path) -> keras.callbacks.Callback:
    """Return the callback that writes the history for TensorBoard.

    Raises ConfigurationError if TensorBoard is not installed.
    """
    if find_spec("tensorboard") is None:
        raise PackageError("--tensorboard needs TensorBoard", "tensorboard")
    return _TensorBoard(log_dir=str(folder), write_graph=False)


class _TensorBoard(keras.callbacks.TensorBoard):  # type: ignore[misc]
    """TensorBoard's callback; StorageError if it cannot write."""

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
