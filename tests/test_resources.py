"""The memory and time that configurations need: near what was measured, or refused."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from random_run import load_random

from seq2seq_cli import resources
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.data.plan import prepare
from seq2seq_cli.data.streams import GeneratedStream
from seq2seq_cli.data.tasks import find_task
from seq2seq_cli.errors import ConfigurationError, DataError
from seq2seq_cli.evaluation import evaluate
from seq2seq_cli.prediction import encode, predict
from seq2seq_cli.resources import (
    TENSORFLOW,
    Need,
    check,
    check_training,
    step_seconds,
    training_needs,
    validation_batch,
    validation_samples,
)
from seq2seq_cli.training.process import full_memory_named

MEASURED = """
import sys
from seq2seq_cli.cli.process import main
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
        ("train --units 9223372036854775807 --seeds 2", "model.units"),
        ("train --n-in 1000000000", "task.n_in = 1000000000: "),
        ("generate --n-samples 99999999999 --output a.npz", "n_samples = 99999999999: "),
    ],
)
def test_sizes_are_refused_before_memory_is_taken(tmp_path, arguments, named):
    result = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments.split()],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 2, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"s2s: {named}")
    assert "of memory, and " in line
    assert int(result.stdout) * 1024 < 300e6
    assert list(tmp_path.iterdir()) == []


def refusal(config, limit, monkeypatch):
    monkeypatch.setattr(resources, "available_memory", lambda: limit)
    with pytest.raises(ConfigurationError) as refused:
        check_training(config)
    return str(refused.value)


def test_the_largest_need_is_named(monkeypatch):
    def of(task=None, model=None, training=None):
        return RunConfig(
            task=TaskConfig(**task or {}),
            model=ModelConfig(**model or {}),
            training=TrainingConfig(**training or {}),
        )

    for config, named in [
        (of(model={"units": 20_000}), "model.units = 20000: "),
        (of(task={"cardinality": 900_000}, model={"units": 500}), "task.cardinality = 900000"),
        (of(task={"n_in": "1-900000"}), "task.n_in = 900000: "),
        (of(training={"batch_size": 10**7}), "training.batch_size = 10000000: "),
        (of(model={"embedding": 10**7}), "model.embedding = 10000000: "),
    ]:
        assert refusal(config, 2 * 10**9, monkeypatch).startswith(named)


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
def test_sizes_that_were_measured_to_work_are_not_refused(sizes, measured, monkeypatch):
    """Measured peaks of trainings, in MB: the bound is below them, and not far."""
    task, model = sizes
    config = RunConfig(task=TaskConfig(**task), model=ModelConfig(**model))
    taken = TENSORFLOW + sum(need.bytes for need in training_needs(config))
    assert measured * 1e6 / 3 < taken <= measured * 1e6
    monkeypatch.setattr(resources, "available_memory", lambda: measured * 10**6)
    check_training(config)


def test_needs_beyond_the_memory_are_refused(monkeypatch):
    monkeypatch.setattr(resources, "available_memory", lambda: 10**8)
    check([Need("it", 10**8, {"a": 1})])
    with pytest.raises(
        ConfigurationError, match="a = 1: it would take .*, and 100 MB is available"
    ):
        check([Need("it", 10**8, {"a": 1})], besides=1)
    monkeypatch.setattr(resources, "available_memory", lambda: None)
    check([Need("it", 2**80, {"a": 1})])


def attending_run(units=6):
    model = ModelConfig(units=units, attention="dot")
    return load_random(RunConfig(task=TaskConfig(n_in=3, n_out=2, cardinality=9), model=model))


@pytest.mark.parametrize("use", [predict, encode])
def test_a_source_that_fills_the_memory_is_refused(monkeypatch, use):
    run = attending_run()
    use(run, [[1, 2, 3]])
    monkeypatch.setattr(resources, "available_memory", lambda: 1000)
    with pytest.raises(DataError, match="a sequence's length = 100: .* at least 2.4 kB"):
        use(run, [[1] * 100])


def test_states_that_fill_the_memory_are_refused(monkeypatch):
    run = attending_run()
    monkeypatch.setattr(resources, "available_memory", lambda: 10_000)
    encode(run, [[1, 2, 3]] * 50)
    with pytest.raises(DataError, match="sequences = 100: their states .* at least 10.8 kB"):
        encode(run, [[1, 2, 3]] * 100)


def test_a_beam_and_its_attention_that_fill_the_memory_are_refused(monkeypatch):
    run = attending_run()
    monkeypatch.setattr(resources, "available_memory", lambda: 30_000)
    assert predict(run, [[1, 2, 3]], beam=4, attention=True)
    with pytest.raises(ConfigurationError, match="beam = 1000: the hypotheses would take"):
        predict(run, [[1, 2, 3]], beam=1000)
    with pytest.raises(DataError, match="a sequence's length = 200: the encoder's outputs"):
        predict(run, [[1] * 200], beam=20, attention=True)


