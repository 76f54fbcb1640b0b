"""Checkpoints are whole or passed over, and a training resumes with its settings."""

import re

import pytest
from random_run import edit
from small import CONFIG, a_checkpoint, flip, stop

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.errors import ConfigurationError, ModelError
from seq2seq_cli.runs import checkpoint as checkpoints
from seq2seq_cli.runs.checkpoint import (
    Description,
    load_checkpoint,
    save_checkpoint,
)
from seq2seq_cli.runs.claim import create_folder, reopen_folder
from seq2seq_cli.runs.history import HistoryFile, history_text
from seq2seq_cli.runs.manifest import current_environment, differences
from seq2seq_cli.runs.names import training_path
from seq2seq_cli.runs.resumption import check_resumable


def newest(run, kind):
    return max((training_path(run) / "checkpoint").glob(f"*.{kind}"))


def test_a_checkpoint_is_read_as_it_was_written(tmp_path):
    written = a_checkpoint(80, 2, 0.1)
    save_checkpoint(tmp_path / "a" / "checkpoint", written, HistoryFile(tmp_path / "a/checkpoint"))
    read, notes = load_checkpoint(tmp_path / "a")
    assert notes == []
    for name in ("status", "config", "environment", "written_at", "history"):
        assert getattr(read, name) == getattr(written, name)
    for ours, theirs in zip(read.state[:3], written.state[:3], strict=True):
        assert [array.tobytes() for array in ours] == [array.tobytes() for array in theirs]
    assert read.state[3:] == written.state[3:]
    best = zip(read.best_weights, written.best_weights, strict=True)
    assert all(ours.tobytes() == theirs.tobytes() for ours, theirs in best)


