import errno
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import run_s2s

from seq2seq_cli.errors import ConfigurationError, ExistsError, StorageError
from seq2seq_cli.storage import (
    atomic_path,
    atomic_paths,
    check_replaceable,
    flush_folder,
    read_text,
    remove_leftovers,
    remove_temporary_folders,
    sha256,
    temporary_folder,
    write_text,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_and_fail(path, error):
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        raise error


def test_write_text_and_read_text_round_trip_unicode(tmp_path):
    path = tmp_path / "note.txt"
    write_text(path, "réseau → 序列\n")
    assert path.read_bytes() == "réseau → 序列\n".encode()
    assert read_text(path) == "réseau → 序列\n"


def test_write_text_replaces_a_file_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "note.txt"
    write_text(path, "a much longer first content")
    write_text(path, "second")
    assert path.read_text() == "second"
    assert names(tmp_path) == ["note.txt"]


def test_file_appears_only_when_the_block_has_ended(tmp_path):
    path = tmp_path / "model.keras"
    path.write_text("old")
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_temporary_file_has_the_suffix_and_folder_of_the_final_one(tmp_path):
    path = tmp_path / "model.keras"
    with atomic_path(path) as temporary:
        temporary.write_text("content")
        assert temporary != path
        assert temporary.suffix == ".keras"
        assert temporary.parent == path.parent


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt("stop")])
def test_failed_block_leaves_the_old_file_and_no_temporary_one(tmp_path, error):
    path = tmp_path / "note.txt"
    path.write_text("old")
    with pytest.raises(type(error), match=str(error)):
        write_and_fail(path, error)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["note.txt"]


def test_failed_block_does_not_create_the_file(tmp_path):
    with pytest.raises(RuntimeError, match="broken"):
        write_and_fail(tmp_path / "note.txt", RuntimeError("broken"))
    assert names(tmp_path) == []


def test_failed_writing_names_the_final_file(tmp_path):
    path = tmp_path / "absent" / "note.txt"
    with pytest.raises(StorageError) as caught:
        write_text(path, "text")
    assert f"cannot write {path}: No such file" in str(caught.value)


def test_full_disk_is_told_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "note.txt"
    path.write_text("old")
    with pytest.raises(StorageError, match=r"note\.txt: No space left"):
        write_and_fail(path, OSError(errno.ENOSPC, "No space left on device"))
    assert path.read_text() == "old"
    assert names(tmp_path) == ["note.txt"]


def test_failed_block_without_a_temporary_file_keeps_its_own_error(tmp_path):
    with pytest.raises(RuntimeError, match="broken"), atomic_path(tmp_path / "note.txt"):
        raise RuntimeError("broken")


def test_read_text_names_the_file_that_is_missing(tmp_path):
    with pytest.raises(StorageError) as caught:
        read_text(tmp_path / "absent.toml")
    assert str(tmp_path / "absent.toml") in str(caught.value)
    assert "No such file" in str(caught.value)


def test_read_text_names_a_folder_read_as_a_file(tmp_path):
    with pytest.raises(StorageError, match="directory"):
        read_text(tmp_path)


def test_read_text_refuses_what_is_not_utf8(tmp_path):
    path = tmp_path / "note.txt"
    path.write_bytes(b"caf\xe9")
    with pytest.raises(StorageError, match=r"note\.txt.*UTF-8"):
        read_text(path)


