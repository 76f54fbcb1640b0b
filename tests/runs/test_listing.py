"""What there is in the runs' folder, and which of it other commands take."""

import os
import signal
from contextlib import suppress

import pytest
from small import (
    CONFIG,
    TASK,
    contents,
    damage,
    edit_manifest,
    make_incomplete,
    stop,
    stop_further,
    train,
)

from seq2seq_cli.errors import ModelError, S2sError, StorageError
from seq2seq_cli.runs import manifest
from seq2seq_cli.runs.checkpoint import load_checkpoint
from seq2seq_cli.runs.claim import create_folder, reopen_folder
from seq2seq_cli.runs.listing import list_runs, open_run
from seq2seq_cli.runs.lock import LOCK
from seq2seq_cli.runs.manifest import CONFIG_FILE, ENCODER_MODEL, HISTORY, MANIFEST, RECORDED
from seq2seq_cli.runs.names import training_path
from seq2seq_cli.runs.resumption import find_resumable
from seq2seq_cli.storage import sha256_of


def test_newest_completed_run_is_opened_without_a_name(tmp_path):
    train(tmp_path, "b", "2026-01-02T12:00:00Z")
    train(tmp_path, "a", "2026-01-02T12:00:01Z")
    train(tmp_path, "c", "2025-12-31T23:59:59Z")
    damage(train(tmp_path, "damaged", "2026-01-03T00:00:00Z"))
    make_incomplete(train(tmp_path, "incomplete", "2026-01-04T00:00:00Z"))
    assert open_run(tmp_path).name == "a"


@pytest.fixture
def opened(monkeypatch):
    """Return the names of the files that are read, as they are read."""
    names, read = [], manifest.read_file
    for reader in ("manifest", "checkpoint"):
        monkeypatch.setattr(
            f"seq2seq_cli.runs.{reader}.read_file",
            lambda path, most: names.append(path.name) or read(path, most),
        )
    return names


def test_a_listed_run_is_read_once(tmp_path, opened):
    for name in "abc":
        train(tmp_path, name)
    opened.clear()
    assert len(list_runs(tmp_path)) == 3
    assert opened.count(MANIFEST) == opened.count(CONFIG_FILE) == 3


def test_only_the_newest_run_is_opened_without_a_name(tmp_path, opened):
    for second in range(5):
        train(tmp_path, f"run{second}", f"2026-01-02T12:00:0{second}Z")
    damage(train(tmp_path, "damaged", "2026-01-03T00:00:00Z"))
    opened.clear()
    assert open_run(tmp_path).name == "run4"
    assert opened.count(CONFIG_FILE) == 2  # the damaged one and the one before it
    assert not any(name.endswith("npz") or name[:12].isdigit() for name in opened)


def test_of_runs_of_one_moment_the_first_by_name_is_opened(tmp_path):
    for name in "bac":
        train(tmp_path, name)
    assert open_run(tmp_path).name == "a"


def test_the_error_for_a_missing_run_says_how_to_train_one(tmp_path):
    with pytest.raises(ModelError, match="s2s train"):
        open_run(tmp_path)
    make_incomplete(train(tmp_path))
    with pytest.raises(ModelError, match="s2s train"):
        open_run(tmp_path)
    with pytest.raises(ModelError, match="is incomplete"):
        open_run(tmp_path, "a")
    with pytest.raises(ModelError, match=r"no run .*other"):
        open_run(tmp_path, "other")


def test_listing_has_completed_runs_by_age_then_the_others(tmp_path):
    train(tmp_path, "new", "2026-01-02T12:00:00Z")
    train(tmp_path, "old", "2026-01-01T12:00:00Z")
    damage(train(tmp_path, "damaged"))
    stop(tmp_path, 7, "stopped")
    (tmp_path / "not-a-run").mkdir()
    (tmp_path / "note.txt").write_text("mine")
    with create_folder(tmp_path, "training", TASK) as folder:
        folder.begin(CONFIG)
        listed = {item.name: item for item in list_runs(tmp_path)}
        with pytest.raises(ModelError, match="still in training"):
            open_run(tmp_path, "training")
    assert list(listed)[:2] == ["old", "new"]
    assert set(listed) == {"old", "new", "damaged", "stopped", "training"}
    assert all(listed[name].problem == listed[name].under_way == "" for name in ("old", "new"))
    assert listed["old"].run.manifest.completed_at == "2026-01-01T12:00:00Z"
    assert [listed[name].run for name in ("damaged", "stopped", "training")] == [None] * 3
    assert listed["stopped"].problem == "stopped"
    assert listed["training"].problem == "in training"
    assert listed["damaged"].problem.startswith("damaged: ")
    assert str(tmp_path / "damaged" / CONFIG_FILE) in listed["damaged"].problem


