import gzip
import io
import json
import os
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seq2seq_cli.data import files
from seq2seq_cli.data.files import MOST_PROBLEMS, SUFFIXES, check_suffix, write_pairs
from seq2seq_cli.data.vocabulary import unpad
from seq2seq_cli.errors import ConfigurationError, DataError, ExistsError, S2sError, StorageError

TEXTS = [".jsonl", ".csv"]
GOOD = {".jsonl": '{"source": [1, 2], "target": [2]}', ".csv": "1 2,2"}

steady = settings(
    derandomize=True,
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

SEQUENCES = st.lists(st.integers(1, 999_999), min_size=1, max_size=12)


def read_pairs(path, cardinality):
    pairs = files.read_pairs(path, cardinality).pairs
    rows = np.arange(len(pairs))
    return tuple(side.padded(rows, side.longest) for side in (pairs.sources, pairs.targets))


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@st.composite
def batches_of_pairs(draw):
    n_in, n_out = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    value = st.integers(1, 99)
    pair = st.tuples(
        st.lists(value, min_size=n_in, max_size=n_in),
        st.lists(value, min_size=n_out, max_size=n_out),
    )
    batches = draw(st.lists(st.lists(pair, min_size=1, max_size=4), min_size=1, max_size=4))
    return [
        (ids(*(source for source, _ in batch)), ids(*(target for _, target in batch)))
        for batch in batches
    ]


def ids(*rows):
    return np.array(rows, np.int32)


def batch(value, n=1):
    return np.full((n, 2), value, np.int32), np.full((n, 1), value, np.int32)


def arrays(path, **content):
    np.savez(path, **content)
    return path


def problems_of(path, cardinality=51):
    with pytest.raises(DataError) as caught:
        read_pairs(path, cardinality)
    assert str(path) in str(caught.value)
    return str(caught.value).splitlines()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# Writing


@pytest.mark.parametrize("suffix", SUFFIXES)
@steady
@given(batches=batches_of_pairs())
def test_reading_returns_what_was_written(tmp_path, suffix, batches):
    path = tmp_path / f"pairs{suffix}"
    n = write_pairs(path, iter(batches), force=True)
    sources, targets = read_pairs(path, 100)
    assert n == len(sources) == sum(len(sources) for sources, _ in batches)
    assert (sources.dtype, targets.dtype) == (np.int32, np.int32)
    np.testing.assert_array_equal(sources, np.concatenate([batch[0] for batch in batches]))
    np.testing.assert_array_equal(targets, np.concatenate([batch[1] for batch in batches]))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("targets", [[[3, 4], [0, 0], [5, 0]], [[0], [0], [0]], [[], [], []]])
def test_targets_may_be_empty(tmp_path, suffix, targets):
    path = tmp_path / f"pairs{suffix}"
    sources = ids([1, 2], [3, 0], [4, 5])
    assert write_pairs(path, [(sources, ids(*targets)), (sources, ids(*targets))]) == 6
    pairs = files.read_pairs(path, 51).pairs
    assert pairs.largest == max(map(max, [*sources.tolist(), *filter(None, targets)]))
    expected = [[value for value in row if value] for row in targets] * 2
    assert list(unpad(pairs.targets.padded(np.arange(6), 3))) == expected


def test_a_blank_line_of_two_files_is_an_empty_target(tmp_path):
    (tmp_path / "own.src").write_text("1 2\n\n3\n4\n")
    (tmp_path / "own.tgt").write_text("2 1\n\n\n4\n")
    sources, targets = read_pairs(f"{tmp_path}/own.src,{tmp_path}/own.tgt", 51)
    assert sources.tolist() == [[1, 2], [3, 0], [4, 0]]
    assert targets.tolist() == [[2, 1], [0, 0], [4, 0]]
    (tmp_path / "own.src").write_text("1 2\n\n")
    (tmp_path / "own.tgt").write_text("2 1\n3\n")
    with pytest.raises(DataError, match="line 2: the sequence is empty"):
        read_pairs(f"{tmp_path}/own.src,{tmp_path}/own.tgt", 51)


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".csv", "source,target\n1 2,3\n4 5,6\n"),
        (
            ".jsonl",
            '{"source": [1, 2], "target": [3]}\n{"source": [4, 5], "target": [6]}\n',
        ),
    ],
)
def test_text_formats_are_as_documented(tmp_path, suffix, text):
    path = tmp_path / f"pairs{suffix}"
    write_pairs(path, [(ids([1, 2], [4, 5]), ids([3], [6]))])
    assert path.read_bytes() == text.encode()