@pytest.mark.parametrize("content", [b"", b"abc", bytes(range(256)) * 5000])
def test_sha256_is_that_of_the_whole_content(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert sha256(path) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("refused", ["open", "fsync"])
@pytest.mark.parametrize("code", [errno.EACCES, errno.EINVAL, errno.ENOTSUP, errno.EPERM])
def test_a_system_that_cannot_flush_a_folder_fails_no_finished_write(
    tmp_path, monkeypatch, refused, code
):
    call, seen = getattr(os, refused), []

    def refuse(file, *arguments):
        is_folder = os.path.isdir(file)  # noqa: PTH112 (a descriptor too)
        if is_folder:
            seen.append(file)
            raise OSError(code, os.strerror(code))
        return call(file, *arguments)

    monkeypatch.setattr(os, refused, refuse)
    flush_folder(tmp_path)
    write_text(tmp_path / "a.txt", "whole")
    assert (tmp_path / "a.txt").read_text() == "whole"
    assert len(seen) == 2


def test_several_files_appear_together_or_not_at_all(tmp_path):
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    with atomic_paths(paths) as temporary:
        for path in temporary:
            path.write_text("new")
        assert not any(path.exists() for path in paths)
    assert [path.read_text() for path in paths] == ["new", "new"]

    def fail():
        with atomic_paths(paths) as temporary:
            temporary[0].write_text("newer")
            raise OSError(errno.ENOSPC, "No space left on device", str(temporary[1]))

    with pytest.raises(StorageError, match=r"cannot write .*b\.txt: No space left"):
        fail()
    assert [path.read_text() for path in paths] == ["new", "new"]
    assert names(tmp_path) == ["a.txt", "b.txt"]


KILLED = """
import os, signal, sys
from pathlib import Path
from seq2seq_cli.storage import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def kill_while_writing(path):
    """Let a process write a file, kill it, and return what it has left."""
    before = set(path.parent.iterdir())
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    (left,) = set(path.parent.iterdir()) - before
    return left


def test_what_a_killed_process_has_left_is_removed_by_the_next_one_that_writes_there(tmp_path):
    users = [
        ".a.mine.txt",
        ".a.77.txt",
        ".a.00112233aabbccdd.txt",
        ".a.s2s-0011.txt",
        "a.s2s-00112233aabbccdd.txt",
        ".b.s2s-00112233aabbccdd.txt",  # of another file
        ".a.s2s-00112233aabbccdd.json",
    ]
    for name in users:
        (tmp_path / name).write_text("mine")
    (tmp_path / ".a.s2s-00112233aabbccde.txt").mkdir()
    (tmp_path / ".a.s2s-00112233aabbccdf.txt").symlink_to(tmp_path / users[0])
    before = names(tmp_path)
    left = kill_while_writing(tmp_path / "a.txt")
    assert left.read_text() == "half"
    write_text(tmp_path / "b.json", "another file")
    assert left.exists()
    write_text(tmp_path / "a.txt", "whole")
    assert not left.exists()
    assert names(tmp_path) == sorted([*before, "a.txt", "b.json"])


def test_the_next_one_leaves_nothing_where_it_fails_either(tmp_path):
    left = kill_while_writing(tmp_path / "a.txt")
    with pytest.raises(RuntimeError):
        write_and_fail(tmp_path / "a.txt", RuntimeError("broken"))
    assert not left.exists()
    assert names(tmp_path) == []


def test_what_a_living_process_writes_is_no_leftover(tmp_path, monkeypatch):
    """Two of one number too, such as those of two containers with one volume."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    path = tmp_path / "a.txt"
    with atomic_path(path) as first, atomic_path(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
        remove_leftovers(tmp_path, lambda name: True)
        code = "import sys; from pathlib import Path; from seq2seq_cli.storage import *; "
        code += "remove_leftovers(Path(sys.argv[1]), lambda name: True)"
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
        assert first.exists()
        assert second.exists()
    assert path.read_text() == "first"  # whose block ended last
    assert names(tmp_path) == ["a.txt"]


def test_where_files_cannot_be_locked_nothing_is_taken_for_a_leftover(tmp_path, monkeypatch):
    left = kill_while_writing(tmp_path / "a.txt")

    def refuse(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    with monkeypatch.context() as patched:
        patched.setattr("fcntl.flock", refuse)
        write_text(tmp_path / "a.txt", "whole")
    assert names(tmp_path) == sorted([left.name, "a.txt"])
    write_text(tmp_path / "a.txt", "whole")
    assert names(tmp_path) == ["a.txt"]


def test_one_who_removes_leftovers_between_creation_and_lock_does_no_harm(tmp_path, monkeypatch):
    import fcntl

    flock, interfered = fcntl.flock, []

    def late(file, operation):
        if not interfered:
            interfered.append(True)
            monkeypatch.setattr(fcntl, "flock", flock)
            remove_leftovers(tmp_path, lambda name: True)
            assert names(tmp_path) == []
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    write_text(tmp_path / "a.txt", "whole")
    assert interfered
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_told_with_the_room_on_it(tmp_path, code):
    path = tmp_path / "note.txt"
    with pytest.raises(StorageError, match=rf"cannot write {path}: .*, with [\d,]+ bytes free"):
        write_and_fail(path, OSError(code, os.strerror(code)))


def test_what_is_written_on_the_way_lies_beside_and_goes_with_it(tmp_path):
    before = tempfile.gettempdir()
    (tmp_path / ".files.s2s-00112233aabbccdd").mkdir()
    (tmp_path / ".files.s2s-00112233aabbccdd" / "half").write_text("of a killed process")
    (tmp_path / ".files.s2s-mine").mkdir()

    def write(error):
        with temporary_folder(tmp_path):
            tempfile.mkdtemp()
            assert Path(tempfile.gettempdir()).parent == tmp_path
            assert len(list(tmp_path.glob(".files*"))) == 3
            if error:
                raise error

    write(None)
    with pytest.raises(RuntimeError):
        write(RuntimeError())
    assert tempfile.gettempdir() == before
    remove_temporary_folders(tmp_path)
    assert names(tmp_path) == [".files.s2s-mine"]


def test_the_file_that_failed_is_named(tmp_path, monkeypatch):
    """Of several the one that could not be flushed, and one elsewhere if it was that."""
    paths, fsync = [tmp_path / "a.txt", tmp_path / "b.txt"], os.fsync

    def full(file):
        if os.fstat(file).st_size == 3:
            raise OSError(errno.EIO, "Input/output error")
        fsync(file)

    def write(error=None):
        with atomic_paths(paths) as temporary:
            temporary[1].write_text("new")
            if error:
                raise error

    with pytest.raises(StorageError, match=f"cannot write {tmp_path}/elsewhere: Permission"):
        write(PermissionError(errno.EACCES, "Permission denied", f"{tmp_path}/elsewhere"))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=f"cannot write {paths[1]}: Input/output error"):
        write()
    assert names(tmp_path) == []


def test_only_a_file_is_replaced_and_none_of_a_run_or_a_sweep(tmp_path):
    for name in ("mine.csv", "run/history.jsonl", "run/run.json", "sweep/sweep.toml",
                 "sweep/sweep.jsonl"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    os.mkfifo(tmp_path / "pipe")
    for name in ("run", "run/history.jsonl", "sweep/sweep.toml", "sweep/sweep.jsonl", "pipe"):
        with pytest.raises(ExistsError, match=f"{name}.*: give another name"):
            check_replaceable(tmp_path / name, is_replaced=True)
    for name in (".", ""):
        with pytest.raises(ConfigurationError, match="is not a file name"):
            check_replaceable(Path(name), is_replaced=True)
    with pytest.raises(StorageError, match="there is no folder"):
        check_replaceable(tmp_path / "none" / "a.csv", is_replaced=True)
    with pytest.raises(ExistsError, match=r"mine.csv exists: give another name, or --force"):
        check_replaceable(tmp_path / "mine.csv", is_replaced=False)
    check_replaceable(tmp_path / "mine.csv", is_replaced=True)
    (tmp_path / "sweep" / "mine.csv").touch()
    check_replaceable(tmp_path / "sweep" / "mine.csv", is_replaced=True)
    check_replaceable(tmp_path / "sweep" / "new.csv", is_replaced=False)


@pytest.mark.parametrize(
    "line",
    [
        "sweep --grid task.n_in=6 --output {} --force",
        "report --output {} --force",
        "plot loss --output {} --force",
        "generate --output {} --force",
        "encode 1 --output {} --force",
    ],
)
@pytest.mark.parametrize("name", ["pipe.svg", ".", "made.npz"])
def test_no_command_replaces_what_is_no_file(tmp_path, trained, line, name):
    for suffix in ("svg", "npz"):
        os.mkfifo(tmp_path / f"pipe.{suffix}")
    (tmp_path / "made.npz").mkdir()
    if "npz" in name or "generate" in line or "encode" in line:
        name = name.replace("svg", "npz")
    before = sorted((path.name, path.lstat().st_mode) for path in tmp_path.iterdir())
    runs = [] if line.startswith("generate") else ["--runs-dir", str(trained / "runs")]
    done = run_s2s(*line.format(name).split(), *runs, cwd=tmp_path, check=False)
    assert done.returncode in (2, 3, 5)
    assert done.stderr.startswith("s2s: ")
    assert done.stderr.count("\n") == 1
    assert sorted((path.name, path.lstat().st_mode) for path in tmp_path.iterdir()) == before
