"""Standard Keras callbacks are called as by `fit`; they may stop a training, not change it."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny import (
    EPOCH_STEPS,
    assert_identical,
    read_history,
    stop_after,
    tiny_config,
)

from seq2seq_cli import train
from seq2seq_cli.config import RunConfig
from seq2seq_cli.errors import ConfigurationError, Interrupted, StorageError
from seq2seq_cli.runs.checkpoint import load_checkpoint
from seq2seq_cli.training import callbacks
from seq2seq_cli.training.callbacks import STATE_NOTE
from seq2seq_cli.training.events import Advanced, Resumed

pytestmark = pytest.mark.usefixtures("compiled_once")


def run_with(tmp_path, config, *callbacks, **options):
    events = []
    run = train(config, tmp_path, progress=events.append, callbacks=callbacks, **options)
    return run, events


class Record(keras.callbacks.Callback):
    """Note the calls, and leave the model without its weights at the end."""

    def __init__(self):
        super().__init__()
        self.calls, self.logs, self.weights = [], [], []

    def on_train_begin(self, logs=None):
        self.calls.append("train(")

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(f"epoch{epoch}(")

    def on_train_batch_begin(self, batch, logs=None):
        self.calls.append(f"{batch}-")

    def on_train_batch_end(self, batch, logs=None):
        self.calls.append(f"{batch},")

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(")")
        self.logs.append(logs)
        self.weights.append([weight.numpy() for weight in self.model.weights])

    def on_train_end(self, logs=None):
        self.calls.append(")")
        for variable in self.model.trainable_variables:
            variable.assign(np.zeros(variable.shape))


def test_callbacks_are_called_as_by_fit_and_change_no_bit(tmp_path, whole):
    record = Record()
    save = keras.callbacks.ModelCheckpoint(str(tmp_path / "{epoch}.keras"))
    run, _ = run_with(tmp_path, tiny_config(), record, save, keras.callbacks.ProgbarLogger())
    assert record.params == {"epochs": 3, "steps": EPOCH_STEPS, "verbose": 0}
    calls = "".join(record.calls)
    assert re.fullmatch(r"train\((epoch\d\((\d+-\d+,)+\)){3}\)", calls)
    for epoch in range(3):
        batches = re.findall(r"(\d+)-(\d+),", calls.split(f"epoch{epoch}(")[1].split(")")[0])
        numbers = [n for first, last in batches for n in range(int(first), int(last) + 1)]
        assert numbers == list(range(EPOCH_STEPS))
    assert sorted(record.logs[0]) == [
        "learning_rate", "loss", "samples_per_s", "val_exact_match", "val_loss",
        "val_teacher_forced_token_accuracy",
    ]  # fmt: skip
    for epoch, weights in enumerate(record.weights, 1):
        saved = keras.models.load_model(tmp_path / f"{epoch}.keras").get_weights()
        for first, second in zip(saved, weights, strict=True):
            np.testing.assert_array_equal(first, second)
    assert_identical(run.path, whole)


@pytest.mark.parametrize("hook", ["on_train_begin", "on_train_batch_begin"])
def test_after_a_stop_before_a_call_that_call_is_trained(tmp_path, hook):
    stop = keras.callbacks.Callback()
    setattr(stop, hook, lambda *args, **kwargs: setattr(stop.model, "stop_training", True))
    run, events = run_with(tmp_path, tiny_config(), stop)
    assert sum(isinstance(event, Advanced) for event in events) == 1
    assert events[-1].reason == "a callback stopped it"
    assert [record.n_samples for record in read_history(run.path / "history.jsonl")] == [16]


def test_early_stopping_stops_after_a_whole_epoch(tmp_path):
    stop = keras.callbacks.EarlyStopping("val_loss", patience=1, min_delta=100.0)
    run, events = run_with(tmp_path, tiny_config(epochs=9), stop)
    assert events[-1].reason == "a callback stopped it"
    assert [record.n_samples for record in read_history(run.path / "history.jsonl")] == [640, 640]
    assert load_checkpoint(run.path)[0].status.epochs_done == 2


def test_a_resumed_training_notes_that_callbacks_start_again(tmp_path, whole):
    with pytest.raises(Interrupted):
        train(tiny_config(), tmp_path, "part", progress=stop_after(3), callbacks=[Record()])
    part, events = run_with(tmp_path, RunConfig(), Record(), run="part", resume=True)
    assert_identical(part.path, whole)
    resumed = next(event for event in events if isinstance(event, Resumed))
    assert resumed.notes == (STATE_NOTE,)


class HalveRate(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.model.optimizer.learning_rate.assign(0.005)


@pytest.mark.parametrize("callback", [
    HalveRate(),
    keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5),
    keras.callbacks.ReduceLROnPlateau("val_loss", 0.1, patience=1, min_delta=100.0),
])  # fmt: skip
def test_a_callback_that_sets_the_learning_rate_is_refused(tmp_path, whole, callback):
    with pytest.raises(ConfigurationError, match=r"set the learning rate .* training\.schedule"):
        run_with(tmp_path, tiny_config(), callback, run="part")
    if isinstance(callback, keras.callbacks.ReduceLROnPlateau):
        assert_identical(train(RunConfig(), tmp_path, "part", resume=True).path, whole)


def test_tensorboard_is_written_or_its_absence_named(tmp_path, monkeypatch):
    config = tiny_config(epochs=1)
    with monkeypatch.context() as patched:
        patched.setattr(callbacks, "find_spec", lambda name: None)
        with pytest.raises(ConfigurationError, match=r"pip install '.\[tensorboard\]'"):
            train(config, tmp_path, "run", write_tensorboard=True)
    assert not (tmp_path / "run").exists()
    run = train(config, tmp_path, "run", write_tensorboard=True)
    assert list((run.path / "tensorboard").rglob("events.out.tfevents.*"))


def test_events_that_cannot_be_written_are_reported_like_other_files(tmp_path, monkeypatch):
    """TensorFlow's error for a full disk is the same as for a full memory."""

    def full(self, epoch, logs=None):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(keras.callbacks.TensorBoard, "on_epoch_end", full)
    where = r"/w\.training/tensorboard/events.*: No space .* bytes free"
    with pytest.raises(StorageError, match=where):
        train(tiny_config(epochs=1), tmp_path, "w", write_tensorboard=True)
    assert not (tmp_path / "w" / "run.json").exists()
    train(tiny_config(epochs=1), tmp_path, "w", resume=True)


def test_a_folder_of_events_that_is_a_file_is_named(tmp_path):
    (tmp_path / "tensorboard").write_text("a file")
    callback, model = callbacks.tensorboard(tmp_path / "tensorboard"), keras.Sequential()
    model.optimizer = keras.optimizers.Adam()
    callback.set_model(model)
    with pytest.raises(StorageError, match=r"cannot write .*tensorboard.*: Input/output error"):
        callback.on_epoch_end(0, {"loss": 1.0})


def test_force_replaces_the_earlier_events(tmp_path):
    def events():
        return {path.name for path in (tmp_path / "w" / "tensorboard").rglob("events*")}

    train(tiny_config(epochs=1), tmp_path, "w", write_tensorboard=True)
    before = events()
    train(tiny_config(epochs=1), tmp_path, "w", force=True, write_tensorboard=True)
    assert before
    assert events()
    assert not events() & before
    train(tiny_config(epochs=1), tmp_path, "w", force=True)
    assert not events()