def test_npz_holds_the_two_documented_arrays_only(tmp_path):
    path = tmp_path / "pairs.npz"
    write_pairs(path, [(ids([1, 2]), ids([3])), (ids([4, 5]), ids([6]))])
    with np.load(path, allow_pickle=False) as file:
        assert set(file.files) == {"sources", "targets"}
        assert file["sources"].dtype == file["targets"].dtype == np.int32
        assert file["sources"].tolist() == [[1, 2], [4, 5]]
        assert file["targets"].tolist() == [[3], [6]]


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_existing_file_is_kept_without_force_and_nothing_is_drawn(tmp_path, suffix):
    path = tmp_path / f"pairs{suffix}"
    path.write_text("mine")
    batches = iter([batch(1)])
    with pytest.raises(ExistsError, match=rf"pairs\{suffix} exists"):
        write_pairs(path, batches)
    assert path.read_text() == "mine"
    assert len(list(batches)) == 1


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt("stop")])
def test_failed_writing_leaves_the_old_file_and_nothing_else(tmp_path, suffix, error):
    def batches():
        yield batch(1)
        raise error

    path = tmp_path / f"pairs{suffix}"
    path.write_text("mine")
    with pytest.raises(type(error), match=str(error)):
        write_pairs(path, batches(), force=True)
    assert path.read_text() == "mine"
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", TEXTS)
def test_lines_reach_the_file_while_batches_are_still_drawn(tmp_path, suffix):
    sizes = []

    def batches():
        for _ in range(30):
            sizes.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
            yield batch(1, 1000)

    write_pairs(tmp_path / f"pairs{suffix}", batches())
    assert 0 < sizes[10] < sizes[20] < sizes[29]


@pytest.mark.parametrize("name", ["pairs", "pairs.txt", "pairs.json", "pairs.npz.gz", ".csv"])
def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path, name):
    path = tmp_path / name
    uses = [check_suffix, lambda path: read_pairs(path, 51), lambda path: write_pairs(path, [])]
    for use in uses:
        with pytest.raises(ConfigurationError, match=r"\.jsonl, \.csv, \.tsv, \.npz") as refused:
            use(path)
        assert ("the output of zcat" in str(refused.value)) == name.endswith(".gz")
    assert names(tmp_path) == []


# Reading text


def test_missing_file_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"absent\.csv"):
        read_pairs(tmp_path / "absent.csv", 51)


@pytest.mark.parametrize("header", ["source,target\n", ""])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_header_of_a_csv_is_optional(tmp_path, header, newline):
    path = tmp_path / "pairs.csv"
    path.write_bytes((header + "1 2,3\n\n4 5,6\n").replace("\n", newline).encode())
    sources, targets = read_pairs(path, 51)
    assert (sources.tolist(), targets.tolist()) == ([[1, 2], [4, 5]], [[3], [6]])