@pytest.mark.parametrize("force", [True, False])
def test_a_complete_run_is_listed_with_the_training_that_will_replace_it(tmp_path, force):
    train(tmp_path)
    if force:
        stop(tmp_path, 5, value=1.0, force=True)
    else:
        stop_further(tmp_path, 90)
    (listed,) = list_runs(tmp_path)
    assert (listed.problem, listed.under_way) == ("", "stopped")
    for file in RECORDED:
        assert listed.run.read(file)
    with reopen_folder(tmp_path, "a"):
        assert list_runs(tmp_path)[0].under_way == "in training"


def test_listing_changes_no_file(tmp_path):
    folder = train(tmp_path)
    make_incomplete(folder)
    before = contents(folder)
    list_runs(tmp_path)
    assert contents(folder) == before


def rerecord(folder, content):
    """Let a run have another configuration, which its manifest proves."""
    (folder / CONFIG_FILE).write_bytes(content)
    record = {"sha256": sha256_of(content), "bytes": len(content)}
    edit_manifest(folder, lambda manifest: manifest["files"].update({CONFIG_FILE: record}))


def make_folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = {
    "not UTF-8": lambda folder: rerecord(folder, b"\xff\xfe[task]"),
    "not TOML": lambda folder: rerecord(folder, b"[task"),
    "not valid any more": lambda folder: rerecord(folder, b"[task]\nn_in = -1\n"),
    "of a later version": lambda folder: rerecord(folder, b"[task]\nlater = 1\n"),
    "manifest of bytes": lambda folder: (folder / MANIFEST).write_bytes(b"\xff\x00"),
    "manifest is empty": lambda folder: (folder / MANIFEST).write_bytes(b""),
    "manifest is deep": lambda folder: (folder / MANIFEST).write_bytes(b"[" * 10**6),
    "manifest is a list": lambda folder: (folder / MANIFEST).write_bytes(b"[]"),
    "manifest is a folder": lambda folder: make_folder(folder / MANIFEST),
    "configuration is a folder": lambda folder: make_folder(folder / CONFIG_FILE),
    "no configuration": lambda folder: (folder / CONFIG_FILE).unlink(),
}


@pytest.mark.parametrize("damage_run", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_run_does_not_hide_the_others(tmp_path, damage_run):
    train(tmp_path, "good", "2026-01-02T12:00:00Z")
    bad = train(tmp_path, "bad", "2026-01-03T12:00:00Z")
    assert open_run(tmp_path).name == "bad"
    damage_run(bad)
    assert open_run(tmp_path).name == "good"
    listed = {item.name: item.problem for item in list_runs(tmp_path)}
    assert listed["good"] == ""
    assert listed["bad"].startswith("damaged: ")
    with pytest.raises((ModelError, StorageError)):
        open_run(tmp_path, "bad")


def test_a_run_with_a_damaged_checkpoint_is_listed(tmp_path):
    train(tmp_path, "good")
    folder = train(tmp_path, "bad")
    for path in (folder / "checkpoint").iterdir():
        make_folder(path)
    assert {item.name for item in list_runs(tmp_path) if item.run} == {"good", "bad"}
    (folder / "checkpoint").rename(tmp_path / "elsewhere")
    (folder / "checkpoint").touch()
    assert {item.name for item in list_runs(tmp_path) if item.run} == {"good", "bad"}


@pytest.fixture
def alarm():
    """End a test that hangs."""
    signal.alarm(30)
    yield
    signal.alarm(0)


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize(
    "name",
    [LOCK, CONFIG_FILE, MANIFEST, ENCODER_MODEL, HISTORY, "checkpoint/*.json", "checkpoint/*.npz",
     "checkpoint/*.jsonl", "tensorboard/events.out.tfevents.1"],
)  # fmt: skip
def test_only_regular_files_of_a_run_are_read(tmp_path, name, kind):
    def resume(runs_dir, name):
        with reopen_folder(runs_dir, name) as folder:
            folder.resume(load_checkpoint(folder.run)[0])

    uses = (
        lambda *run: open_run(*run).read(ENCODER_MODEL),
        lambda *run: open_run(*run).history(),
        lambda runs_dir, name: find_resumable(runs_dir, None),
        resume,
    )
    for run in (train(tmp_path, "complete"), stop(tmp_path, 7, "stopped")):
        folder = run if run.exists() else training_path(run)
        for path in list(folder.glob(name)) or [folder / name]:
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True)
            if kind == "pipe":
                os.mkfifo(path)
            else:
                path.symlink_to("/dev/zero")
        assert len(list_runs(tmp_path)) == 2
        for use in uses:
            with suppress(S2sError):
                use(tmp_path, run.name)
