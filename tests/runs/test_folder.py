"""A run's folder is whole at every moment: whatever stops a training, there is what there was."""

import shutil

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
    train,
)

from seq2seq_cli.config import RunConfig, TrainingConfig
from seq2seq_cli.errors import ModelError, StorageError
from seq2seq_cli.runs.checkpoint_files import load_checkpoint
from seq2seq_cli.runs.folder import RunFolder, has_unfinished
from seq2seq_cli.runs.listing import list_runs, open_run
from seq2seq_cli.runs.location import create_folder, reopen_folder
from seq2seq_cli.runs.manifest import CONFIG_FILE, HISTORY, MANIFEST, RECORDED

OTHER = RunConfig(task=TASK, model=CONFIG.model, training=TrainingConfig(seed=7, epochs=9))


class Killed(BaseException):
    """Ends a training as a kill does: nothing that cleans up is run after it."""


def top_level(folder):
    return {name: content for name, content in contents(folder).items() if "/" not in name}


def verify(runs_dir, name="a"):
    run = open_run(runs_dir, name)
    for file in RECORDED:
        run.read(file)
    return run


def test_a_complete_folder_holds_exactly_what_is_documented(tmp_path):
    folder = train(tmp_path)
    files = {CONFIG_FILE, HISTORY, MANIFEST, *MODELS}
    files |= {f"checkpoint/{number:012d}.{kind}" for number in (3, 4) for kind in ("json", "npz")}
    files.add(f"checkpoint/{2:012d}.jsonl")  # since the first validation
    assert set(contents(folder)) == files
    assert (folder / HISTORY).read_text().count("\n") == 2


def test_a_new_folder_has_its_configuration_and_history_from_the_beginning(tmp_path):
    with create_folder(tmp_path, "a", TASK) as folder:
        assert contents(folder.path).keys() <= {".lock"}
        folder.begin(OTHER)
        assert (folder.path / CONFIG_FILE).read_text() == OTHER.to_toml()
        assert (folder.path / HISTORY).read_text() == ""
        folder.add_record(record(1))
        assert (folder.path / HISTORY).read_text().count("\n") == 1


def test_going_on_rewrites_the_history_of_what_is_done_again(tmp_path):
    with create_folder(tmp_path, "a", TASK) as folder:
        folder.begin(CONFIG)
        folder.save_checkpoint(a_checkpoint(40, 1))
        folder.add_record(record(1))
        folder.add_record(record(2))  # and then the process is killed, before a checkpoint
    with reopen_folder(tmp_path, "a") as folder:
        folder.go_on(a_checkpoint(40, 1, config=OTHER))
    assert (tmp_path / "a" / HISTORY).read_text().count("\n") == 1
    assert (tmp_path / "a" / CONFIG_FILE).read_text() == OTHER.to_toml()


@pytest.mark.parametrize("steps", [None, 0])
@pytest.mark.parametrize("earlier", ["complete", "stopped", "stopped over complete"])
def test_a_forced_training_without_a_step_leaves_everything_as_it_was(tmp_path, earlier, steps):
    folder = stop(tmp_path, 7) if earlier == "stopped" else train(tmp_path)
    if earlier == "stopped over complete":
        stop(tmp_path, 9, value=2.0, force=True)
    (folder / "tensorboard").mkdir()
    (folder / "tensorboard" / "events.out.tfevents.1").write_text("event")
    before, listed = contents(folder), list_runs(tmp_path)

    def force():
        with create_folder(tmp_path, "a", TASK, force=True) as forced:
            forced.begin(OTHER)
            if steps is not None:
                assert not forced.save_checkpoint(a_checkpoint(steps, value=1.0, config=OTHER))
            assert forced.holds_earlier
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        force()
    assert contents(folder) == before
    assert list_runs(tmp_path) == listed