def test_header_of_a_csv_is_its_first_line_only(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("1 2,3\nsource,target\n")
    (line,) = problems_of(path)
    assert "line 2: 'source'" in line


def test_cells_of_a_csv_may_be_quoted(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text('"1,2","3"\n"4 5",6\n')
    sources, targets = read_pairs(path, 51)
    assert (sources.tolist(), targets.tolist()) == ([[1, 2], [4, 5]], [[3], [6]])


@pytest.mark.parametrize("suffix", TEXTS)
def test_pairs_of_different_lengths_are_padded(tmp_path, suffix):
    path = tmp_path / f"pairs{suffix}"
    pairs = [([1], [2, 3]), ([4, 5, 6], [7])]
    if suffix == ".csv":
        text = "1,2 3\n4 5 6,7"
    else:
        text = "\n".join(json.dumps({"source": s, "target": t, "note": "x"}) for s, t in pairs)
    path.write_text(text)
    sources, targets = read_pairs(path, 51)
    assert (sources.tolist(), targets.tolist()) == ([[1, 0, 0], [4, 5, 6]], [[2, 3], [7, 0]])


@pytest.mark.parametrize(
    ("suffix", "line", "reason"),
    [
        (".csv", "1 2", "1 columns"),
        (".csv", "1,2,3", "3 columns"),
        (".csv", ",1", "empty"),
        (".csv", ",", "empty"),
        (".csv", "1 x,2", "'x' is not an integer"),
        (".csv", "1 51,2", "51 .*1 to 50"),
        (".csv", "1 0,2", "0 .*1 to 50"),
        (".csv", '"1 2,3', "not valid CSV"),
        (".jsonl", "1 2,3", "not valid JSON"),
        (".jsonl", '{"source": [1]}', "should be"),
        (".jsonl", "[[1], [2]]", "should be"),
        (".jsonl", "null", "should be"),
        (".jsonl", '"source target"', "should be"),
        (".jsonl", '{"source": [], "target": [1]}', "source = .*at least one"),
        (".jsonl", '{"source": [1], "target": "1"}', "target = '1'.*list"),
        (".jsonl", '{"source": [1], "target": {"1": 2}}', "target = .*list"),
        (".jsonl", '{"source": [1.0], "target": [1]}', "source holds 1.0, .*not an integer"),
        (".jsonl", '{"source": [true], "target": [1]}', "source holds True, .*not an integer"),
        (".jsonl", '{"source": ["1"], "target": [1]}', "source holds '1', .*not an integer"),
        (".jsonl", '{"source": [[1]], "target": [1]}', "not an integer"),
        (".jsonl", '{"source": [NaN], "target": [1]}', "not an integer"),
        (".jsonl", '{"source": [1], "target": [0]}', "target holds 0: .*1 to 50"),
        (".jsonl", '{"source": [51], "target": [1]}', "source holds 51: .*1 to 50"),
        (".jsonl", '{"source": [4294967297], "target": [1]}', "source holds 4294967297"),
        (".jsonl", "[" * 100_000, "not valid JSON"),
        (".jsonl", '{"source": [' + "9" * 5000 + '], "target": [1]}', "source|not valid JSON"),
    ],
)
def test_bad_line_is_named_with_its_number_and_reason(tmp_path, suffix, line, reason):
    path = tmp_path / f"pairs{suffix}"
    path.write_text(f"{GOOD[suffix]}\n\n{line}\n{GOOD[suffix]}\n")
    with pytest.raises(DataError, match=rf"pairs\{suffix}, line 3: .*({reason})"):
        read_pairs(path, 51)


def test_a_pipe_is_read_once_and_its_format_detected(tmp_path):
    contents = {"csv": "1 2,3\n", "tsv": "1 2\t3\n", "jsonl": '{"source": [1, 2], "target": [3]}\n'}
    for suffix, text in contents.items():
        (tmp_path / f"file.{suffix}").write_text(text)
        pipe = tmp_path / f"pipe-{suffix}"
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_text, args=[text])
        writer.start()
        piped = files.read_pairs(pipe)
        writer.join()
        assert piped.pairs.targets.values.tolist() == [3]
        assert piped.sha256 == files.read_pairs(tmp_path / f"file.{suffix}").sha256


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("PAIRS.CSV", '"source","target"'),
        ("pairs.csv", "Source, TARGET"),
        ("pairs.Tsv", '\ufeff"Source"\t "TARGET"'),
    ],
)
def test_the_header_may_be_quoted_and_in_capitals(tmp_path, name, header):
    path = tmp_path / name
    separator = "\t" if "\t" in header else ","
    path.write_text(f"{header}\r\n1 2{separator}3\r\n", newline="")
    assert read_pairs(path, 51)[0].tolist() == [[1, 2]]


def test_compressed_content_is_refused(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_bytes(gzip.compress(b"1 2,3\n" * 100))
    (line,) = problems_of(path)
    assert line.startswith(str(path))
    assert "compressed" in line
    assert "the output of zcat" in line


@pytest.mark.parametrize("ends", [("\n", "\n\n\n"), ("\r\n\r\n", ""), (" \n", "\n \n\t")])
def test_two_files_may_end_in_any_blank_lines(tmp_path, ends):
    for name, end in zip("ab", ends, strict=True):
        (tmp_path / name).write_text(f"1 2\n3 4{end}", newline="")
    assert len(files.read_pairs(f"{tmp_path / 'a'},{tmp_path / 'b'}").pairs) == 2


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_remedy_for_digits_from_0_is_named(tmp_path, suffix):
    path = tmp_path / f"pairs{suffix}"
    if suffix == ".npz":
        arrays(path, sources=ids([0, 1], [2, 3]), targets=ids([1], [2]))
    else:
        line = {".csv": "0 1,1", ".tsv": "0 1\t1", ".jsonl": '{"source": [0, 1], "target": [1]}'}
        path.write_text(line[suffix])
    (line, *_) = problems_of(path)
    assert "0 is reserved" in line or "it is reserved" in line
    assert "add 1 to" in line


@pytest.mark.parametrize("suffix", TEXTS)
@pytest.mark.parametrize("bad", [1, MOST_PROBLEMS, MOST_PROBLEMS + 1, 3 * MOST_PROBLEMS])
def test_at_most_three_bad_lines_are_named_and_the_rest_counted(tmp_path, suffix, bad):
    path = tmp_path / f"pairs{suffix}"
    path.write_text(f"{GOOD[suffix]}\nbad\n" * bad)
    lines = problems_of(path)
    named = min(bad, MOST_PROBLEMS)
    assert MOST_PROBLEMS == 3
    for position in range(named):
        assert f"line {2 * position + 2}: " in lines[position]
    if bad > named:
        (rest,) = lines[named:]
        assert f"{bad - named} more" in rest
    else:
        assert len(lines) == named


@pytest.mark.parametrize("suffix", TEXTS)
@pytest.mark.parametrize("text", ["", "\n\n  \n"])
def test_file_without_pairs_is_refused(tmp_path, suffix, text):
    path = tmp_path / f"pairs{suffix}"
    path.write_text(text)
    (line,) = problems_of(path)
    assert "no pairs" in line


@pytest.mark.parametrize("suffix", SUFFIXES)
@steady
@given(content=st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_any_content_is_read_or_refused(tmp_path, suffix, content):
    path = tmp_path / f"pairs{suffix}"
    path.write_bytes(content)
    try:
        sources, targets = read_pairs(path, 51)
    except S2sError:
        return
    assert len(sources) == len(targets) > 0


# Reading arrays


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64])
def test_arrays_of_any_integer_type_are_read_as_int32(tmp_path, dtype):
    path = arrays(
        tmp_path / "pairs.npz", sources=np.array([[1, 2]], dtype), targets=np.array([[3]], dtype)
    )
    sources, targets = read_pairs(path, 51)
    assert (sources.dtype, targets.dtype) == (np.int32, np.int32)
    assert (sources.tolist(), targets.tolist()) == ([[1, 2]], [[3]])


