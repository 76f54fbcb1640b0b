"""A run's folder is whole at every moment, whatever stops a training."""

import shutil
from pathlib import Path

import pytest
from small import (
    CONFIG,
    MODELS,
    RESULTS,
    TASK,
    a_checkpoint,
    complete,
    contents,
    record,
    stop,
    stop_further,
    train,
)

from seq2seq_cli.config import RunConfig, TrainingConfig
from seq2seq_cli.errors import StorageError
from seq2seq_cli.runs import folder as life
from seq2seq_cli.runs.checkpoint import is_stopped, load_checkpoint
from seq2seq_cli.runs.claim import create_folder, reopen_folder
from seq2seq_cli.runs.folder import RunFolder, clear, hold_run
from seq2seq_cli.runs.listing import list_runs, open_run
from seq2seq_cli.runs.manifest import CONFIG_FILE, HISTORY, MANIFEST, RECORDED
from seq2seq_cli.runs.names import replaced_path, training_path

OTHER = RunConfig(task=TASK, model=CONFIG.model, training=TrainingConfig(seed=7, epochs=9))
LAST = a_checkpoint(80, 2, 1.0, OTHER)
EVENTS = "tensorboard/train/events.out.tfevents.1"


class Killed(BaseException):
    """Ends a training as a kill does: nothing that cleans up is run after it."""


def verify(runs_dir, name="a"):
    run = open_run(runs_dir, name)
    for file in RECORDED:
        run.read(file)
    return run


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_a_complete_folder_holds_exactly_what_is_documented(tmp_path):
    folder = train(tmp_path)
    files = {CONFIG_FILE, HISTORY, MANIFEST, *MODELS}
    files |= {f"checkpoint/{4:012d}.{kind}" for kind in ("json", "npz")}
    files.add(f"checkpoint/{2:012d}.jsonl")  # since the first validation
    assert set(contents(folder)) == files
    assert (folder / HISTORY).read_text().count("\n") == 2
    assert names(tmp_path) == {"a"}


def test_a_training_has_its_configuration_and_history_from_the_beginning(tmp_path):
    with create_folder(tmp_path, "a", TASK) as folder:
        assert contents(folder.path).keys() == {".lock"}
        folder.begin(OTHER)
        assert (folder.path / CONFIG_FILE).read_text() == OTHER.to_toml()
        assert (folder.path / HISTORY).read_text() == ""
        folder.add_record(record(1))
        assert (folder.path / HISTORY).read_text().count("\n") == 1
        assert names(tmp_path) == {"a.training"}


def test_a_training_keeps_its_last_two_checkpoints(tmp_path):
    stop(tmp_path, 7)
    with reopen_folder(tmp_path, "a") as folder:
        folder.save_checkpoint(a_checkpoint(8))
    assert len(list((folder.path / "checkpoint").glob("*.npz"))) == 2
    assert load_checkpoint(tmp_path / "a")[0].state.steps_done == 8


def test_resuming_removes_the_history_after_the_checkpoint(tmp_path):
    with create_folder(tmp_path, "a", TASK) as folder:
        folder.begin(CONFIG)
        folder.save_checkpoint(a_checkpoint(40, 1))
        folder.add_record(record(1))
        folder.add_record(record(2))  # and then the process is killed, before a checkpoint
    with reopen_folder(tmp_path, "a") as folder:
        folder.resume(a_checkpoint(40, 1, config=OTHER))
    assert (folder.path / HISTORY).read_text().count("\n") == 1
    assert (folder.path / CONFIG_FILE).read_text() == OTHER.to_toml()


