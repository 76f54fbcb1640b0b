"""Arrays in files of a user's: what they say of themselves is judged before they are read."""

import io
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

from seq2seq_cli import resources
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.data import pairs
from seq2seq_cli.data.files.embedding import read_embedding
from seq2seq_cli.data.files.pair_files import read_pairs
from seq2seq_cli.data.pairs import from_padded
from seq2seq_cli.errors import ConfigurationError, DataError


def npy(array, claimed=None):
    """Return an array's file; its header may claim another shape."""
    content = io.BytesIO()
    np.save(content, array)
    found = content.getvalue()
    if claimed:
        before, after = str(array.shape), str(claimed)
        found = found.replace(before.encode() + b", }", after.encode() + b", }").replace(
            b" " * (len(after) - len(before)) + b"\n", b"\n"
        )
    return found


def archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def peak_of(action):
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


ONE = np.ones((1, 1), np.int32)


@pytest.mark.parametrize(
    ("sources", "reason"),
    [
        (npy(ONE, (10**9, 4)), "rows of sources = 1000000000: all of them would take at least"),
        (npy(ONE, (3, 10**12)), "columns of sources = 1000000000000: .* 8 GB is available"),
        (npy(ONE, (1000, 1000)), "it has 4 bytes of values, and says 4,000,000"),
        (npy(ONE, (-1, 2)), "sources"),
        (npy(np.ones((2000, 2000))), "sources should be integers of shape"),
        (npy(np.ones(4_000_000)), "sources should be integers of shape"),
        (npy(ONE) + b"more", "it has 5 bytes of values, and says 4"),
    ],
)
def test_an_archive_is_refused_by_its_header(tmp_path, monkeypatch, sources, reason):
    monkeypatch.setattr(resources, "available_memory", lambda: 8 * 10**9)
    path = archive(tmp_path / "pairs.npz", sources=sources, targets=npy(ONE))

    def refuse():
        with pytest.raises(DataError, match=rf"pairs\.npz: .*{reason}"):
            read_pairs(path)

    refuse()
    assert peak_of(refuse) < 6e6  # what is read at a time


def test_what_the_memory_has_no_room_for_is_not_unpacked(tmp_path, monkeypatch):
    rows = npy(np.ones((10**6, 4), np.int32))
    path = archive(tmp_path / "pairs.npz", sources=rows, targets=rows)
    assert path.stat().st_size < 200_000
    assert len(read_pairs(path).pairs) == 10**6  # the control
    monkeypatch.setattr(resources, "available_memory", lambda: 5 * 10**7)

    def refuse():
        with pytest.raises(DataError, match="rows of sources = 1000000: .* 52 MB of memory"):
            read_pairs(path)

    assert peak_of(refuse) < 6e6


def test_fortran_order_and_big_endian_are_read(tmp_path):
    array = np.array([[1, 2, 3], [4, 5, 6]])
    sources, targets = npy(np.asfortranarray(array)), npy(array[:, :1].astype(">i2"))
    path = archive(tmp_path / "pairs.npz", sources=sources, targets=targets)
    found = read_pairs(path).pairs
    assert found.sources.values.tolist() == [1, 2, 3, 4, 5, 6]
    assert found.targets.values.tolist() == [1, 4]


@pytest.mark.parametrize("target", ["/dev/zero", "/dev/null"])
def test_what_never_ends_is_no_archive(tmp_path, target):
    path = tmp_path / "pairs.npz"
    path.symlink_to(target)
    with pytest.raises(DataError, match=r"pairs\.npz: should hold .* \(it is no archive\)"):
        read_pairs(path)


def test_a_file_larger_than_the_memory_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "available_memory", lambda: 10**9)
    path = archive(tmp_path / "pairs.npz", sources=npy(ONE), targets=npy(ONE))
    with path.open("rb+") as file:
        file.truncate(2**40)
    with pytest.raises(DataError, match=r"pairs\.npz: bytes = 1099511627776: reading it would"):
        read_pairs(path)


