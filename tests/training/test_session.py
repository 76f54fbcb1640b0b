"""A training from beginning to end: its history and checkpoints, and a loss that is not finite."""

import json

import keras
import numpy as np
import pytest
from tiny import stop_after, tiny_config

from seq2seq_cli import train
from seq2seq_cli.config import RunConfig
from seq2seq_cli.errors import ConfigurationError, Interrupted, LossError, ModelError
from seq2seq_cli.runs import folder
from seq2seq_cli.runs.checkpoint import load_checkpoint
from seq2seq_cli.runs.listing import list_runs


def events_of(tmp_path, config, **options):
    events = []
    run = train(config, tmp_path, progress=events.append, **options)
    return run, events


def test_history_has_a_line_per_epoch_with_the_documented_keys(whole):
    lines = [json.loads(line) for line in (whole / "history.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    for line in lines:
        assert line["exact_match_low"] <= line["exact_match"] <= line["exact_match_high"]
        assert line["exact_match"] <= line["teacher_forced_token_accuracy"]
        assert line["n_samples"] == 640
        assert line["training_loss"] > 0
        assert line["samples_per_s"] > 0
    assert lines[0]["learning_rate"] > lines[-1]["learning_rate"] > 0
    for line in lines:
        done, steps, losses, shares, rates = zip(*line["calls"], strict=True)
        assert done[-1] == line["steps_done"]
        assert sum(steps) == 40
        mean = sum(n * loss for n, loss in zip(steps, losses, strict=True)) / 40
        assert mean == pytest.approx(line["training_loss"], rel=1e-4)
        assert all(0 <= share <= 1 for share in shares)
        assert rates[-1] == pytest.approx(line["learning_rate"], rel=1e-5)


@pytest.mark.usefixtures("compiled_once")
@pytest.mark.parametrize(("settings", "steps"), [
    ({"epochs": 1}, [0, 40]), ({"epochs": 2, "validate_every": 320}, [0, 20, 40, 60, 80]),
    ({"epochs": 9, "stop_at": 1e-9}, [0, 40]),
])  # fmt: skip
def test_a_state_is_saved_once(tmp_path, monkeypatch, settings, steps):
    saved, save = [], folder.save_checkpoint

    def counted(place, checkpoint, history):
        saved.append(checkpoint.state.steps_done)
        save(place, checkpoint, history)

    monkeypatch.setattr("seq2seq_cli.runs.folder.save_checkpoint", counted)
    events_of(tmp_path, tiny_config(**settings))
    assert saved == steps


@pytest.mark.usefixtures("compiled_once")
def test_a_loss_that_is_not_finite_names_the_step_and_keeps_the_checkpoint(tmp_path):
    class Explode(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                self.model.trainable_variables[0].assign(np.full((13, 32), np.nan))

    with pytest.raises(ConfigurationError, match="at step 41, in epoch 2: start again") as refused:
        train(tiny_config(), tmp_path, "run", callbacks=[Explode()])
    assert "training.clip_norm=1.0" in str(refused.value)
    checkpoint, notes = load_checkpoint(tmp_path / "run")
    assert notes == []
    assert checkpoint.state.steps_done == 40
    assert all(np.isfinite(array).all() for array in checkpoint.state.weights)
    (listed,) = list_runs(tmp_path)
    assert listed.problem == "diverged"
    with pytest.raises(ModelError, match="no stopped training"):
        train(RunConfig(), tmp_path, resume=True)
    with pytest.raises(Interrupted):
        train(RunConfig(), tmp_path, "run", resume=True, progress=stop_after(1))
    (listed,) = list_runs(tmp_path)
    assert listed.problem == "stopped"


@pytest.mark.usefixtures("compiled_once")
def test_a_run_whose_last_step_diverges_is_not_saved(tmp_path):
    config = tiny_config(epochs=1, n_samples=16, learning_rate=3e38, schedule="constant")
    with pytest.raises(LossError, match="the loss became (nan|inf) at step 1, in epoch 1: start"):
        train(config, tmp_path, "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run.training"]
    assert (tmp_path / "run.training" / "history.jsonl").read_text() == ""

    class Explode(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.trainable_variables[0].assign(np.full((13, 32), np.nan))

    with pytest.raises(LossError, match="the weights became infinite or NaN at step 40, in epo"):
        train(tiny_config(epochs=1), tmp_path, "other", callbacks=[Explode()])
    assert not (tmp_path / "other").exists()