def test_a_forced_training_leaves_the_complete_run_until_it_is_complete_itself(tmp_path):
    run = train(tmp_path)
    write(run / EVENTS, "event")
    write(run / "notes.txt", "mine")
    write(run / "tensorboard" / "notes.txt", "mine too")
    (run / "link to notes").symlink_to(tmp_path)
    before = contents(run)
    with create_folder(tmp_path, "a", TASK, force=True) as forced:
        forced.begin(OTHER)
        forced.save_checkpoint(a_checkpoint(3, value=1.0, config=OTHER))
        forced.add_record(record(1))
        assert contents(run) == before
        assert load_checkpoint(run)[0].config == OTHER
        complete(forced, LAST)
        assert forced.is_complete
    assert verify(tmp_path).config == OTHER
    assert b"1.0" in (run / MODELS[0]).read_bytes()
    assert names(tmp_path) == {"a"}
    assert {str(path.relative_to(run)) for path in run.rglob("*notes*")} == {
        "notes.txt", "tensorboard/notes.txt", "link to notes",
    }  # fmt: skip
    assert not (run / EVENTS).exists()


def test_a_training_further_leaves_the_complete_run_until_it_is_complete_again(tmp_path):
    run = train(tmp_path)
    write(run / EVENTS, "event")
    before = contents(run)
    assert names(tmp_path) == {"a"}
    stop_further(tmp_path, 90)
    assert contents(run) == before
    assert load_checkpoint(run)[0].state.steps_done == 90
    with reopen_folder(tmp_path, "a") as resumed:
        resumed.resume(a_checkpoint(90, 2, config=OTHER))
        complete(resumed, a_checkpoint(120, 3, config=OTHER))
    assert verify(tmp_path).config == OTHER
    assert (run / HISTORY).read_text().count("\n") == 3
    assert (run / EVENTS).read_text() == "event"


@pytest.mark.parametrize("is_complete", [False, True])
def test_a_training_that_fails_before_a_checkpoint_changes_nothing(tmp_path, is_complete):
    run = train(tmp_path) if is_complete else stop(tmp_path, 7)
    before = contents(tmp_path)
    for hold in (create_folder(tmp_path, "a", TASK, force=True), reopen_folder(tmp_path, "a")):
        with pytest.raises(MemoryError), hold:
            raise MemoryError
    assert contents(tmp_path) == before
    assert load_checkpoint(run)[0].state.steps_done == (80 if is_complete else 7)


def test_a_forced_training_replaces_a_stopped_one(tmp_path):
    run = stop(tmp_path, 7)
    stop(tmp_path, 3, value=1.0, force=True)
    checkpoint = load_checkpoint(run)[0]
    assert (checkpoint.state.steps_done, checkpoint.state.weights[0][1]) == (3, 1.0)


def test_a_link_is_replaced_and_its_target_stays(tmp_path):
    target = train(tmp_path / "elsewhere", "b")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a").symlink_to(target)
    before = contents(target)
    run = train(tmp_path / "runs", force=True, config=OTHER)
    assert not run.is_symlink()
    assert open_run(tmp_path / "runs", "a").config == OTHER
    assert contents(target) == before


WRITES = 60


@pytest.mark.parametrize("force", [False, True])
def test_a_kill_at_any_write_leaves_a_run_and_a_checkpoint_that_completes_it(
    tmp_path, monkeypatch, force
):
    left = [0]

    def counted(method):
        def call(self, *args, **kwargs):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return method(self, *args, **kwargs)

        return call

    train(tmp_path / "before")
    write(tmp_path / "before" / "a" / "notes.txt", "mine")
    seen = set()
    for writes in range(WRITES):
        runs_dir = tmp_path / str(writes)
        shutil.copytree(tmp_path / "before", runs_dir)
        left[0], done = writes, False
        with monkeypatch.context() as patched:
            for name in ("replace", "rename", "unlink"):
                patched.setattr(Path, name, counted(getattr(Path, name)))
            patched.setattr(shutil, "rmtree", counted(shutil.rmtree))
            training_path(runs_dir / "a").mkdir()
            try:
                folder = RunFolder(runs_dir / "a")
                if force:
                    folder.begin(OTHER)
                else:
                    folder.resume(load_checkpoint(runs_dir / "a")[0])
                folder.save_checkpoint(a_checkpoint(5 if force else 90, 1, 1.0, OTHER))
                complete(folder, LAST)
                done = True
            except Killed:
                pass
        is_between = not (runs_dir / "a").exists()
        (listed,) = list_runs(runs_dir)
        run = verify(runs_dir)
        assert listed.run == run
        assert (run.path / "notes.txt").exists() or replaced_path(run.path).exists()
        seen.add((run.config.training.seed, is_stopped(run.path), is_between))
        if run.config != OTHER and is_stopped(run.path):
            with reopen_folder(runs_dir, None) as folder:
                folder.resume(load_checkpoint(run.path)[0])
                complete(folder, LAST)
        elif run.config != OTHER:
            train(runs_dir, force=True, config=OTHER)
        with hold_run(run.path):
            pass
        assert verify(runs_dir).config == OTHER
        assert names(runs_dir) == {"a"}
        assert (run.path / "notes.txt").read_text() == "mine"
        assert not list(run.path.rglob(".*"))
        if done:
            break
    assert done
    assert seen == {(0, False, False), (0, True, False), (7, False, True), (7, False, False)}


