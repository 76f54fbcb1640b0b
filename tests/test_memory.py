"""What surely needs more memory than there is is refused before any of it is taken."""

import subprocess
import sys

import pytest
from random_run import load_random

from seq2seq_cli import footprint, memory
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.data.streams import GeneratedStream
from seq2seq_cli.data.tasks import find_task
from seq2seq_cli.errors import ConfigurationError, DataError
from seq2seq_cli.evaluation import evaluate
from seq2seq_cli.footprint import TENSORFLOW, training_needs
from seq2seq_cli.memory import Need, check, group_limits
from seq2seq_cli.prediction import encode, predict
from seq2seq_cli.training.process import full_memory_named

MEASURED = """
import sys
from seq2seq_cli.cli import main
sys.argv = ["s2s", *sys.argv[1:]]
try:
    main()
finally:
    assert "tensorflow" not in sys.modules
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            print(line.split()[1])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("train --units 1000000", "model.units = 1000000: "),
        ("train --embedding 2000000000", "model.embedding = 2000000000: "),
        ("train --batch-size 2000000000", "training.batch_size = 2000000000: "),
        ("train --n-in 1000000000", "task.n_in = 1000000000: "),
        ("train --n-in 1000000000 --cardinality 2 --n-out 1", "task.n_in = 1000000000: "),
        ("train --units 100000 --seeds 2", "model.units = 100000: "),
        ("train --n-in 99999999999999999", "task.n_in = 99999999999999999: "),
        ("generate --n-in 1000000000", "task.n_in = 1000000000: "),
        ("generate --n-samples 1000000000", "n_samples = 1000000000: "),
        ("generate --n-samples 99999999999 --output a.npz", "n_samples = 99999999999: "),
        ("train --units 9223372036854775807", "model.units"),
    ],
)
def test_sizes_are_refused_before_anything_is_taken(tmp_path, arguments, named):
    result = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments.split()],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 2, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"s2s: {named}")
    assert "of memory, and all there is are" in line
    assert int(result.stdout) * 1024 < 300e6
    assert list(tmp_path.iterdir()) == []


def refusal(config, limit, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: limit)
    with pytest.raises(ConfigurationError) as refused:
        check(training_needs(config), TENSORFLOW)
    return str(refused.value)


def test_what_dominates_is_named(monkeypatch):
    def config(task=None, model=None, training=None):
        return RunConfig(
            task=TaskConfig(**task or {}),
            model=ModelConfig(**model or {}),
            training=TrainingConfig(**training or {}),
        )

    for given, named in [
        (config(model={"units": 20_000}), "model.units = 20000: "),
        (config(task={"cardinality": 900_000}, model={"units": 500}), "task.cardinality = 900000"),
        (config(task={"n_in": "1-900000"}), "task.n_in = 900000: "),
        (config(training={"batch_size": 10**7}), "training.batch_size = 10000000: "),
        (config(model={"embedding": 10**7}), "model.embedding = 10000000: "),
    ]:
        assert refusal(given, 2 * 10**9, monkeypatch).startswith(named)


@pytest.mark.parametrize(
    ("sizes", "measured"),
    [
        (({"cardinality": 50_000}, {}), 2149),
        (({"cardinality": 5_001}, {}), 966),
        (({"n_in": 384, "n_out": 192}, {}), 1202),
        (({}, {"units": 512}), 888),
        (({}, {}), 810),
    ],
)
def test_what_was_measured_to_work_is_not_refused(sizes, measured, monkeypatch):
    """Peaks of whole trainings in MB, from the README: the bound is below them, and not far."""
    task, model = sizes
    config = RunConfig(task=TaskConfig(**task), model=ModelConfig(**model))
    taken = TENSORFLOW + sum(need.bytes for need in training_needs(config))
    assert measured * 1e6 / 3 < taken <= measured * 1e6
    monkeypatch.setattr(memory, "available", lambda: measured * 10**6)
    check(training_needs(config), TENSORFLOW)


@pytest.mark.parametrize(
    ("line", "file", "text", "found"),
    [
        ("0::/a/b", "a/b/memory.max", "1000", [1000]),
        ("0::/a/b", "a/memory.max", "1000", [1000]),
        ("0::/of/the/host", "memory.max", "1000", [1000]),
        ("0::/a", "a/memory.max", "max", []),
        ("4:memory:/a/b", "memory/a/b/memory.limit_in_bytes", "1000", [1000]),
        ("4:memory:/of/the/host", "memory/memory.limit_in_bytes", "1000", [1000]),
        ("3:cpuset:/a", "cpuset/a/memory.max", "1000", []),
        ("no line", "memory.max", "1000", []),
    ],
)
def test_limits_of_control_groups_are_found(tmp_path, line, file, text, found):
    (tmp_path / "cgroup").write_text(f"1:cpu:/\n{line}\n")
    path = tmp_path / "groups" / file
    path.parent.mkdir(parents=True)
    path.write_text(text + "\n")
    assert group_limits(tmp_path / "cgroup", tmp_path / "groups") == found
    assert group_limits(tmp_path / "none", tmp_path / "groups") == []


def test_the_smallest_limit_counts(monkeypatch):
    monkeypatch.setattr(memory, "group_limits", lambda *_: [2**63 - 4096])
    whole = memory.available()
    assert whole is not None
    assert 10**8 < whole < 2**60
    monkeypatch.setattr(memory, "group_limits", lambda *_: [10**8])
    assert memory.available() == 10**8
    with pytest.raises(ConfigurationError, match="all there is are 100 MB"):
        check([Need("it", 2 * 10**8, {"a": 1})])
    monkeypatch.setattr(memory, "available", lambda: None)
    check([Need("it", 2**80, {"a": 1})])


def attending_run(units=6):
    model = ModelConfig(units=units, attention="dot")
    return load_random(RunConfig(task=TaskConfig(n_in=3, n_out=2, cardinality=9), model=model))


@pytest.mark.parametrize("use", [predict, encode])
def test_a_source_that_fills_the_memory_is_refused(monkeypatch, use):
    run = attending_run()
    use(run, [[1, 2, 3]])
    monkeypatch.setattr(memory, "available", lambda: 1000)
    with pytest.raises(DataError, match="a sequence's length = 100: .* at least 2.4 kB"):
        use(run, [[1] * 100])


def test_states_that_fill_the_memory_are_refused(monkeypatch):
    run = attending_run()
    monkeypatch.setattr(memory, "available", lambda: 10_000)
    encode(run, [[1, 2, 3]] * 50)
    with pytest.raises(DataError, match="sequences = 100: their states .* at least 10.8 kB"):
        encode(run, [[1, 2, 3]] * 100)


def test_a_beam_and_its_attention_that_fill_the_memory_are_refused(monkeypatch):
    run = attending_run()
    monkeypatch.setattr(memory, "available", lambda: 30_000)
    assert predict(run, [[1, 2, 3]], beam=4, attention=True)
    with pytest.raises(ConfigurationError, match="beam = 1000: its hypotheses would take"):
        predict(run, [[1, 2, 3]], beam=1000)
    with pytest.raises(DataError, match="a sequence's length = 200: its hypotheses|what is kept"):
        predict(run, [[1] * 200], beam=20, attention=True)


def test_an_evaluation_that_fills_the_memory_is_refused(monkeypatch):
    run = attending_run()
    monkeypatch.setattr(memory, "available", lambda: 10**8)
    assert evaluate(run, 50, n_in=5).n_samples == 50
    with pytest.raises(ConfigurationError, match="examples = 1000000: the examples would take"):
        evaluate(run, 10**6, n_in=20, n_examples=10**6)
    with pytest.raises(ConfigurationError, match="task.n_in = 100000: 1,024 drawn sources"):
        evaluate(run, 50, n_in=100_000)
    monkeypatch.setattr(memory, "available", lambda: 3 * 10**6)
    evaluate(run, 512, n_in=30)
    with pytest.raises(ConfigurationError, match="n_in = 30: decoding 512 sequences would take"):
        evaluate(attending_run(units=64), 512, n_in=30)


def test_kept_blocks_of_long_sources_are_few():
    """Each would have 200 MB, and eight of them were kept."""
    config = TaskConfig(n_in=50_000, n_out=1, cardinality=9)
    stream = GeneratedStream(find_task(config), config, 0)
    assert stream._block.cache_info().maxsize == 1
    config = TaskConfig(n_in=6, n_out=1, cardinality=9)
    assert GeneratedStream(find_task(config), config, 0)._block.cache_info().maxsize == 8


class ResourceExhaustedError(Exception):
    """As TensorFlow's own."""


