"""`s2s train --dry-run` shows a planned training, and trains and writes nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from seq2seq_cli.cli.rendering import output
from seq2seq_cli.cli.rendering.output import duration
from seq2seq_cli.cli.rendering.plan import plan_training
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.errors import ConfigurationError, ExistsError

WITHOUT_TENSORFLOW = """
import sys
from seq2seq_cli.cli.process import main
try:
    main()
finally:
    print([name for name in ("tensorflow", "keras") if name in sys.modules], file=sys.stderr)
"""


@pytest.fixture
def planned(capsys, tmp_path, monkeypatch):
    """Return a function that returns what `--dry-run --json` says of a configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(output, "end_with_reader", lambda: None)

    def plan(config, seeds=None, run=None, resume=False):
        plan_training(config, Path("runs"), run, False, seeds, resume, as_json=True, quiet=False)
        return json.loads(capsys.readouterr().out)

    return plan


def test_the_document_has_the_settings_the_layers_and_the_estimate(planned):
    config = RunConfig(training=TrainingConfig(n_samples=1000, batch_size=64, epochs=3))
    document = planned(config, seeds=3)
    assert document["steps"] == config.training.total_steps == 48
    assert (document["n_in"], document["n_out"], document["programs"]) == (6, 3, 1)
    assert document["parameters"] == sum(layer["parameters"] for layer in document["layers"])
    assert RunConfig.model_validate(document["config"]).training == config.training
    assert document["seconds"] == document["start_seconds"] + 3 * document["seed_seconds"]


def test_own_data_is_described(planned, capsys):
    Path("own.csv").write_text("".join(f"{n} {n + 1},{n}\n" for n in range(1, 200)))
    config = RunConfig(task=TaskConfig(data="own.csv"))
    document = planned(config)
    assert document["data"]["pairs"] == 199
    assert document["data"]["values"] == [1, 200]
    assert document["config"]["task"]["cardinality"] == 201
    plan_training(config, Path("runs"), None, False, None, False, False, False)
    shown = capsys.readouterr().out
    for words in ("own.csv", "source lengths", "task.cardinality", "encoder_lstm", "memory"):
        assert words in shown


def test_whatever_would_keep_a_training_from_beginning_is_told(planned):
    with pytest.raises(ConfigurationError, match="remove --resume"):
        planned(RunConfig(), resume=True)
    Path("runs/taken").mkdir(parents=True)
    Path("runs/taken/config.toml").touch()
    with pytest.raises(ExistsError, match="taken exists"):
        planned(RunConfig(), run="taken")
    huge = RunConfig(model=ModelConfig(units=10**7))
    with pytest.raises(ConfigurationError, match=r"model.units = 10000000: .* of memory"):
        planned(huge)
    assert [path.name for path in Path("runs").iterdir()] == ["taken"]


def test_it_runs_without_tensorflow_and_writes_nothing(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW, "train", "--dry-run", "--config", "sort"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "encoder_lstm" in result.stdout
    assert "nothing was trained or written" in result.stderr
    assert result.stderr.splitlines()[-1] == "[]"
    assert list(tmp_path.iterdir()) == []


def test_durations_have_two_digits():
    assert [duration(s) for s in (0, 0.51, 22.4, 119, 247, 720, 12_600, 200_000)] == [
        "0 s", "0.51 s", "22 s", "120 s", "4.1 min", "12 min", "3.5 h", "2.3 days",
    ]  # fmt: skip