@pytest.mark.parametrize("file", ["npz", "json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, file, damage):
    folder = stop(tmp_path, 7)
    path = newest(folder, file)
    if damage == "remove":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    else:
        flip(path, 150 if file == "npz" else path.read_bytes().index(b"sha256") + 12)
    loaded, notes = load_checkpoint(folder)
    assert loaded.state.steps_done == 0
    if (file, damage) != ("json", "remove"):
        assert "passed over the damaged checkpoint" in notes[0]


def validated(runs_dir, name, validations):
    """Stop a training after each of these numbers of validations has had a checkpoint."""
    with create_folder(runs_dir, name, CONFIG.task) as folder:
        folder.begin(CONFIG)
        for number in validations:
            folder.save_checkpoint(a_checkpoint(10 * number, number))
    return folder.run


def test_each_line_of_the_history_is_written_once(tmp_path, monkeypatch):
    written, sizes = [], []
    append = HistoryFile._append
    monkeypatch.setattr(
        HistoryFile, "_append", lambda self, path, lines: written.append(lines) or append(
            self, path, lines),
    )  # fmt: skip
    write_text = checkpoints.write_text
    monkeypatch.setattr(
        checkpoints, "write_text", lambda path, text: sizes.append(len(text)) or write_text(
            path, text),
    )  # fmt: skip
    folder = validated(tmp_path, "a", range(60))
    checkpoint, notes = load_checkpoint(folder)
    assert notes == []
    assert b"".join(written).decode() == history_text(checkpoint.history)
    assert len(checkpoint.history) == 59
    assert max(sizes) - min(sizes) < 30  # digits of numbers


def test_a_damaged_history_gives_way_to_the_lines_before(tmp_path):
    folder = validated(tmp_path, "a", [0, 1, 2])
    flip(newest(folder, "jsonl"), newest(folder, "jsonl").stat().st_size - 5)
    loaded, notes = load_checkpoint(folder)
    assert len(loaded.history) == 1
    assert "the SHA-256 of its history is not the recorded one" in notes[0]


def test_a_resumed_training_writes_another_history_file_and_removes_the_first(tmp_path):
    folder = validated(tmp_path, "a", [0, 1, 2])
    newest(folder, "npz").unlink()
    for number in (2, 3):
        with reopen_folder(tmp_path, "a") as resumed:
            loaded = load_checkpoint(folder)[0]
            assert len(loaded.history) == number - 1
            resumed.resume(loaded)
            resumed.save_checkpoint(a_checkpoint(10 * number, number))
    checkpoint, notes = load_checkpoint(folder)
    assert (len(checkpoint.history), notes) == (3, [])
    assert len(list((training_path(folder) / "checkpoint").glob("*.jsonl"))) == 2
    with reopen_folder(tmp_path, "a") as resumed:
        resumed.resume(checkpoint)
        for number in (4, 5):
            resumed.save_checkpoint(a_checkpoint(10 * number, number))
    assert len(list((training_path(folder) / "checkpoint").glob("*.jsonl"))) == 1
    assert len(load_checkpoint(folder)[0].history) == 5


def test_a_history_file_has_no_other_name_than_a_number(tmp_path):
    folder = validated(tmp_path, "a", [0, 1])
    edit(newest(folder, "json"), lambda found: found["history"].update(name="../../secret"))
    loaded, notes = load_checkpoint(folder)
    assert (loaded.history, len(notes)) == ((), 1)


def test_the_error_says_that_every_checkpoint_is_damaged(tmp_path):
    folder = stop(tmp_path, 7)
    for path in (training_path(folder) / "checkpoint").glob("*.npz"):
        path.write_bytes(b"")
    with pytest.raises(
        ModelError, match="train it anew with `s2s train --config .* --force --run a"
    ):
        load_checkpoint(folder)


def test_another_format_version_is_named(tmp_path):
    folder = stop(tmp_path, 7)
    path, version = newest(folder, "json"), Description.VERSION + 1
    edit(path, lambda description: description.update(format_version=version))
    assert f"format version {version}" in load_checkpoint(folder)[1][0]


def test_changed_settings_are_refused_by_name():
    changed = RunConfig(training=TrainingConfig(batch_size=32, seed=5), model=ModelConfig(units=9))
    with pytest.raises(ConfigurationError) as refused:
        check_resumable(CONFIG, changed)
    assert str(refused.value).splitlines() == [
        f"{name}: the run was begun with {was}; only training.epochs, training.stop_at, "
        "training.patience, training.validate_every may change"
        for name, was in [
            ("model.units = 9", 1),
            ("training.batch_size = 32", 64),
            ("training.seed = 5", 0),
        ]
    ]


def test_some_settings_may_change():
    more = TrainingConfig(epochs=9, stop_at=0.5, patience=2, validate_every=90)
    check_resumable(RunConfig(), RunConfig(training=more))
    filled_in = RunConfig(model=ModelConfig(pretrained_embedding_sha256="1" * 64))
    check_resumable(filled_in, RunConfig())


def custom(**settings):
    return RunConfig(task=TaskConfig(**{"data": "a.csv", "data_sha256": "1" * 64} | settings))


@pytest.mark.parametrize("name", ["data", "validation_data"])
def test_a_file_may_move_if_its_content_is_the_same(name):
    hashed = f"{name}_sha256"
    saved = custom(**{name: "a.csv", hashed: "1" * 64})
    check_resumable(saved, custom(**{name: "b/c.csv", hashed: "1" * 64}))
    with pytest.raises(ConfigurationError, match=f"task.{name} = 'a.csv': the file is not the one"):
        check_resumable(saved, custom(**{name: "a.csv", hashed: "2" * 64}))
    with pytest.raises(ConfigurationError, match=f"task.{name} = 'b.csv'.*begun with 'a.csv'"):
        check_resumable(saved, custom(**{name: "b.csv", hashed: ""}))
    check_resumable(saved, custom(**{name: "a.csv", hashed: ""}))
    without = saved.model_copy(update={"task": saved.task.model_copy(update={name: ""})})
    with pytest.raises(ConfigurationError, match=f"task.{name} = ''.*begun with 'a.csv'"):
        check_resumable(saved, without)


def test_another_environment_is_noted(monkeypatch):
    now = current_environment("CPU")
    assert differences(now, now) == []
    (noted,) = differences(now, now.model_copy(update={"threads": 77}))
    assert re.match(r"the number of cores is \d+ and was 77: the weights will not be bit-id", noted)
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_auto_jit=2")
    (noted,) = differences(current_environment("CPU"), now)
    assert noted.startswith("TF_XLA_FLAGS is --tf_xla_auto_jit=2 and was unset: ")
    older = {**now.versions, "tensorflow": "2.20.0"}
    monkeypatch.delenv("TF_XLA_FLAGS")
    (noted,) = differences(now, now.model_copy(update={"versions": older}))
    assert re.match(r"tensorflow is \S+ and was 2\.20\.0: ", noted)
    (noted,) = differences(current_environment("GPU: NVIDIA H200"), now)
    assert noted.startswith("the device is GPU: NVIDIA H200 and was CPU: ")


@pytest.mark.parametrize("other", ["", "--tf_xla_auto_jit=2"])
@pytest.mark.parametrize("folder", ["'/a b/process-2'", "/d"])
def test_the_folder_of_kept_programs_is_not_part_of_the_environment(monkeypatch, other, folder):
    monkeypatch.setenv("TF_XLA_FLAGS", other)
    plain = current_environment("CPU")
    flags = f"--tf_xla_persistent_cache_directory={folder} {other}"
    monkeypatch.setenv("TF_XLA_FLAGS", flags)
    assert current_environment("CPU") == plain
