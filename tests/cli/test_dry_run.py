"""`s2s train --dry-run` shows a planned training, and trains and writes nothing."""

import json
from pathlib import Path

import pytest

from seq2seq_cli.cli.commands.train import train
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.cli.rendering.output import duration
from seq2seq_cli.config import RunConfig
from seq2seq_cli.errors import ConfigurationError, ExistsError, StorageError


@pytest.fixture
def planned(capsys, tmp_path, monkeypatch):
    """Return a function that returns what `--dry-run` prints, by default as JSON."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(output, "end_with_reader", lambda: None)

    def plan(as_json=True, **options):
        train(dry_run=True, as_json=as_json, **options)
        shown = capsys.readouterr()
        return json.loads(shown.out) if as_json else shown.out + shown.err

    return plan


def test_the_document_has_the_settings_the_layers_and_the_estimate(planned):
    document = planned(n_samples=1000, batch_size=64, epochs=3, seeds=3)
    config = RunConfig.model_validate(document["config"])
    assert document["steps"] == config.training.total_steps == 48
    assert (document["n_in"], document["n_out"], document["programs"]) == (6, 3, 1)
    assert document["parameters"] == sum(layer["parameters"] for layer in document["layers"])
    assert document["seconds"] == document["start_seconds"] + 3 * document["seed_seconds"]


def test_custom_data_is_described_and_nothing_is_written(planned, tmp_path):
    Path("own.csv").write_text("".join(f"{n} {n + 1},{n}\n" for n in range(1, 200)))
    document = planned(data="own.csv")
    assert document["data"]["pairs"] == 199
    assert document["data"]["values"] == [1, 200]
    assert document["config"]["task"]["cardinality"] == 201
    shown = planned(as_json=False, data="own.csv")
    for words in ("own.csv", "source lengths", "task.cardinality", "encoder_lstm", "memory",
                  "nothing was trained or written"):  # fmt: skip
        assert words in shown
    assert [path.name for path in tmp_path.iterdir()] == ["own.csv"]


def test_an_error_that_would_prevent_the_start_is_raised(planned):
    with pytest.raises(ConfigurationError, match="remove --resume"):
        planned(resume=True)
    with pytest.raises(ConfigurationError, match="there is no file none.py"):
        planned(callback="none.py:function")
    Path("runs/taken").mkdir(parents=True)
    Path("runs/taken/config.toml").touch()
    with pytest.raises(ExistsError, match="taken exists"):
        planned(run="taken")
    with pytest.raises(ConfigurationError, match=r"model.units = 10000000: .* of memory"):
        planned(units=10**7)
    with pytest.raises(StorageError, match=r"taken/config.toml is not a folder"):
        planned(runs_dir=Path("runs/taken/config.toml/runs"))
    assert [path.name for path in Path("runs").iterdir()] == ["taken"]


def test_durations_have_two_digits():
    assert [duration(s) for s in (0, 0.51, 22.4, 119, 247, 720, 12_600, 200_000)] == [
        "0 s", "0.51 s", "22 s", "120 s", "4.1 min", "12 min", "3.5 h", "2.3 days",
    ]  # fmt: skip