def test_an_endless_stream_of_pairs_is_refused_when_it_fills_the_memory():
    code = (
        "import sys; from seq2seq_cli import resources; "
        "resources.available_memory = lambda: 10**7; "
        "from seq2seq_cli.cli.process import main; sys.argv = ['s2s', *sys.argv[1:]]; main()"
    )
    command = [sys.executable, "-c", code, "train", "--data", "/dev/stdin"]
    with subprocess.Popen(["yes", "1 2,3"], stdout=subprocess.PIPE) as yes:
        result = subprocess.run(
            command, stdin=yes.stdout, capture_output=True, text=True, timeout=120, check=False
        )
        yes.kill()
    (line,) = result.stderr.splitlines()
    assert result.returncode == 3
    assert line.startswith("s2s: /dev/stdin: pairs = ")
    assert line.endswith("of memory, and 10 MB is available: use a smaller value")


def test_rows_with_one_that_is_long_are_not_all_padded_to_it(monkeypatch):
    rows = np.zeros((9, 100), np.int32)
    rows[:, 0] = np.arange(1, 10)
    rows[4] = 7
    whole = from_padded(rows)
    monkeypatch.setattr(pairs, "PADDED_IDS", 60)
    parts = list(whole.parts())
    assert max(part.size for part in parts if len(part) > 1) <= 60
    assert [row[row > 0].tolist() for part in parts for row in part] == [
        row[row > 0].tolist() for row in rows
    ]


# A pretrained embedding

CONFIG = TaskConfig(n_in=3, n_out=2, cardinality=9)


def embedding(path, content, size=5):
    path.write_bytes(content)
    model = ModelConfig(units=3, embedding=size, pretrained_embedding=str(path))
    return read_embedding(RunConfig(task=CONFIG, model=model))


def test_an_embedding_is_read_whole_and_hashed(tmp_path):
    table = np.arange(45.0).reshape(9, 5)
    found, sha256 = embedding(tmp_path / "table.npy", npy(table))
    assert found.tolist() == table.tolist()
    assert len(sha256) == 64


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (npy(np.ones((9, 5)), (10**9, 5)), r"has shape \(1000000000, 5\): should be"),
        (npy(np.ones((9, 5)))[:-1], "has 359 bytes of values, and says 360"),
        (npy(np.ones((9, 5))) + b"x" * 10**5, "has 361 bytes of values, and says 360"),
        (npy(np.ones((9, 5), "c16")), "no .npy file of numbers"),
        (npy(np.ones((9, 5), "M8[s]")), "no .npy file of numbers"),
        (b"\x93NUMPY\x01\x00\xff\xff", "no .npy file of numbers"),
        (b"\x93NUMPY\x03\x00\x10\x00\x00\x00", "no .npy file of numbers"),
        (b"", "no .npy file of numbers"),
    ],
)
def test_an_embedding_is_refused_by_its_header(tmp_path, content, reason):
    with pytest.raises(DataError, match=rf"table\.npy .*{reason}"):
        embedding(tmp_path / "table.npy", content)


def test_no_object_of_an_embedding_is_made(tmp_path):
    content = io.BytesIO()
    np.save(content, np.full((9, 5), print), allow_pickle=True)
    with pytest.raises(DataError, match=r"table\.npy is no \.npy file of numbers: .*object"):
        embedding(tmp_path / "table.npy", content.getvalue())


def test_an_embedding_that_never_ends_is_none(tmp_path):
    path = tmp_path / "table.npy"
    path.symlink_to("/dev/zero")
    model = ModelConfig(units=3, embedding=5, pretrained_embedding=str(path))
    with pytest.raises(DataError, match="no .npy file of numbers"):
        read_embedding(RunConfig(task=CONFIG, model=model))


def test_an_embedding_beyond_the_memory_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "available_memory", lambda: 100)
    with pytest.raises(ConfigurationError, match=r"task.cardinality = 9: .*table\.npy"):
        embedding(tmp_path / "table.npy", npy(np.ones((9, 5))))
