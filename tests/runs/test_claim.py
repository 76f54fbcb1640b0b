"""Which name a training takes, and what a failed training leaves there."""

import shutil
from contextlib import ExitStack

import pytest
from small import CONFIG, NOON, TASK, a_checkpoint, complete, contents, stop, stop_further, train

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.errors import ConfigurationError, ExistsError, ModelError, StorageError
from seq2seq_cli.runs import claim
from seq2seq_cli.runs.checkpoint import load_checkpoint, mark_diverged
from seq2seq_cli.runs.claim import check_free, create_folder, reopen_folder
from seq2seq_cli.runs.folder import hold_run
from seq2seq_cli.runs.listing import list_runs, open_run
from seq2seq_cli.runs.manifest import CONFIG_FILE, HISTORY
from seq2seq_cli.runs.names import check_name, default_name, training_path
from seq2seq_cli.runs.resumption import find_resumable, find_seeds


@pytest.fixture
def runs_dir(tmp_path):
    return tmp_path / "some" / "runs"


@pytest.mark.parametrize(
    ("task", "name"),
    [
        (TaskConfig(), "reverse-prefix-6-3-51"),
        (TaskConfig(n_in=9, n_out=2, cardinality=11), "reverse-prefix-9-2-11"),
        (TaskConfig(name="sort", n_in=9, n_out=2, cardinality=11), "sort-9-11"),
        (TaskConfig(name="x/my tasks.py:double", n_in="1-4"), "double-1-4-3-51"),
        (TaskConfig(data="a/.pairs.csv", n_in="1-4"), "pairs-1-4-3-51"),
    ],
)
def test_the_default_name_describes_the_task(task, name):
    assert default_name(task) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "-x", "a/b", "/tmp", "a b", "a\n", "*", "a.training", "a.replaced"],
)
def test_only_plain_names_are_accepted(name):
    for plain in ("a", "Run_1", "v1.2+3", "2026-01-02", "größe"):
        assert check_name(plain) == plain
    with pytest.raises(ConfigurationError, match=r"run name"):
        check_name(name)


@pytest.mark.parametrize("name", ["../a", ".", "a/..", "a/b/c", "/a", "a/"])
def test_no_folder_is_created_or_opened_outside_the_runs_folder(runs_dir, name):
    with pytest.raises(ConfigurationError), create_folder(runs_dir, name, TASK):
        pass
    with pytest.raises(ConfigurationError):
        open_run(runs_dir, name)
    with pytest.raises(ConfigurationError):
        find_resumable(runs_dir, name)
    assert not runs_dir.exists()


def test_the_run_of_a_sweep_is_opened_by_both_names_and_not_created(runs_dir):
    path = train(runs_dir / "sweep", "cell-seed-0")
    assert open_run(runs_dir, "sweep/cell-seed-0").path == path
    assert find_resumable(runs_dir, "sweep/cell-seed-0") == path
    with pytest.raises(ConfigurationError), create_folder(runs_dir, "sweep/b", TASK):
        pass


def test_folders_without_a_name_are_numbered(runs_dir):
    train(runs_dir, default_name(TASK))
    with ExitStack() as held:
        folders = [held.enter_context(create_folder(runs_dir, None, TASK)) for _ in range(2)]
        base = default_name(TASK)
        assert [folder.run.name for folder in folders] == [f"{base}-2", f"{base}-3"]


@pytest.mark.parametrize("left", [[], [".lock"], [".lock", CONFIG_FILE]])
@pytest.mark.parametrize(("name", "force"), [("a", False), ("a", True), (None, False)])
def test_the_folder_of_a_process_killed_before_its_first_checkpoint_is_reused(
    runs_dir, left, name, force
):
    run = runs_dir / (name or default_name(TASK))
    training_path(run).mkdir(parents=True)
    for file in left:
        (training_path(run) / file).touch()
    check_free(run, force)
    with create_folder(runs_dir, name, TASK, force) as folder:
        assert folder.run == run
        folder.begin(CONFIG)
        complete(folder, a_checkpoint(80, 2))
    assert open_run(runs_dir, run.name)
    assert [path.name for path in runs_dir.iterdir()] == [run.name]


def test_a_run_that_another_process_trained_meanwhile_is_refused(runs_dir, monkeypatch):
    """A process that waited for the lock may find another one's run when it gets it."""
    trained = train(runs_dir / "elsewhere")

    def hold_late(run, hold=claim.hold_run):
        trained.rename(run)
        return hold(run)

    monkeypatch.setattr(claim, "hold_run", hold_late)
    with pytest.raises(ExistsError, match="a exists"), create_folder(runs_dir, "a", TASK):
        pass
    assert open_run(runs_dir, "a").config == CONFIG
    assert not training_path(runs_dir / "a").exists()


