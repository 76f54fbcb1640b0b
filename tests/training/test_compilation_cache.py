"""Compiled programs are cached for this kind of machine, and a failing cache stops nothing."""

import errno
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import ops
from tiny import assert_identical, tiny_config

from seq2seq_cli import train
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.data.plan import prepare
from seq2seq_cli.training import compilation_cache, runner
from seq2seq_cli.training.compilation_cache import (
    FLAGS_VARIABLE,
    OWN_FOLDER,
    CompilationCache,
    machine_key,
    open_cache,
)
from seq2seq_cli.training.models import build_models
from seq2seq_cli.training.program import keys
from seq2seq_cli.training.program.loop import CHUNK, ChunkResult, Loop
from seq2seq_cli.training.release import CACHE_FLAG, FOLDER_VARIABLE, UNKNOWN

OPEN = open_cache.__wrapped__


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "kept"))
    monkeypatch.delenv(FLAGS_VARIABLE, raising=False)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)  # as in a new process
    return tmp_path / "kept"


def a_cache(root, number=0):
    own = root / f"{OWN_FOLDER}{number}"
    own.mkdir(parents=True)
    return CompilationCache(root, own), own


def compiled(own, name, content):
    """Do what TensorFlow does."""
    (own / f"{name}.pb").write_bytes(content)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.pb")}


def test_a_process_takes_what_another_one_compiled_under_its_key(tmp_path):
    (first, own), (second, other) = a_cache(tmp_path, 1), a_cache(tmp_path, 2)
    assert not first.take("a")
    compiled(own, "train", b"machine code")
    first.keep("a")
    compiled(own, "more", b"other code")
    first.keep("b")
    assert not second.take("c")
    assert files(other) == {}
    assert second.take("a")
    assert files(other) == {"train.pb": b"machine code"}
    second.keep("c")  # nothing is new
    assert not first.take("c")
    assert {path.stat().st_mode & 0o077 for path in tmp_path.glob("programs/*/*/*.pb")} == {0}


@pytest.mark.parametrize("content", [b"", b"machine", b"machine code, and more", b"MACHINE CODE"])
def test_a_damaged_program_never_reaches_tensorflow(tmp_path, content):
    cache, own = a_cache(tmp_path)
    compiled(own, "train", b"machine code")
    cache.keep("a")
    (kept,) = tmp_path.glob("programs/*/*/*.pb")
    kept.write_bytes(content)
    again, other = a_cache(tmp_path, 2)
    assert not again.take("a")
    assert files(other) == {}
    assert not kept.exists()


def test_folders_of_programs_that_others_can_write_are_not_used(tmp_path):
    cache, own = a_cache(tmp_path)
    compiled(own, "train", b"machine code")
    before = os.umask(0o002)
    try:
        cache.keep("a")
    finally:
        os.umask(before)
    folders = list(tmp_path.glob("programs/**/"))
    assert len(folders) == 3
    again, _ = a_cache(tmp_path, 2)
    for folder in folders:
        assert folder.stat().st_mode & 0o777 == 0o700
        folder.chmod(0o775)
        assert not again.take("a")
        folder.chmod(0o700)
    assert again.take("a")  # negative control


def test_other_files_are_ignored(tmp_path):
    cache, own = a_cache(tmp_path)
    compiled(own, "train", b"machine code")
    cache.keep("a")
    (program,) = tmp_path.glob("programs/*/*/*.pb")
    (program.parent / "folder.pb").mkdir()
    (program.parent / "nothing.pb").symlink_to(tmp_path / "gone")
    (program.parent / "foreign.pb").write_bytes(b"foreign")
    half = program.with_name(f".{program.stem}.s2s-00112233aabbccdd.pb")
    half.write_bytes(b"half")  # another process is writing it
    again, other = a_cache(tmp_path, 2)
    assert again.take("a")
    assert files(other) == {"train.pb": b"machine code"}
    assert half.exists()


def test_a_cache_over_its_limit_is_emptied(tmp_path, monkeypatch):
    monkeypatch.setattr(compilation_cache, "MOST_BYTES", 250)
    cache, own = a_cache(tmp_path)
    for number, key in enumerate("abc", 1):
        compiled(own, key, bytes(100))
        cache.keep(key)
        assert cache.size() == ((number, 100 * number) if number < 3 else (0, 0))
    compiled(own, "d", bytes(50))
    cache.keep("d")
    again, _ = a_cache(tmp_path, 2)
    assert [again.take(key) for key in "abcd"] == [False, False, False, True]