def test_a_forced_training_leaves_the_complete_run_until_it_is_complete_itself(tmp_path):
    folder = train(tmp_path)
    (folder / "tensorboard" / "train").mkdir(parents=True)
    (folder / "tensorboard" / "train" / "events.out.tfevents.1").write_text("event")
    (folder / "tensorboard" / "notes.txt").write_text("mine")
    before = top_level(folder)
    with create_folder(tmp_path, "a", TASK, force=True) as forced:
        forced.begin(OTHER)
        assert forced.save_checkpoint(a_checkpoint(3, value=1.0, config=OTHER))
        assert not forced.holds_earlier
        forced.add_record(record(1))
        assert top_level(folder) == before | {".lock": b""}
        assert len(list((folder / "checkpoint").iterdir())) == 2
        assert [path.name for path in (folder / "tensorboard").rglob("*.*")] == ["notes.txt"]
        verify(tmp_path)
        assert load_checkpoint(folder)[0].config == OTHER
        complete(forced, a_checkpoint(80, 2, 1.0, OTHER))
        assert forced.is_finished
    assert verify(tmp_path).config == OTHER
    assert b"1.0" in (folder / MODELS[0]).read_bytes()
    assert not has_unfinished(folder)


def test_a_training_forced_over_a_stopped_one_writes_its_own_from_its_first_checkpoint(tmp_path):
    folder = stop(tmp_path, 7)
    with create_folder(tmp_path, "a", TASK, force=True) as forced:
        forced.begin(OTHER)
        forced.add_record(record(1))
        forced.save_checkpoint(a_checkpoint(3, 1, 1.0, OTHER))
        assert (folder / CONFIG_FILE).read_text() == OTHER.to_toml()
        forced.add_record(record(2))
        assert (folder / HISTORY).read_text().count("\n") == 2
        kinds = sorted(path.suffix for path in (folder / "checkpoint").iterdir())
        assert kinds == [".json", ".jsonl", ".npz"]


def test_a_resumed_training_leaves_the_complete_run_until_it_is_complete_again(tmp_path):
    folder = train(tmp_path)
    before = contents(folder)
    with reopen_folder(tmp_path, "a") as resumed:
        resumed.go_on(a_checkpoint(80, 2, config=OTHER))
        assert not resumed.save_checkpoint(a_checkpoint(80, 2, config=OTHER))  # nothing new
    assert contents(folder) == before
    with reopen_folder(tmp_path, "a") as resumed:
        resumed.go_on(a_checkpoint(80, 2, config=OTHER))
        resumed.save_checkpoint(a_checkpoint(90, 2, config=OTHER))
        resumed.add_record(record(3))
    assert top_level(folder) == {key: before[key] for key in before if "/" not in key}
    verify(tmp_path)
    assert load_checkpoint(folder)[0].state.steps_done == 90
    with reopen_folder(tmp_path, "a") as resumed:
        resumed.go_on(a_checkpoint(90, 2, config=OTHER))
        complete(resumed, a_checkpoint(120, 3, config=OTHER))
    assert verify(tmp_path).config == OTHER
    assert (folder / HISTORY).read_text().count("\n") == 3


def test_the_newest_checkpoint_is_the_last_one_written_whatever_its_step(tmp_path):
    folder = train(tmp_path)
    stop(tmp_path, 3, value=1.0, force=True)
    assert load_checkpoint(folder)[0].state.steps_done == 3


WRITES = 40