def test_named_folder_that_exists_is_refused_and_untouched(runs_dir):
    before = contents(train(runs_dir))
    with pytest.raises(ExistsError, match=r"a exists$"), create_folder(runs_dir, "a", TASK):
        pass
    with pytest.raises(ExistsError, match=r"a exists$"):
        check_free(runs_dir / "a", force=False)
    assert contents(runs_dir / "a") == before


def test_a_stopped_training_is_not_replaced_without_force(runs_dir):
    stop(runs_dir, 7)
    before = contents(runs_dir)
    message = r"a has a stopped training$"
    with pytest.raises(ExistsError, match=message), create_folder(runs_dir, "a", TASK):
        pass
    with pytest.raises(ExistsError, match=message):
        check_free(runs_dir / "a", force=False)
    assert contents(runs_dir) == before
    stop(runs_dir, 9, default_name(TASK))
    with create_folder(runs_dir, None, TASK) as folder:
        assert folder.run.name == f"{default_name(TASK)}-2"


def test_force_takes_the_default_run_or_a_new_folder(runs_dir):
    folder = train(runs_dir, default_name(TASK))
    with create_folder(runs_dir, None, TASK, force=True) as again:
        assert again.run == folder
    with create_folder(runs_dir, "a", TASK, force=True) as created:
        assert created.path.is_dir()


@pytest.mark.parametrize("name", ["a", None])
def test_force_refuses_what_is_not_a_run(runs_dir, name):
    folder = runs_dir / (name or default_name(TASK))
    folder.mkdir(parents=True)
    (folder / HISTORY).write_text("foreign")
    (runs_dir / "file").write_text("foreign")
    before = contents(runs_dir)
    for taken in (name, "file"):
        with (
            pytest.raises(ExistsError, match=r"is not a run"),
            create_folder(runs_dir, taken, TASK, force=True),
        ):
            pass
    assert contents(runs_dir) == before


def test_force_is_advised_only_where_it_is_accepted(runs_dir):
    begun = training_path(runs_dir / "begun")
    begun.mkdir(parents=True)
    (begun / CONFIG_FILE).write_text(CONFIG.to_toml())
    (runs_dir / "notes").mkdir()
    (runs_dir / "notes" / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="begun is incomplete: train it anew with `s2s train --co"):
        open_run(runs_dir, "begun")
    with pytest.raises(ModelError, match="notes is not a run"):
        open_run(runs_dir, "notes")
    check_free(runs_dir / "begun", force=True)
    with pytest.raises(ExistsError, match="is not a run"):
        check_free(runs_dir / "notes", force=True)


@pytest.mark.parametrize("name", ["broken", "loop"])
@pytest.mark.parametrize("force", [False, True])
def test_a_broken_link_is_not_a_free_name(runs_dir, name, force):
    runs_dir.mkdir(parents=True)
    (runs_dir / "broken").symlink_to("nowhere")
    (runs_dir / "loop").symlink_to("loop")
    with pytest.raises(ExistsError, match=f"{name} exists"):
        check_free(runs_dir / name, force)
    with pytest.raises(ExistsError), create_folder(runs_dir, name, TASK, force):
        pass
    with pytest.raises(ModelError, match="there is no run"):
        open_run(runs_dir, name)
    assert list_runs(runs_dir) == []


@pytest.mark.parametrize("path", ["file", "file/runs", "broken", "loop", "loop/runs"])
def test_a_path_that_cannot_be_a_folder_of_runs_is_named(tmp_path, path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    runs_dir = tmp_path / path
    for read in (list_runs, open_run):
        with pytest.raises(StorageError, match=f"cannot read {runs_dir}: "):
            read(runs_dir)
    for find in (find_resumable, find_seeds):
        with pytest.raises(StorageError, match=f"cannot read {runs_dir}: "):
            find(runs_dir, None)
    for name in ("a", None):
        with (
            pytest.raises(StorageError, match=f"cannot write {runs_dir}"),
            create_folder(runs_dir, name, TASK),
        ):
            pass
    assert (tmp_path / "file").read_text() == "mine"


def test_a_missing_folder_has_no_runs(runs_dir):
    assert list_runs(runs_dir) == []
    check_free(runs_dir / "a", force=False)
    assert not runs_dir.exists()


@pytest.mark.parametrize("name", ["a" * 300, "ß" * 150])
def test_a_name_too_long_for_file_systems_is_refused(name):
    with pytest.raises(ConfigurationError, match=r"run name .*\.\.\.: has 300 bytes"):
        check_name(name)
    assert check_name("ß" * 123)


@pytest.mark.parametrize("stem", ["pairs" * 50, "ß" * 120])
def test_the_default_name_fits_for_a_data_file_of_any_name(stem):
    name = default_name(TaskConfig(data=f"a/{stem}.csv", n_in="1-4", cardinality=10**6))
    assert check_name(f"{name}-seed-{2**63}")
    assert stem[:60] in name


def fail(runs_dir, error, foreign=False):
    with create_folder(runs_dir, "a", TASK) as folder:
        if foreign:
            (folder.path / "notes.txt").write_text("mine")
        folder.tensorboard.mkdir()
        (folder.tensorboard / "events.out.tfevents.1").write_text("event")
        raise error


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt("stop")])
def test_failed_training_leaves_no_folder(runs_dir, error):
    with pytest.raises(type(error), match=str(error)):
        fail(runs_dir, error)
    assert list(runs_dir.iterdir()) == []


