import errno
import os
import tempfile
from pathlib import Path

import pytest

from seq2seq_cli.errors import ConfigurationError, ExistsError, StorageError
from seq2seq_cli.storage import (
    atomic_path,
    check_replaceable,
    flush_folder,
    read_file,
    read_text,
    remove_temporary,
    temporary_folder,
    write_text,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_and_fail(path, error):
    with atomic_path(path) as temporary:
        temporary.write_text("half")
        raise error


def test_text_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "note.txt"
    write_text(path, "réseau → 序列\n")
    assert path.read_bytes() == "réseau → 序列\n".encode()
    assert read_text(path) == "réseau → 序列\n"
    write_text(path, "shorter")
    assert read_text(path) == "shorter"
    assert names(tmp_path) == ["note.txt"]


def test_text_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "note.txt"
    path.write_bytes(b"caf\xe9")
    with pytest.raises(StorageError, match=f"cannot read {path}: it is not UTF-8"):
        read_text(path)
    with pytest.raises(StorageError, match=f"cannot read {path}: it is longer than 3 bytes"):
        read_text(path, 3)
    with pytest.raises(StorageError, match=r"absent\.toml: No such file"):
        read_text(tmp_path / "absent.toml")
    with pytest.raises(StorageError, match="directory"):
        read_text(tmp_path)


def test_file_appears_only_when_the_block_has_ended(tmp_path):
    path = tmp_path / "model.keras"
    path.write_text("old")
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert (temporary.suffix, temporary.parent) == (".keras", tmp_path)
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt("stop")])
def test_failed_block_leaves_the_old_file_and_no_temporary_one(tmp_path, error):
    path = tmp_path / "note.txt"
    with pytest.raises(type(error), match=str(error)):
        write_and_fail(path, error)
    assert names(tmp_path) == []
    path.write_text("old")
    with pytest.raises(type(error), match=str(error)):
        write_and_fail(path, error)
    with pytest.raises(type(error), match=str(error)), atomic_path(path):
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["note.txt"]


def test_failed_writing_names_the_final_file(tmp_path):
    path = tmp_path / "absent" / "note.txt"
    with pytest.raises(StorageError) as caught:
        write_text(path, "text")
    assert f"cannot write {path}: No such file" in str(caught.value)


@pytest.mark.parametrize("refused", ["open", "fsync"])
@pytest.mark.parametrize("code", [errno.EACCES, errno.EINVAL, errno.ENOTSUP, errno.EPERM])
def test_writing_succeeds_on_a_system_that_cannot_flush_folders(
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


def test_two_processes_write_different_temporary_files(tmp_path):
    path = tmp_path / "a.txt"
    with atomic_path(path) as first, atomic_path(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # whose block ended last
    assert names(tmp_path) == ["a.txt"]


def test_only_the_temporary_files_of_killed_processes_are_removed(tmp_path):
    kept = [".a.mine.txt", ".a.00112233aabbccdd.txt", ".a.s2s-0011.txt", ".files.s2s-mine",
            "a.s2s-00112233aabbccdd.txt"]  # fmt: skip
    for name in [*kept, ".a.s2s-00112233aabbccdd.txt", ".b.s2s-00112233aabbccdd"]:
        (tmp_path / name).touch()
    (tmp_path / ".files.s2s-00112233aabbccdd").mkdir()
    (tmp_path / ".files.s2s-00112233aabbccdd" / "half").touch()
    (tmp_path / ".c.s2s-00112233aabbccdf.txt").symlink_to(tmp_path / kept[0])
    remove_temporary(tmp_path)
    assert names(tmp_path) == sorted(kept)
    remove_temporary(tmp_path / "absent")


def test_only_the_first_bytes_of_a_regular_file_are_read(tmp_path):
    (tmp_path / "a").write_bytes(b"abcdef")
    assert read_file(tmp_path / "a", 4) == b"abcd"
    assert read_file(tmp_path / "a", 10**18) == b"abcdef"
    (tmp_path / "link").symlink_to("a")
    assert read_file(tmp_path / "link", 4) == b"abcd"
    os.mkfifo(tmp_path / "pipe")
    for other in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError, match="regular file|directory"):
            read_file(other, 4)
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "absent", 4)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_reported_with_its_free_space(tmp_path, code):
    path = tmp_path / "note.txt"
    with pytest.raises(StorageError, match=rf"cannot write {path}: .*, with [\d,]+ bytes free"):
        write_and_fail(path, OSError(code, os.strerror(code)))


def test_a_temporary_folder_is_next_to_the_file_and_removed(tmp_path):
    before = tempfile.gettempdir()

    def write(error):
        with temporary_folder(tmp_path):
            tempfile.mkdtemp()
            assert Path(tempfile.gettempdir()).parent == tmp_path
            assert len(list(tmp_path.glob(".files*"))) == 1
            if error:
                raise error

    write(None)
    with pytest.raises(RuntimeError):
        write(RuntimeError())
    assert tempfile.gettempdir() == before
    assert names(tmp_path) == []


def test_the_file_that_failed_is_named(tmp_path, monkeypatch):
    """The one that could not be flushed, or one elsewhere if it was that."""
    path, fsync = tmp_path / "a.txt", os.fsync

    def full(file):
        if os.fstat(file).st_size == 3:
            raise OSError(errno.EIO, "Input/output error")
        fsync(file)

    def write(error=None):
        with atomic_path(path) as temporary:
            temporary.write_text("new")
            if error:
                raise error

    with pytest.raises(StorageError, match=f"cannot write {tmp_path}/elsewhere: Permission"):
        write(PermissionError(errno.EACCES, "Permission denied", f"{tmp_path}/elsewhere"))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=f"cannot write {path}: Input/output error"):
        write()
    assert names(tmp_path) == []


def test_only_files_that_are_not_of_a_run_or_a_sweep_are_replaced(tmp_path):
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
    with pytest.raises(ExistsError, match=r"mine.csv exists$"):
        check_replaceable(tmp_path / "mine.csv", is_replaced=False)
    check_replaceable(tmp_path / "mine.csv", is_replaced=True)
    (tmp_path / "sweep" / "mine.csv").touch()
    check_replaceable(tmp_path / "sweep" / "mine.csv", is_replaced=True)
    check_replaceable(tmp_path / "sweep" / "new.csv", is_replaced=False)


@pytest.mark.parametrize(
    "line",
    [
        "sweep --grid task.n_in=6 --output {}.npz --force",
        "report --output {}.svg --force",
        "plot loss --output {}.svg --force",
        "generate --output {}.npz --force",
        "encode 1 --output {}.npz --force",
    ],
)
@pytest.mark.usefixtures("random_runs")
def test_no_command_replaces_anything_but_a_file(tmp_path, s2s_here, line):
    for suffix in ("svg", "npz"):
        os.mkfifo(tmp_path / f"pipe.{suffix}")
        (tmp_path / f"folder.{suffix}").mkdir()
    before = sorted((path.name, path.lstat().st_mode) for path in tmp_path.iterdir())
    for name in ("pipe", "folder"):
        refused = s2s_here(*line.format(name).split(), check=False)
        assert refused.returncode in (2, 3, 5)
        assert refused.stderr.startswith("s2s: ")
    assert sorted((path.name, path.lstat().st_mode) for path in tmp_path.iterdir()) == before
