"""Hostile files of complete runs whose manifests agree with them.

Whatever Keras' loader had advisories for is refused at once, in little memory, in one line that
names the file.
"""

import ast
import io
import json
import pickle
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from random_run import edit, replace_file, save_random_run

import seq2seq_cli
from seq2seq_cli.architecture import LSTM_SETTINGS
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.errors import ModelError
from seq2seq_cli.inference.loading import load_run
from seq2seq_cli.runs.checkpoint import load_checkpoint
from seq2seq_cli.runs.manifest import ENCODER_MODEL
from seq2seq_cli.storage import sha256_of

MOST_SECONDS = 2  # of the processor
MOST_BYTES = 300e6
SIGN = "executed"
TASK = TaskConfig(n_in=3, n_out=2, cardinality=9)


@pytest.fixture
def folder(tmp_path):
    config = RunConfig(task=TASK, model=ModelConfig(units=6))
    return save_random_run(tmp_path / "runs", "a", config)


def members(folder):
    with zipfile.ZipFile(folder / ENCODER_MODEL) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(folder, files, compression=zipfile.ZIP_STORED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, member in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, member)
    replace_file(folder, ENCODER_MODEL, content.getvalue())


def with_layer(folder, layer, instead=False):
    files = members(folder)
    config = json.loads(files["config.json"])
    layers = config["config"]["layers"]
    config["config"]["layers"] = [layer] if instead else [layer, *layers]
    write(folder, files | {"config.json": json.dumps(config).encode()})


def with_weights(folder, change):
    files = members(folder)
    content = io.BytesIO(files["model.weights.h5"])
    with h5py.File(content, "r+") as file:
        change(file["layers/l0/cell/vars"])
    write(folder, files | {"model.weights.h5": content.getvalue()})


def code_layer(folder):  # CVE-2024-3660
    body = {"class_name": "__lambda__", "config": {"code": "4wAAAAA=", "defaults": None}}
    with_layer(folder, {"class_name": "Lambda", "config": {"name": "encoder_lstm",
               "function": body}}, instead=True)  # fmt: skip


def imported_module(folder):  # CVE-2025-1550
    config = {"name": "encoder_lstm", "arguments": [f"touch {SIGN}"]}
    with_layer(folder, {"module": "os", "class_name": "system", "registered_name": "system",
               "config": config}, instead=True)  # fmt: skip


def gadget(folder):  # CVE-2025-8747
    config = {"name": "encoder_lstm", "fn": {"module": "keras.utils", "class_name": "function",
              "config": "get_file"}, "origin": "file:///etc/passwd"}  # fmt: skip
    with_layer(folder, {"module": "keras.layers", "class_name": "Lambda", "config": config}, True)


def legacy_file(folder):  # CVE-2025-9905
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Lambda"})
    replace_file(folder, ENCODER_MODEL, content.getvalue())


def unsafe_mode(folder):  # CVE-2025-9906
    config = {"name": "encoder_lstm", "fn": {"module": "keras.config", "class_name": "function",
              "config": "enable_unsafe_deserialization"}}  # fmt: skip
    with_layer(folder, {"module": "keras.layers", "class_name": "Lambda", "config": config}, True)


def vocabulary_file(folder):  # CVE-2025-12058
    config = {"name": "encoder_lstm", "vocabulary": "/etc/passwd"}
    with_layer(folder, {"class_name": "StringLookup", "config": config}, True)


def path_traversal(folder):  # CVE-2025-12060
    files = members(folder)
    write(folder, {f"../../{name}": content for name, content in files.items()})


def with_array(change):
    def hostile(folder):
        def put(arrays):
            shape, dtype = arrays["1"].shape, arrays["1"].dtype
            del arrays["1"]
            change(arrays, shape, dtype)

        with_weights(folder, put)

    return hostile


def soft_link(arrays, shape, dtype):
    arrays["1"] = h5py.SoftLink("/layers/l0/cell/vars/0")


def external_link(arrays, shape, dtype):  # CVE-2026-1669
    arrays["1"] = h5py.ExternalLink("/etc/passwd", "/x")


def external_data(arrays, shape, dtype):  # CVE-2026-1669
    arrays.create_dataset("1", shape, dtype, external=[("/etc/passwd", 0, 4 * 6 * 24)])


