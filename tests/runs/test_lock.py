"""Only one training at a time holds a folder, and readers do not disturb it."""

import errno
import subprocess
import sys
import threading

import pytest
from small import CONFIG, TASK, a_checkpoint, contents, stop, train

from seq2seq_cli.errors import ExistsError, StorageError
from seq2seq_cli.runs import lock
from seq2seq_cli.runs.claim import check_free, create_folder, reopen_folder
from seq2seq_cli.runs.listing import list_runs, open_run
from seq2seq_cli.runs.lock import hold_lock, is_locked
from seq2seq_cli.runs.names import training_path

HOLD_AND_WAIT = """
import sys
from pathlib import Path
from seq2seq_cli.config import RunConfig
from seq2seq_cli.runs.claim import create_folder

with create_folder(Path(sys.argv[1]), "a", RunConfig().task) as folder:
    folder.begin(RunConfig())
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(lock, "WAIT_SECONDS", 0.02)


def test_a_folder_in_training_is_refused_and_untouched(tmp_path, impatient):
    with create_folder(tmp_path, "a", TASK) as folder:
        folder.begin(CONFIG)
        folder.save_checkpoint(a_checkpoint(0))
        before = contents(folder.path)
        with pytest.raises(ExistsError, match="in use"), create_folder(tmp_path, "a", TASK, True):
            pass
        with pytest.raises(ExistsError, match="in use"), reopen_folder(tmp_path, "a"):
            pass
        with pytest.raises(ExistsError, match="in use"):
            check_free(tmp_path / "a", force=True)
        assert is_locked(folder.path)
        assert contents(folder.path) == before


@pytest.mark.parametrize("error", [None, RuntimeError("broken"), KeyboardInterrupt("stop")])
def test_the_lock_ends_with_the_block_and_leaves_no_file(tmp_path, error):
    def use():
        with hold_lock(tmp_path / "a"):
            assert (tmp_path / "a" / lock.LOCK).is_file()
            if error:
                raise error

    if error:
        with pytest.raises(type(error)):
            use()
    else:
        use()
    assert list(tmp_path.iterdir()) == []
    with hold_lock(tmp_path / "a"):
        pass


def test_the_lock_of_a_killed_process_ends_with_it(tmp_path, impatient):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_AND_WAIT, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "held\n"
            with (
                pytest.raises(ExistsError, match=r"in use: another process"),
                create_folder(tmp_path, "a", TASK, force=True),
            ):
                pass
            assert [listed.problem for listed in list_runs(tmp_path)] == ["in training"]
        finally:
            process.kill()
    assert (tmp_path / "a.training" / lock.LOCK).exists()
    assert [listed.problem for listed in list_runs(tmp_path)] == ["incomplete"]
    assert train(tmp_path) == tmp_path / "a"
    assert open_run(tmp_path, "a")
    assert not (tmp_path / "a" / lock.LOCK).exists()


def test_a_training_waits_for_a_process_that_only_looks(tmp_path):
    looking = hold_lock(tmp_path / "a")
    looking.__enter__()
    timer = threading.Timer(0.1, lambda: looking.__exit__(None, None, None))
    timer.start()
    with hold_lock(tmp_path / "a"):
        assert is_locked(tmp_path / "a")  # the file that was waited for is removed: it is a new one
    timer.join()


def test_the_lock_of_a_renamed_folder_does_not_hold_a_new_folder_of_that_name(tmp_path):
    with hold_lock(tmp_path / "a"):
        (tmp_path / "a").rename(tmp_path / "b")
        with hold_lock(tmp_path / "a"):
            pass
        with hold_lock(tmp_path / "a"):
            (tmp_path / "a" / "mine").touch()
    assert (tmp_path / "a" / "mine").exists()


def test_a_folder_whose_lock_cannot_be_read_is_not_in_training(tmp_path, monkeypatch):
    folder = training_path(stop(tmp_path, 7))
    (folder / lock.LOCK).touch()

    def refuse(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    assert not is_locked(folder)
    assert list_runs(tmp_path)[0].problem == "stopped"


def test_a_file_system_without_locks_is_named_and_nothing_is_left(tmp_path, monkeypatch):
    def flock(file, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock.fcntl, "flock", flock)
    with (
        pytest.raises(StorageError, match="has no locks: use another folder"),
        hold_lock(tmp_path / "a.training"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_processes_that_look_at_the_same_time_do_not_count_as_a_training(tmp_path):
    folder = training_path(stop(tmp_path, 7))
    path = folder / lock.LOCK
    path.touch()
    with path.open("rb") as asking:
        lock.fcntl.flock(asking, lock.fcntl.LOCK_SH)
        assert not is_locked(folder)
    with path.open("rb") as training:
        lock.fcntl.flock(training, lock.fcntl.LOCK_EX)
        assert is_locked(folder)
