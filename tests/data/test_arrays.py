"""Arrays in a user's files: what is not as documented is refused in one line."""

import io
import subprocess
import zipfile

import numpy as np
import pytest

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.data import files
from seq2seq_cli.data.files import read_embedding, read_pairs
from seq2seq_cli.errors import DataError


def npy(array, claimed=None):
    """Return an array's file; its header may claim another shape."""
    content = io.BytesIO()
    np.save(content, array)
    edited = content.getvalue()
    if claimed:
        before, after = str(array.shape), str(claimed)
        edited = edited.replace(before.encode() + b", }", after.encode() + b", }").replace(
            b" " * (len(after) - len(before)) + b"\n", b"\n"
        )
    return edited


def archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


ONE = np.ones((1, 1), np.int32)


@pytest.mark.parametrize(
    ("sources", "reason"),
    [
        (npy(ONE, (10**12, 10**3)), "should hold the arrays"),
        (npy(ONE, (1000, 1000)), "EOF: reading array data"),
        (npy(ONE, (-1, 2)), "should hold the arrays"),
        (npy(ONE)[:20], "should hold the arrays"),
        (b"", "should hold the arrays"),
        (b"not an array", "should hold the arrays"),
    ],
)
def test_an_array_that_is_not_as_documented_is_refused(tmp_path, sources, reason):
    path = archive(tmp_path / "pairs.npz", sources=sources, targets=npy(ONE))
    with pytest.raises(DataError, match=rf"pairs\.npz: .*{reason}") as refused:
        read_pairs(path)
    assert "\n" not in str(refused.value)


def test_arrays_larger_than_the_memory_are_not_unpacked(tmp_path, monkeypatch):
    rows = npy(np.ones((10**6, 4), np.int32))
    path = archive(tmp_path / "pairs.npz", sources=rows, targets=rows)
    assert path.stat().st_size < 200_000
    assert len(read_pairs(path).pairs) == 10**6  # the control
    monkeypatch.setattr(files, "available_memory", lambda: 5 * 10**7)
    monkeypatch.setattr(np.lib.format, "read_array", None)
    with pytest.raises(DataError, match=r"unpacked they have 32 MB, more than 6\.25 MB"):
        read_pairs(path)


def test_fortran_order_and_big_endian_are_read(tmp_path):
    array = np.array([[1, 2, 3], [4, 5, 6]])
    sources, targets = npy(np.asfortranarray(array)), npy(array[:, :1].astype(">i2"))
    path = archive(tmp_path / "pairs.npz", sources=sources, targets=targets)
    pairs = read_pairs(path).pairs
    assert pairs.sources.values.tolist() == [1, 2, 3, 4, 5, 6]
    assert pairs.targets.values.tolist() == [1, 4]


def test_a_device_is_not_read(tmp_path):
    path = tmp_path / "pairs.npz"
    path.symlink_to("/dev/zero")
    with pytest.raises(DataError, match=r"pairs\.npz is neither a file nor a pipe"):
        read_pairs(path)


def test_a_file_larger_than_the_memory_is_not_read(tmp_path):
    path = archive(tmp_path / "pairs.npz", sources=npy(ONE), targets=npy(ONE))
    with path.open("rb+") as file:
        file.truncate(2**40)
    with pytest.raises(DataError, match=r"pairs\.npz is too large: it has more than"):
        read_pairs(path)


def test_an_endless_pipe_of_pairs_is_refused_when_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr(files, "available_memory", lambda: 10**7)
    with subprocess.Popen(["yes", "1 2,3"], stdout=subprocess.PIPE) as yes:
        pipe = f"/dev/fd/{yes.stdout.fileno()}"
        with pytest.raises(DataError, match=f"{pipe} is too large: it has more than 1.25 MB"):
            read_pairs(pipe)
        yes.kill()


# A pretrained embedding

CONFIG = TaskConfig(n_in=3, n_out=2, cardinality=9)


def embedding(path, content, size=5):
    path.write_bytes(content)
    model = ModelConfig(units=3, embedding=size, pretrained_embedding=str(path))
    return read_embedding(RunConfig(task=CONFIG, model=model))


def test_an_embedding_is_read_whole_and_hashed(tmp_path):
    table = np.arange(45.0).reshape(9, 5)
    loaded, sha256 = embedding(tmp_path / "table.npy", npy(table))
    assert loaded.tolist() == table.tolist()
    assert len(sha256) == 64


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (npy(np.ones((8, 5))), r"has shape \(8, 5\): should be"),
        (npy(np.ones((9, 5)), (10**12, 10**3)), "is not a .npy file of numbers"),
        (npy(np.ones((9, 5)))[:-1], "is not a .npy file of numbers"),
        (npy(np.ones((9, 5), "c16")), "is not a .npy file of numbers: it has complex128"),
        (npy(np.ones((9, 5), "M8[s]")), "is not a .npy file of numbers"),
        (b"\x93NUMPY\x01\x00\xff\xff", "is not a .npy file of numbers"),
        (b"\x93NUMPY\x03\x00\x10\x00\x00\x00", "is not a .npy file of numbers"),
        (b"", "is not a .npy file of numbers"),
    ],
)
def test_an_embedding_that_is_not_as_documented_is_refused(tmp_path, content, reason):
    with pytest.raises(DataError, match=rf"table\.npy .*{reason}"):
        embedding(tmp_path / "table.npy", content)


def test_an_embedding_of_objects_is_refused(tmp_path):
    content = io.BytesIO()
    np.save(content, np.full((9, 5), print), allow_pickle=True)
    with pytest.raises(DataError, match=r"table\.npy is not a \.npy file of numbers: Object"):
        embedding(tmp_path / "table.npy", content.getvalue())
