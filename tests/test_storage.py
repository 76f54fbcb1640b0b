import errno
import hashlib
import os

import pytest

from seq2seq_cli.errors import StorageError
from seq2seq_cli.storage import (
    atomic_path,
    atomic_paths,
    flush_folder,
    leftovers,
    read_text,
    sha256,
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
def test_a_system_that_cannot_flush_a_folder_fails_no_finished_write(
    tmp_path, monkeypatch, refused
):
    def refuse(*arguments):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, refused, refuse)
    flush_folder(tmp_path)


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


def test_what_a_killed_process_has_left_beside_a_file_is_found(tmp_path):
    for name in (
        ".a.77.txt",
        ".a.00112233aabbccdd.txt",
        ".a.mine.txt",
        ".a.77.json",
        ".b.77.txt",
        "a.77.txt",
    ):
        (tmp_path / name).touch()
    assert {path.name for path in leftovers(tmp_path / "a.txt")} == {
        ".a.77.txt",
        ".a.00112233aabbccdd.txt",
    }


def test_two_processes_of_one_number_write_to_different_files(tmp_path, monkeypatch):
    """Such as those of two containers with one volume."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    path = tmp_path / "a.txt"
    with atomic_path(path) as first, atomic_path(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
        assert set(leftovers(path)) == {first, second}
    assert leftovers(path) == []