@pytest.mark.parametrize("force", [False, True])
def test_a_kill_at_any_write_leaves_a_run_or_a_checkpoint_that_completes_it(
    tmp_path, monkeypatch, force
):
    """Every rename and removal is one at which the process may be gone."""
    from pathlib import Path

    rename, unlink = Path.replace, Path.unlink
    left = [0]

    def counted(method):
        def call(self, *args, **kwargs):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return method(self, *args, **kwargs)

        return call

    train(tmp_path / "before")
    seen = set()
    for writes in range(WRITES):
        runs_dir = tmp_path / str(writes)
        folder = shutil.copytree(tmp_path / "before" / "a", runs_dir / "a")
        run = RunFolder(folder)
        new = a_checkpoint(80 if force else 120, 3, 1.0, OTHER)
        if force:
            run.begin(OTHER)
        else:
            run.go_on(load_checkpoint(folder)[0])
        left[0] = writes
        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", counted(rename))
            patched.setattr(Path, "unlink", counted(unlink))
            try:
                run.save_checkpoint(a_checkpoint(5 if force else 90, 1, 1.0, OTHER))
                complete(run, new)
                done = True
            except Killed:
                done = False
        if (folder / MANIFEST).exists():
            seen.add(f"{verify(runs_dir).config.training.seed} {has_unfinished(folder)}")
        else:
            again, notes = load_checkpoint(folder)
            assert notes == []
            assert (again.state.steps_done, again.config) == (new.state.steps_done, OTHER)
            seen.add("in the window")
            with reopen_folder(runs_dir, None) as run:
                run.go_on(again)
                complete(run, again)
            assert verify(runs_dir).config == OTHER
            assert not list(folder.glob(".*"))
        if done:
            break
    assert done
    assert seen >= {"0 False", "0 True", "in the window", "7 False"}


def test_a_model_that_cannot_be_saved_leaves_the_earlier_run(tmp_path):
    folder = train(tmp_path)
    before = top_level(folder)

    def full(path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(path))

    last = a_checkpoint(80, 2, 1.0, OTHER)
    with create_folder(tmp_path, "a", TASK, force=True) as forced:
        forced.begin(OTHER)
        with pytest.raises(StorageError, match=r"train\.keras: No space left"):
            forced.complete(last, RESULTS, {MODELS[0]: full}, "now")
        assert top_level(folder) == before | {".lock": b""}
    verify(tmp_path)
    assert load_checkpoint(folder)[0].config == OTHER


TOKEN = "s2s-00112233aabbccdd"


def test_what_a_kill_leaves_half_written_is_removed_by_the_next_training(tmp_path):
    folder = stop(tmp_path, 7)
    newest = max(path.stem for path in (folder / "checkpoint").glob("*.json"))
    foreign = {".train.mine.keras", ".env", "notes.txt", "checkpoint/7.npz", "checkpoint/a.json",
               ".train.77.keras", f".notes.{TOKEN}.txt", f"checkpoint/.7.{TOKEN}.npz",
               f"checkpoint/.train.{TOKEN}.keras"}  # fmt: skip
    half = {
        f".train.{TOKEN}.keras",
        f".config.{TOKEN}.toml",
        f".run.{TOKEN}.json",
        f".history.{TOKEN}.jsonl",
        f"checkpoint/.{newest}.{TOKEN}.json",
        f"checkpoint/.{newest}.{TOKEN}.npz",
        f"checkpoint/{int(newest) + 1:012d}.npz",
    }
    before = set(contents(folder))
    for name in foreign | half:
        (folder / name).write_text("half")
    assert load_checkpoint(folder)[0].state.steps_done == 7
    with reopen_folder(tmp_path, "a") as resumed:
        assert set(contents(folder)) - {".lock"} == before | foreign
        resumed.go_on(load_checkpoint(folder)[0])
        resumed.save_checkpoint(a_checkpoint(8))
    assert load_checkpoint(folder)[0].state.steps_done == 8


def test_clearing_removes_nothing_of_others(tmp_path):
    folder = train(tmp_path)
    for name in ("notes.txt", "checkpoint/notes.txt", "plot.png"):
        (folder / name).write_text("mine")
    RunFolder(folder).clear()
    assert set(contents(folder)) == {"notes.txt", "checkpoint/notes.txt", "plot.png"}


def test_a_damaged_manifest_is_no_finished_run(tmp_path):
    folder = train(tmp_path)
    (folder / MANIFEST).write_text("{")
    assert not RunFolder(folder).is_finished
    with pytest.raises(ModelError):
        has_unfinished(folder)