def test_the_folder_is_its_owners_alone(root, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(FOLDER_VARIABLE, "~/kept")
    assert OPEN() is not None
    assert root.stat().st_mode & 0o777 == 0o700
    assert CACHE_FLAG in os.environ[FLAGS_VARIABLE]


@pytest.mark.parametrize("mode", [0o770, 0o702, None])
def test_a_folder_that_others_can_write_is_not_used(root, monkeypatch, mode):
    root.mkdir()
    if mode:
        root.chmod(mode)
    else:
        monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert OPEN() is None
    assert list(root.iterdir()) == []
    assert CACHE_FLAG not in os.environ.get(FLAGS_VARIABLE, "")


def test_without_a_folder_nothing_is_cached(root, monkeypatch, tmp_path):
    monkeypatch.setenv(FLAGS_VARIABLE, "--tf_xla_clustering_debug")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(FOLDER_VARIABLE, "")
    assert OPEN() is None
    assert os.environ[FLAGS_VARIABLE] == "--tf_xla_clustering_debug"
    assert list(tmp_path.iterdir()) == []
    monkeypatch.delenv(FOLDER_VARIABLE)  # negative control
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert OPEN() is not None
    assert list(tmp_path.rglob(f"{OWN_FOLDER}*"))


def test_a_folder_that_cannot_be_created_or_has_no_space_is_not_used(root, monkeypatch):
    root.write_text("a file")
    assert OPEN() is None
    root.unlink()

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(os, "posix_fallocate", full)
        assert OPEN() is None
        assert CACHE_FLAG not in os.environ.get(FLAGS_VARIABLE, "")
    assert OPEN() is not None  # negative control


@pytest.mark.parametrize("home", ["relative", None])
def test_without_a_home_nothing_is_cached(root, tmp_path, monkeypatch, home):
    for name in (FOLDER_VARIABLE, "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    if home:
        monkeypatch.setenv("HOME", home)

    def unknown(*arguments):
        raise KeyError("a user without a name")

    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.chdir(tmp_path)
    assert OPEN() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_stops_nothing(tmp_path, monkeypatch, code):
    cache, own = a_cache(tmp_path)
    compiled(own, "train", b"machine code")
    again, other = a_cache(tmp_path, 2)

    def full(path, content):
        raise OSError(code, os.strerror(code), str(path))

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.write_bytes", full)
        cache.keep("a")
    assert not list(tmp_path.glob("programs/*/*/*"))
    a_cache(tmp_path, 3)[0].keep("a")
    compiled(own, "more", b"machine code")
    cache.keep("a")  # negative control
    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.write_bytes", full)
        assert not again.take("a")
    assert list(other.iterdir()) == []
    assert again.take("a")


@pytest.mark.parametrize("flags", [f"{CACHE_FLAG}=/somewhere", ""])
def test_a_cache_of_the_user_stays_and_flags_that_were_read_too(root, monkeypatch, flags):
    monkeypatch.setenv(FLAGS_VARIABLE, flags)
    if not flags:
        monkeypatch.setitem(sys.modules, "tensorflow", sys)
    assert OPEN() is None
    assert os.environ[FLAGS_VARIABLE] == flags
    assert not root.exists()


def test_a_release_that_does_not_find_cached_programs_has_no_cache(root, monkeypatch):
    monkeypatch.setattr(compilation_cache, "behaviour", lambda: UNKNOWN)
    parents = f"{CACHE_FLAG}='/not/writable/{OWN_FOLDER}0'"
    monkeypatch.setenv(FLAGS_VARIABLE, f"--tf_xla_clustering_debug {parents}")
    assert OPEN() is None
    assert os.environ[FLAGS_VARIABLE] == "--tf_xla_clustering_debug"
    assert not root.exists()


def test_a_child_has_its_own_folder_and_that_of_a_killed_process_is_removed(root):
    code = (
        "import os, sys; from seq2seq_cli.training.compilation_cache import open_cache; "
        "assert open_cache(); print(os.environ['TF_XLA_FLAGS'], flush=True); "
        "os._exit(0) if sys.argv[1:] else None"
    )
    OPEN()
    (mine,) = root.glob(f"{OWN_FOLDER}*")

    def child(*arguments):
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    killed = child("killed")
    assert killed.count(CACHE_FLAG) == 1
    assert mine.name not in killed
    assert len(list(root.glob(f"{OWN_FOLDER}*"))) == 2
    child()
    assert list(root.glob(f"{OWN_FOLDER}*")) == [mine]


@pytest.mark.parametrize("change", ["flags", "release", "processor", "cores"])
def test_another_kind_of_machine_has_other_programs(monkeypatch, change):
    before = machine_key()
    assert machine_key() == before
    if change == "flags":
        monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    elif change == "release":
        monkeypatch.setattr(compilation_cache, "version", lambda name: "2.99")
    elif change == "processor":
        monkeypatch.setattr(compilation_cache, "hardware", lambda: ["x86_64", "without avx"])
    else:
        monkeypatch.setattr(compilation_cache, "cores", lambda: 64)
    assert machine_key() != before


TRAIN = """
import sys
from seq2seq_cli import train
from seq2seq_cli.training.events import Compiling
from tiny import tiny_config
if n_traces := int(sys.argv[2]):
    from seq2seq_cli.training.process import configure_process, import_keras
    configure_process()
    import_keras()
    import tensorflow as tf
    for i in range(n_traces):  # must not matter
        tf.function(lambda x: x + i)(tf.zeros(2))
events = []
train(tiny_config(epochs=1), sys.argv[1], "run", progress=events.append)
print(sum(isinstance(event, Compiling) for event in events))
"""


@pytest.mark.usefixtures("compiled_once")
def test_cached_programs_are_loaded_unless_damaged_and_train_the_same_bits(tmp_path):
    """And no line of TensorFlow reaches a Python user."""
    hidden = ("TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS", "CUDA_VISIBLE_DEVICES")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment |= {
        FOLDER_VARIABLE: str(tmp_path / "kept"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }

    def trained(name, n_traces=0):
        command = [sys.executable, "-c", TRAIN, str(tmp_path / name), str(n_traces)]
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
        assert (result.returncode, result.stderr) == (0, "")
        return int(result.stdout)

    assert trained("first") == 1
    (program,) = tmp_path.glob("kept/programs/*/*/*.pb")
    assert trained("second", n_traces=3) == 0
    program.write_bytes(program.read_bytes()[:1000])
    assert trained("damaged") == 1
    assert len(list(tmp_path.glob("kept/programs/*/*/*.pb"))) == 1
    train(tiny_config(epochs=1), tmp_path, "run")
    for name in ("first", "second", "damaged"):
        assert_identical(tmp_path / "run", tmp_path / name / "run")


def test_no_name_in_a_program_depends_on_the_order_of_tracing():
    task = {"n_in": "1-4", "n_out": 2, "cardinality": 13}
    model = {"attention": "dot", "bidirectional": True, "layers": 2, "embedding": 8,
             "dropout": 0.2, "recurrent_dropout": 0.1, "token_dropout": 0.1}  # fmt: skip
    config = RunConfig(task=TaskConfig(**task), model=ModelConfig(units=40, **model))
    loop = Loop(build_models(config)[0], config)
    source, target = (np.zeros((CHUNK, loop.batch_size, width), np.int32) for width in (4, 3))
    rates = np.zeros(CHUNK, np.float32)
    ir = loop._train.experimental_get_compiler_ir
    program = ir(source, target, target, rates, rates, tf.constant(1))(stage="hlo")
    assert re.findall(r"[\w/]+/_\d+\b", program) == []  # the names of folded constants


def test_without_a_cache_tensorflow_numbers_its_functions(monkeypatch):
    own = ops.uid
    monkeypatch.setattr(keys, "open_cache", lambda: None)
    with keys.named_after("0" * 32):
        assert ops.uid is own
    monkeypatch.setattr(keys, "open_cache", lambda: "a cache")
    with keys.named_after("0" * 32):  # negative control
        assert ops.uid is not own
    assert ops.uid is own


def test_a_second_program_with_the_same_key_is_not_cached(monkeypatch):
    plan = prepare(RunConfig(task=TaskConfig(n_in=4, n_out=2, cardinality=13)))
    kept = []
    cache = SimpleNamespace(take=lambda key: True, keep=kept.append)
    for module in (runner, keys):
        monkeypatch.setattr(module, "open_cache", lambda: cache)
    monkeypatch.setattr(keys, "_named", set())

    class StubLoop:
        is_one_program, call_steps = True, None

        def __init__(self):
            self.ran = set()

        def trace(self, n_in, n_out, key):
            with keys.named_after(key):
                pass

        def trace_validation(self, n, n_in, n_out):
            pass

        def train(self, *arguments):
            return ChunkResult(1.0, 0, 1)

    sequences = np.ones((64, 4), np.int32), np.ones((64, 2), np.int32)
    chunk = runner.Chunk(0, 1, *sequences, np.zeros(1, np.float32))
    for is_second in (False, True):
        running = runner.Runner(StubLoop(), plan)
        assert running.compiles(chunk) is is_second
        running.train(chunk)
        assert not running.compiles(chunk)
        assert len(kept) == 1
        running.close()
