from pathlib import Path

import pytest

from seq2seq_cli.config import RunConfig
from seq2seq_cli.settings import resolve
from seq2seq_cli.tasks import problems

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.toml"))


def test_there_are_configs():
    assert {"default.toml", "tutorial.toml"} <= {path.name for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_config_is_valid_and_says_what_it_shows(path):
    resolve(path, check=problems)
    assert path.read_text().startswith("# ")


def test_the_default_config_is_what_the_defaults_are():
    assert resolve(CONFIGS[0].with_name("default.toml")) == RunConfig()


def test_the_tutorial_config_has_the_tutorials_settings():
    config = resolve(CONFIGS[0].with_name("tutorial.toml"))
    assert config.model.units == 128
    training = config.training
    assert (training.batch_size, training.learning_rate, training.schedule) == (
        32,
        0.001,
        "constant",
    )
    assert (training.n_samples, training.epochs) == (100_000, 1)