def virtual_data(arrays, shape, dtype):  # CVE-2026-1669
    layout = h5py.VirtualLayout(shape, dtype)
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape)
    arrays.create_virtual_dataset("1", layout)


def huge_shape(arrays, shape, dtype):  # CVE-2026-0897
    arrays.create_dataset("1", (2**20, 2**10), dtype)


def never_written(arrays, shape, dtype):
    arrays.create_dataset("1", shape, dtype)


def in_chunks(arrays, shape, dtype):
    arrays.create_dataset("1", shape, dtype, np.zeros(shape), chunks=True, compression="gzip")


def group_for_array(arrays, shape, dtype):
    arrays.create_group("1")


def other_numbers(arrays, shape, dtype):
    arrays.create_dataset("1", shape, "f8", np.zeros(shape))


def saved_model(folder):  # CVE-2026-1462
    config = {"name": "encoder_lstm", "filepath": "/tmp/saved", "call_endpoint": "serve"}
    with_layer(folder, {"class_name": "TFSMLayer", "config": config}, True)


def bomb_of_weights(folder):
    files = members(folder) | {"model.weights.h5": bytes(2**28)}
    write(folder, files, zipfile.ZIP_DEFLATED)


def bomb_of_settings(folder):
    files = members(folder) | {"config.json": b" " * 2**28}
    write(folder, files, zipfile.ZIP_DEFLATED)


def damaged_deflation(folder):
    write(folder, members(folder), zipfile.ZIP_DEFLATED)
    content = bytearray((folder / ENCODER_MODEL).read_bytes())
    start = content.index(b"config.json") + len("config.json")
    content[start : start + 40] = b"\xff" * 40
    replace_file(folder, ENCODER_MODEL, bytes(content))


def two_of_a_name(folder):
    files = members(folder)
    with pytest.warns(UserWarning, match="Duplicate"):
        write(folder, [*files.items(), *files.items()])


def without_settings(folder):
    with_layer(folder, {"class_name": "LSTM"})


def wrapped_without_settings(folder):
    config = {
        "name": "encoder_lstm",
        **LSTM_SETTINGS,
        "go_backwards": False,
        "layer": {"config": 3},
    }
    with_layer(folder, {"class_name": "LSTM", "config": config}, instead=True)


def deep_settings(folder):
    write(folder, members(folder) | {"config.json": b"[" * 10**6})


HOSTILE = [
    code_layer, imported_module, gadget, legacy_file, unsafe_mode, vocabulary_file, path_traversal,
    with_array(soft_link), with_array(external_link), with_array(external_data),
    with_array(virtual_data), with_array(huge_shape), saved_model, bomb_of_weights,
    bomb_of_settings, damaged_deflation, two_of_a_name, without_settings,
    wrapped_without_settings, deep_settings, with_array(never_written), with_array(in_chunks),
    with_array(group_for_array), with_array(other_numbers),
]  # fmt: skip
LARGE = [with_array(huge_shape), bomb_of_weights, bomb_of_settings]

MEASURED = """
import sys, time
from pathlib import Path
from seq2seq_cli.cli.process import main
sys.argv = ["s2s", *sys.argv[1:]]
try:
    main()
finally:
    lines = Path("/proc/self/status").read_text().splitlines()
    print(time.process_time(), *(line.split()[1] for line in lines if line.startswith("VmHWM")))
"""


def test_the_run_is_read_where_nothing_is_changed(folder):
    load_run("a", folder.parent)
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        write(folder, members(folder), compression)
        load_run("a", folder.parent)