def test_a_run_whose_replacement_is_not_complete_is_put_back(tmp_path):
    run = train(tmp_path)
    before = contents(run)
    stop_further(tmp_path, 90)
    run.rename(replaced_path(run))
    assert [listed.under_way for listed in list_runs(tmp_path)] == ["stopped"]
    assert contents(run) == before
    run.rename(replaced_path(run))
    assert verify(tmp_path).path == run
    shutil.rmtree(training_path(run))
    run.rename(replaced_path(run))
    assert open_run(tmp_path).path == run


def test_runs_are_read_without_the_permission_to_write(tmp_path, monkeypatch):
    run = train(tmp_path)
    shutil.copytree(run, replaced_path(run))

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(life, "hold_lock", refuse)
    assert len(list_runs(tmp_path)) == 1
    verify(tmp_path)


def test_a_model_that_cannot_be_saved_leaves_the_earlier_run(tmp_path):
    run = train(tmp_path)
    before = contents(run)

    def full(path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(path))

    with create_folder(tmp_path, "a", TASK, force=True) as forced:
        forced.begin(OTHER)
        with pytest.raises(StorageError, match=r"train\.keras: No space left"):
            forced.complete(LAST, RESULTS, {MODELS[0]: full}, "now")
    assert contents(run) == before
    assert load_checkpoint(run)[0].config == OTHER


TOKEN = "s2s-00112233aabbccdd"


def test_files_half_written_by_a_killed_process_are_removed_by_the_next_training(tmp_path):
    folder = training_path(stop(tmp_path, 7))
    newest = max(path.stem for path in (folder / "checkpoint").glob("*.json"))
    foreign = {".train.mine.keras", ".env", "notes.txt", "checkpoint/7.npz", "checkpoint/a.json",
               ".train.77.keras"}  # fmt: skip
    half = {
        f".train.{TOKEN}.keras",
        f".run.{TOKEN}.json",
        f".files.{TOKEN}/weights.h5",
        f"checkpoint/.{newest}.{TOKEN}.npz",
        f"checkpoint/{int(newest) + 1:012d}.npz",
    }
    before = set(contents(folder))
    for name in foreign | half:
        write(folder / name, "half")
    assert load_checkpoint(tmp_path / "a")[0].state.steps_done == 7
    with reopen_folder(tmp_path, "a") as resumed:
        assert set(contents(folder)) - {".lock"} == before | foreign
        resumed.resume(load_checkpoint(tmp_path / "a")[0])
        resumed.save_checkpoint(a_checkpoint(8))
    assert load_checkpoint(tmp_path / "a")[0].state.steps_done == 8


def test_clearing_leaves_foreign_files(tmp_path):
    folder = train(tmp_path)
    for name in ("notes.txt", "checkpoint/notes.txt", "plot.png"):
        (folder / name).write_text("mine")
    clear(folder)
    assert set(contents(folder)) == {"notes.txt", "checkpoint/notes.txt", "plot.png"}