@pytest.mark.parametrize(
    ("sources", "reason"),
    [
        (np.ones((2, 3)), "sources should be integers"),
        (np.ones((2, 3), bool), "sources should be integers"),
        (np.array([["1", "2"]] * 2), "sources should be integers"),
        (np.array([1, 2], np.int32), "sources should be integers of shape"),
        (np.ones((2, 3, 1), np.int32), "sources should be integers of shape"),
        (np.array(1, np.int32), "sources should be integers of shape"),
        (np.ones((0, 3), np.int32), "sources should be integers of shape"),
        (np.ones((2, 0), np.int32), "sources should be integers of shape"),
        (ids([1, 0, 2], [1, 2, 3]), "sources has 0 before the end of a row"),
        (ids([0, 0, 0], [1, 2, 3]), "sources has 0 before the end of a row"),
        (ids([0, 1, 2], [1, 2, 3]), "sources has 0 before the end of a row"),
        (ids([1], [2], [3]), "3 sources but 2 targets"),
        (ids([1, 51], [2, 3]), "51 .*50"),
        (ids([1, -1], [2, 3]), "-1 .*50"),
        (np.array([[1], [2**32 + 1]]), str(2**32 + 1)),
    ],
)
def test_bad_arrays_are_named(tmp_path, sources, reason):
    path = arrays(tmp_path / "pairs.npz", sources=sources, targets=ids([1], [2]))
    with pytest.raises(DataError, match=rf"pairs\.npz.*{reason}"):
        read_pairs(path, 51)


def test_missing_and_bad_targets_are_named(tmp_path):
    path = arrays(tmp_path / "pairs.npz", sources=ids([1]), targets=np.ones((1, 1)))
    assert "targets should be integers" in problems_of(path)[0]
    assert "targets" in problems_of(arrays(path, sources=ids([1])))[0]
    with path.open("wb") as file:
        np.save(file, ids([1]))
    assert "should hold the arrays sources and targets" in problems_of(path)[0]


def test_pickled_arrays_are_refused_and_never_executed(tmp_path):
    sign = tmp_path / "executed"
    pickle.loads(pickle.dumps(Bomb(sign)))
    sign.unlink()
    path = tmp_path / "pairs.npz"
    bombs = np.array([[Bomb(sign)]], object)
    np.savez(path, sources=bombs, targets=bombs, allow_pickle=True)
    problems_of(path)
    path.write_bytes(pickle.dumps(Bomb(sign)))
    problems_of(path)
    assert not sign.exists()


@pytest.mark.parametrize("compress", [False, True])
def test_damaged_npz_is_read_or_refused_wherever_the_damage_is(tmp_path, compress):
    path = tmp_path / "pairs.npz"
    whole = io.BytesIO()
    save = np.savez_compressed if compress else np.savez
    save(whole, sources=ids([1, 2, 3], [4, 5, 6]), targets=ids([1], [2]))
    content = whole.getvalue()
    for length in range(0, len(content), 20):
        path.write_bytes(content[:length])
        problems_of(path)
    failures = {}
    for position in range(len(content)):
        for flip in (0x01,) if position % 2 else (0xFF,):
            damaged = bytearray(content)
            damaged[position] ^= flip
            path.write_bytes(damaged)
            try:
                read_pairs(path, 51)
            except S2sError:
                continue
            except Exception as error:
                failures.setdefault(type(error).__name__, (position, flip, str(error)))
    assert failures == {}