@pytest.mark.parametrize("change", HOSTILE)
def test_a_hostile_file_is_refused_by_its_name(folder, change):
    change(folder)
    with pytest.raises(ModelError) as refused:
        load_run("a", folder.parent)
    assert str(folder / ENCODER_MODEL) in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
    assert len(str(refused.value)) < 500


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
@pytest.mark.parametrize("change", LARGE)
def test_a_bomb_is_refused_at_once_and_in_little_memory(folder, change, tmp_path):
    change(folder)
    result = subprocess.run(
        [sys.executable, "-c", MEASURED, "predict", "1 2 3"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 4, result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("s2s: ")
    assert str(Path("runs/a") / ENCODER_MODEL) in result.stderr
    seconds, kilobytes = map(float, result.stdout.split())
    assert seconds <= MOST_SECONDS
    assert kilobytes * 1024 <= MOST_BYTES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs"]


def test_a_small_file_takes_little_memory_whatever_its_configuration_claims(tmp_path):
    """Shapes that a hostile configuration agrees with: nothing is taken that is not in the file."""
    claimed = RunConfig(task=TASK, model=ModelConfig(units=20_000))
    folder = save_random_run(
        tmp_path / "runs", "a", RunConfig(task=TASK, model=ModelConfig(units=6))
    )
    replace_file(folder, "config.toml", claimed.to_toml().encode())

    def grow(arrays):
        for key, shape in (("0", (9, 80_000)), ("1", (20_000, 80_000)), ("2", (80_000,))):
            del arrays[key]
            arrays.create_dataset(key, shape, np.float32)

    with_weights(folder, grow)
    begun = time.process_time()
    with pytest.raises(ModelError, match=ENCODER_MODEL):
        load_run("a", folder.parent)
    assert time.process_time() - begun < MOST_SECONDS


# Checkpoints


def newest_checkpoint(folder):
    (path,) = (folder / "checkpoint").glob("*.npz")
    return path


def refusal(folder, content, change=lambda description: None):
    """Return why a checkpoint with this archive and its hash is refused."""
    path = newest_checkpoint(folder)
    path.write_bytes(content)
    record = {"sha256": sha256_of(content), "n_bytes": len(content)}
    edit(path.with_suffix(".json"), lambda document: document.update(record) or change(document))
    with pytest.raises(ModelError) as refused:
        load_checkpoint(folder)
    return str(refused.value)


def changed_arrays(content, change):
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        arrays = dict(archive)
    change(arrays)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def claim(content, key, shape):
    """Return the archive with a header that claims another shape, over the same values."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            member = old.read(name)
            if name == key:
                header = io.BytesIO()
                described = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(header, described)
                member = header.getvalue() + bytes(64)
            new.writestr(name, member)
    return file.getvalue()


CHANGES = {
    "another shape": lambda arrays: arrays.update({"first/0": np.zeros((2, 2), np.float32)}),
    "doubles": lambda arrays: arrays.update({"first/0": arrays["first/0"].astype(float)}),
    "objects": lambda arrays: arrays.update({"first/0": np.array([print], object)}),
    "one less": lambda arrays: arrays.pop("second/7"),
    "no moments": lambda arrays: [arrays.pop(f"first/{i}") for i in range(8)],
    "an order of their own": lambda arrays: arrays.update(
        {"first/0": arrays["first/1"], "first/1": arrays["first/0"]}
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_arrays_that_are_not_the_models_are_refused(folder, change):
    load_checkpoint(folder)
    hostile = changed_arrays(newest_checkpoint(folder).read_bytes(), CHANGES[change])
    assert re.search("first|second|belong", refusal(folder, hostile))


def test_an_array_that_claims_more_than_is_there_is_refused_before_it_is_created(folder):
    hostile = claim(newest_checkpoint(folder).read_bytes(), "weights/0.npy", (100_000, 400_000))
    claimed = {"units": 100_000}
    message = refusal(folder, hostile, lambda document: document["config"]["model"].update(claimed))
    assert "weights/0" in message


# Pickle


def test_no_module_can_run_code_from_a_file():
    forbidden = {"pickle", "cPickle", "dill", "marshal", "shelve", "joblib", "cloudpickle", "runpy"}
    for path in Path(seq2seq_cli.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & forbidden, path
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
                allowed = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert allowed.get("allow_pickle") == "False", path


def test_reading_a_run_unpickles_nothing(folder, tmp_path, monkeypatch, s2s_here):
    def refuse(*arguments, **settings):
        raise AssertionError("pickle")

    for name in ("load", "loads", "Unpickler", "_load", "_loads"):
        monkeypatch.setattr(pickle, name, refuse)
    for line in (["predict", "1 2 3"], ["evaluate", "--n-samples", "10"], ["encode", "1 2 3"],
                 ["inspect"]):  # fmt: skip
        s2s_here(*line)
    (tmp_path / "a.npz").write_bytes(b"\x80\x04N.")
    assert s2s_here("evaluate", "--data", "a.npz", check=False).returncode == 3
