"""Nothing is lost: a training stopped at any point goes on to the same bits."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import run_s2s
from tiny import assert_identical, checkpoint_arrays, tiny_config

from seq2seq_cli import train
from seq2seq_cli.errors import ConfigurationError, ExistsError, Interrupted, ModelError
from seq2seq_cli.folders import reopen_folder
from seq2seq_cli.manifest import MANIFEST
from seq2seq_cli.runs import list_runs
from seq2seq_cli.training import checkpoint
from seq2seq_cli.training.circumstances import differences
from seq2seq_cli.training.events import Advanced, EpochEnded, Resumed

TINY = ["--n-in", "4", "--n-out", "2", "--cardinality", "13", "--units", "8", "--batch-size", "16",
        "--n-samples", "640", "--seed", "4"]  # fmt: skip


def stop_after(n_events, kind=Advanced):
    """Return a progress callback that interrupts the training at the n-th event of a kind."""
    seen = []

    def progress(event):
        seen.append(isinstance(event, kind))
        if sum(seen) == n_events:
            raise Interrupted("interrupted")

    return progress


@pytest.mark.parametrize(("n_events", "kind"), [(1, Advanced), (3, Advanced), (2, EpochEnded)])
def test_an_interrupted_training_goes_on_bit_for_bit(tmp_path, whole, n_events, kind):
    with pytest.raises(Interrupted, match="--resume --run part"):
        train(tiny_config(), tmp_path, "part", progress=stop_after(n_events, kind))
    assert not (tmp_path / "part" / MANIFEST).exists()
    assert list_runs(tmp_path)[0].problem == "stopped, --resume goes on"
    events = []
    train(tiny_config(), tmp_path, "part", progress=events.append, resume=True)
    assert isinstance(events[0], Resumed)
    assert events[0].notes == ()
    assert_identical(tmp_path / "part", whole)
    assert [event.epoch for event in events if isinstance(event, EpochEnded)][-1] == 3
    history = (tmp_path / "part" / "history.jsonl").read_text().splitlines()
    for ours, theirs in zip(
        history, (whole / "history.jsonl").read_text().splitlines(), strict=True
    ):
        first, second = json.loads(ours), json.loads(theirs)
        for timed in ("seconds", "samples_per_s"):
            first.pop(timed), second.pop(timed)
        assert first == second


@pytest.mark.parametrize("omitted", ["weights", "first", "second", "steps_done"])
def test_a_resume_without_part_of_the_state_ends_elsewhere(tmp_path, whole, monkeypatch, omitted):
    """The negative control: were the comparison blind, leaving something out would not show."""
    with pytest.raises(Interrupted):
        train(tiny_config(), tmp_path, "part", progress=stop_after(3))
    load = checkpoint.load_checkpoint

    def load_less(folder):
        loaded, notes = load(folder)
        value = getattr(loaded.state, omitted)
        less = value - 1 if omitted == "steps_done" else [np.zeros_like(array) for array in value]
        return replace(loaded, state=loaded.state._replace(**{omitted: less})), notes

    monkeypatch.setattr("seq2seq_cli.training.session.load_checkpoint", load_less)
    train(tiny_config(), tmp_path, "part", resume=True)
    ours, theirs = checkpoint_arrays(tmp_path / "part"), checkpoint_arrays(whole)
    assert any(array.tobytes() != theirs[key].tobytes() for key, array in ours.items())


def test_the_bits_do_not_depend_on_how_many_steps_a_call_takes(tmp_path, whole, monkeypatch):
    monkeypatch.setattr("seq2seq_cli.training.runner.CALL_SECONDS", 0.0)
    calls = []
    train(tiny_config(), tmp_path, "single", progress=calls.append)
    assert sum(isinstance(event, Advanced) for event in calls) > 100
    assert_identical(tmp_path / "single", whole)


def test_a_training_killed_at_random_moments_goes_on_bit_for_bit(tmp_path):
    options = [*TINY, "--epochs", "40", "--checkpoint-seconds", "0.05", "-q"]
    run_s2s("train", *options, "--run", "whole", cwd=tmp_path)
    generator, command = random.Random(5), ["train", *options, "--run", "killed"]
    killed, resumable = 0, []
    while killed < 3:
        process = subprocess.Popen(
            [sys.executable, "-m", "seq2seq_cli", *command, *resumable], cwd=tmp_path
        )
        place = tmp_path / "runs" / "killed" / "checkpoint"
        before = set(place.glob("*.json"))
        while not set(place.glob("*.json")) - before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(generator.uniform(0, 0.5))
        process.kill()
        if process.wait() == 0:
            break
        killed, resumable = killed + 1, ["--resume"]
    assert killed
    if process.returncode != 0:
        run_s2s(*command, "--resume", cwd=tmp_path)
    assert_identical(tmp_path / "runs" / "killed", tmp_path / "runs" / "whole")


@pytest.mark.parametrize("file", ["npz", "json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, whole, file, damage):
    shutil.copytree(whole / "checkpoint", tmp_path / "checkpoint")
    path = max((tmp_path / "checkpoint").glob(f"*.{file}"))
    content = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2 if file == "npz" else content.index(b"sha256") + 12] ^= 1
        path.write_bytes(content)
    loaded, notes = checkpoint.load_checkpoint(tmp_path)
    assert loaded.state.steps_done == 80
    if (file, damage) != ("json", "remove"):
        assert "passed over the damaged checkpoint" in notes[0]


def test_where_every_checkpoint_is_damaged_the_training_says_so(tmp_path, whole):
    shutil.copytree(whole, tmp_path / "part")
    for path in (tmp_path / "part" / "checkpoint").glob("*.npz"):
        path.write_bytes(b"")
    with pytest.raises(ModelError, match="train it anew with --force"):
        train(tiny_config(), tmp_path, "part", resume=True)


def test_the_last_two_checkpoints_are_kept(whole):
    names = sorted(path.name for path in (whole / "checkpoint").iterdir())
    assert names == [f"{steps:012d}.{kind}" for steps in (80, 120) for kind in ("json", "npz")]


def test_changed_settings_are_refused_by_name(tmp_path, whole):
    shutil.copytree(whole, tmp_path / "part")
    with pytest.raises(ConfigurationError) as refused:
        train(tiny_config(batch_size=32, seed=5), tmp_path, "part", resume=True)
    assert "training.batch_size = 32: the run was begun with 16" in str(refused.value)
    assert "training.seed = 5" in str(refused.value)


def test_a_finished_run_is_trained_further_only_on_demand(tmp_path, whole):
    shutil.copytree(whole, tmp_path / "run")
    with pytest.raises(ConfigurationError, match="is complete after 3"):
        train(tiny_config(), tmp_path, "run", resume=True)
    assert (tmp_path / "run" / MANIFEST).exists()
    run = train(tiny_config(epochs=4), tmp_path, "run", resume=True)
    assert run.config.training.epochs == 4
    assert checkpoint_arrays(run.path)["steps"] == 160


def test_nothing_to_resume_is_named(tmp_path):
    with pytest.raises(ModelError, match="no stopped training"):
        train(tiny_config(), tmp_path, resume=True)
    with pytest.raises(ModelError, match="there is no run"):
        train(tiny_config(), tmp_path, "none", resume=True)


def test_other_circumstances_are_noted(whole):
    saved = checkpoint.load_checkpoint(whole)[0].circumstances
    assert differences(saved) == []
    noted = differences(saved.model_copy(update={"threads": 77}))
    assert "and was 77: the weights will not be bit-identical" in noted[0]


def test_a_run_in_training_is_not_taken_by_another(tmp_path, whole):
    shutil.copytree(whole, tmp_path / "run")
    with reopen_folder(tmp_path, "run"), pytest.raises(ExistsError, match="in use"):
        train(tiny_config(), tmp_path, "run", resume=True)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_a_checkpoint_and_says_how_to_go_on(tmp_path, number, code):
    process = begin_long_training(tmp_path)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in errors
    last = errors.splitlines()[-1]
    assert "checkpoint saved at step" in last
    assert last.endswith("go on with: s2s train --resume --run long")
    assert not (tmp_path / "runs" / "long" / MANIFEST).exists()
    shown = run_s2s("train", "--resume", "--epochs", "2", cwd=tmp_path)
    assert "long goes on in epoch" in shown.stderr
    assert (tmp_path / "runs" / "long" / MANIFEST).exists()


def test_a_second_ctrl_c_leaves_at_once(tmp_path):
    process = begin_long_training(tmp_path, "--checkpoint-seconds", "3600")
    os.kill(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors


def begin_long_training(folder: Path, *options: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "seq2seq_cli", "train", *TINY, "--run", "long", "--epochs",
         "100000", *options],
        cwd=folder, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    assert any("epoch 1/100000" in line for line in process.stderr)  # the first one has ended
    return process