def test_a_failed_training_leaves_foreign_files(runs_dir):
    with pytest.raises(RuntimeError, match="broken"):
        fail(runs_dir, RuntimeError("broken"), foreign=True)
    assert contents(runs_dir / "a.training") == {"notes.txt": b"mine"}


def test_a_stopped_training_is_found_without_its_name_and_a_complete_one_is_not(runs_dir):
    train(runs_dir, "complete")
    with pytest.raises(ModelError, match="no stopped training"):
        find_resumable(runs_dir, None)
    stopped = stop(runs_dir, 7, "stopped")
    stop(runs_dir, 9, "older", written_at="2026-01-02T11:59:59Z")
    assert find_resumable(runs_dir, None) == stopped
    with reopen_folder(runs_dir, None) as folder:
        assert folder.run == stopped
    assert find_resumable(runs_dir, "complete") == runs_dir / "complete"
    with pytest.raises(ModelError, match="there is no run"):
        find_resumable(runs_dir, "none")


@pytest.mark.parametrize("force", [True, False])
def test_a_stopped_training_of_a_complete_run_is_found_without_its_name(runs_dir, force):
    run = train(runs_dir)
    if force:
        stop(runs_dir, 7, value=1.0, force=True)
    else:
        stop_further(runs_dir, 95)
    assert find_resumable(runs_dir, None) == run


def test_a_running_training_is_not_resumed_unless_it_is_named(runs_dir):
    running = stop(runs_dir, 9, "running-seed-0", written_at="2026-01-02T12:00:09Z")
    with hold_run(running):
        for find in (find_resumable, find_seeds):
            with pytest.raises(ModelError, match="there (is no stopped|are no runs of several)"):
                find(runs_dir, None)
        stopped = stop(runs_dir, 7, "stopped-seed-1")
        assert find_resumable(runs_dir, None) == stopped
        assert find_seeds(runs_dir, None) == ("stopped", [1])
        assert find_resumable(runs_dir, running.name) == running
    assert find_resumable(runs_dir, None) == running


def test_a_diverged_training_is_not_resumed_unless_it_is_named(runs_dir):
    run = stop(runs_dir, 7)
    mark_diverged(run)
    with pytest.raises(ModelError, match="no stopped training"):
        find_resumable(runs_dir, None)
    assert find_resumable(runs_dir, "a") == run
    assert [item.problem for item in list_runs(runs_dir)] == ["diverged"]
    with pytest.raises(ModelError, match="diverged: train it anew at a lower learning rate"):
        open_run(runs_dir, "a")
    with pytest.raises(ExistsError, match="diverged") as taken:
        check_free(run, force=False)
    assert taken.value.remedy == "replace"
    assert load_checkpoint(run)[0].state.steps_done == 7
    check_free(run, force=True)


def test_a_copied_training_is_resumed_by_the_time_of_its_checkpoint(runs_dir):
    stop(runs_dir, 7, "older")
    newer = stop(runs_dir, 7, "newer", written_at="2026-01-02T12:00:09Z")
    copy = training_path(runs_dir / "copy")
    shutil.copytree(training_path(runs_dir / "older"), copy)  # with the time of now
    assert find_resumable(runs_dir, None) == newer


def test_a_damaged_run_is_not_resumed_unless_it_is_named(runs_dir):
    run = train(runs_dir)
    (run / "run.json").write_text("{")
    with pytest.raises(ModelError, match="no stopped training"):
        find_resumable(runs_dir, None)
    assert find_resumable(runs_dir, "a") == run
    train(runs_dir, force=True)
    assert open_run(runs_dir, "a")


def test_the_runs_of_seeds_are_found_by_what_was_saved_last(runs_dir):
    for name, written_at in (("b-seed-3", NOON), ("a-seed-0", "2026-01-02T12:00:01Z")):
        stop(runs_dir, 7, name, written_at=written_at)
    train(runs_dir, "b-seed-1")
    assert find_seeds(runs_dir, None) == ("a", [0])
    assert find_seeds(runs_dir, "b") == ("b", [1, 3])
    with pytest.raises(ModelError, match="there is no run .*none-seed-"):
        find_seeds(runs_dir, "none")