def test_an_evaluation_that_fills_the_memory_is_refused(monkeypatch):
    run = attending_run()
    monkeypatch.setattr(resources, "available_memory", lambda: 10**8)
    assert evaluate(run, 50, n_in=5).n_samples == 50
    with pytest.raises(ConfigurationError, match="examples = 1000000: the examples would take"):
        evaluate(run, 10**6, n_in=20, n_examples=10**6)
    with pytest.raises(ConfigurationError, match="task.n_in = 100000: 1,024 drawn sources"):
        evaluate(run, 50, n_in=100_000)
    monkeypatch.setattr(resources, "available_memory", lambda: 3 * 10**6)
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
    """Has the name of TensorFlow's."""


@pytest.mark.parametrize(
    "error", [ResourceExhaustedError("OOM"), RuntimeError("RESOURCE_EXHAUSTED: Out of memory")]
)
def test_tensorflows_errors_of_a_full_memory_are_memory_errors(error):
    with pytest.raises(MemoryError, match="the memory is full"), full_memory_named():
        raise error
    with pytest.raises(RuntimeError, match="another"), full_memory_named():
        raise RuntimeError("another")


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited by rlimit")
def test_a_full_memory_of_a_training_is_one_line(tmp_path):
    """Without the estimate, TensorFlow fails to allocate."""
    code = (
        "import sys; from seq2seq_cli import resources; resources.available_memory = lambda: None; "
        "from seq2seq_cli.cli.process import main; "
        "sys.argv = ['s2s', 'train', '--units', '1000000', '--n-samples', '64']; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 6, result.stderr
    assert result.stderr.splitlines()[-1] == "s2s: the memory is full: make the sizes smaller"
    assert "Traceback" not in result.stderr


def test_long_sequences_are_validated_in_smaller_numbers_and_batches():
    def sizes(n_in, batch_size=64):
        training = TrainingConfig(batch_size=batch_size)
        config = RunConfig(task=TaskConfig(n_in=n_in, n_out=n_in), training=training)
        return validation_samples(config), validation_batch(config)

    assert sizes(6) == (10_000, 1000)
    assert sizes(200) == (2500, 125)
    assert sizes(10**6) == (100, 64)
    assert sizes(10**6, batch_size=1) == (100, 1)


README = Path(__file__).with_name("README.md").read_text()
MEASURED_STEPS = re.findall(
    r"^\| (\d+) → (\d+)(, embedding 64)?(, attention)?(?: \(two\))? \| (\d+) \| ([\d,]+) \| "
    r"[\d.]+ s \| ([\d.]+) ms \| [^|]+\| [^|]+\| ([\d,]+) MB \|$",
    README,
    re.MULTILINE,
)
"""The table of steps: n_in, n_out, embedding, attention, units, cardinality, ms, MB."""


def test_the_measured_steps_are_those_of_the_table():
    assert len(MEASURED_STEPS) == 8


@pytest.mark.parametrize("row", MEASURED_STEPS, ids=lambda row: "-".join(filter(None, row[:6])))
def test_time_and_memory_fit_what_was_measured(row):
    n_in, n_out, embedding, attention, units, cardinality, milliseconds, megabytes = row
    config = RunConfig(
        task=TaskConfig(
            n_in=int(n_in), n_out=int(n_out), cardinality=int(cardinality.replace(",", ""))
        ),
        model=ModelConfig(
            units=int(units),
            embedding=64 if embedding else 0,
            attention="dot" if attention else "none",
        ),
    )
    estimated = 1000 * step_seconds(config, int(n_in), int(n_out))
    assert 0.5 < estimated / float(milliseconds) < 2
    memory = prepare(config).estimate.memory / 10**6
    assert 2 / 3 < memory / float(megabytes.replace(",", "")) < 3 / 2


def test_a_width_equal_to_the_cardinality_is_estimated_like_its_neighbours():
    def seconds(cardinality):
        task = TaskConfig(cardinality=cardinality)
        return step_seconds(RunConfig(task=task, model=ModelConfig(units=128)), 6, 3)

    assert seconds(127) < seconds(128) < seconds(129)
    assert seconds(129) - seconds(127) < seconds(127) / 10


def test_the_estimated_time_has_a_part_for_each_seed():
    config = RunConfig(training=TrainingConfig(n_samples=1000, batch_size=64, epochs=3))
    estimate = prepare(config).estimate
    assert estimate.steps == config.training.total_steps == 48
    assert (estimate.n_in, estimate.n_out, estimate.programs) == (6, 3, 1)
    assert estimate.seed_seconds > 48 * estimate.step_seconds
    assert estimate.seconds(3) - estimate.seconds() == pytest.approx(2 * estimate.seed_seconds)
    assert estimate.seconds(0) == 0


def test_lengths_that_vary_are_estimated_by_the_mean_width_of_the_batches():
    config = RunConfig(task=TaskConfig(name="reverse", n_in="1-25", cardinality=51))
    estimate = prepare(config).estimate
    assert 13 < estimate.n_in < 25
    assert estimate.n_out == estimate.n_in + 1
    assert estimate.programs > 1