@pytest.mark.parametrize(
    "error", [ResourceExhaustedError("OOM"), RuntimeError("RESOURCE_EXHAUSTED: Out of memory")]
)
def test_tensorflows_own_words_are_a_full_memory(error):
    with pytest.raises(MemoryError, match="the memory is full"), full_memory_named():
        raise error
    with pytest.raises(RuntimeError, match="another"), full_memory_named():
        raise RuntimeError("another")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited by rlimit")
def test_a_full_memory_of_a_training_is_one_line(tmp_path):
    """The estimate let by, TensorFlow cannot have what it asks for."""
    code = (
        "import sys; from seq2seq_cli import memory; memory.available = lambda: None; "
        "from seq2seq_cli.cli import main; "
        "sys.argv = ['s2s', 'train', '--units', '1000000', '--n-samples', '64']; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 6, result.stderr
    assert result.stderr.splitlines()[-1] == "s2s: the memory is full: make the sizes smaller"
    assert "Traceback" not in result.stderr


def test_no_batch_is_validated_that_is_larger_than_the_estimate_says():
    assert footprint.validation_batch(RunConfig()) == 1000
    one = TrainingConfig(batch_size=1)
    assert footprint.validation_batch(RunConfig(task=TaskConfig(n_in=10**6), training=one)) == 1
