"""Where settings are known to fail, others are recommended, and these can be trained with."""

import pytest

from seq2seq_cli.cli.commands.train import train
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.data.plan import prepare
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.recommendation import CONFIGURED, VARYING, recommend
from seq2seq_cli.settings import parse_config
from seq2seq_cli.shipped import shipped_file


def wanted(n_in, n_out=3, name="reverse-prefix", cardinality=51, **model):
    free = {"n_out": n_out} if name == "reverse-prefix" else {}
    task = TaskConfig(n_in=n_in, name=name, cardinality=cardinality, **free)
    return RunConfig(task=task, model=ModelConfig(**model))


@pytest.mark.parametrize(
    ("n_in", "model", "name"),
    [
        (6, {}, None),
        (12, {}, None),
        (24, {}, "attention"),
        (50, {"attention": "dot"}, None),
        (25, {"attention": "dot", "attention_radius": 0}, None),
        (50, {"attention": "dot", "attention_radius": 0}, "attention"),
        (51, {}, "long"),
        (400, {}, "long"),
        (401, {}, "thousand"),
        (1001, {}, "two-thousand"),
        (30_000, {}, "ten-thousand"),
        ("1-12", {}, None),
        ("1-25", {}, "varying"),
    ],
)
def test_what_is_recommended(n_in, model, name):
    found = recommend(wanted(n_in, **model))
    assert (found and found.name) == name


def test_nothing_is_known_of_other_tasks_and_of_custom_data():
    assert recommend(wanted(200, name="sort")) is None
    own = wanted("1-400").model_copy(update={"task": TaskConfig(data="a.csv", n_in="1-400")})
    assert recommend(own) is None


@pytest.mark.parametrize("name", [*(name for _, name in CONFIGURED), VARYING])
def test_at_its_own_lengths_it_is_the_shipped_configuration(name):
    shipped = parse_config(shipped_file(name).read_text(), name)
    given = RunConfig(task=shipped.task)
    assert recommend(given).under(given).model_dump() == shipped.model_dump()
    assert recommend(shipped) is None


@pytest.mark.parametrize("name", ["reverse-prefix", "reverse", "copy"])
@pytest.mark.parametrize("n_in", [13, 16, 39, 51, 90, 150, 399, 700, 1500, "1-30"])
@pytest.mark.parametrize(("n_out", "cardinality"), [(1, 51), (13, 3), (6, 12)])
def test_what_is_recommended_can_be_trained_with(name, n_in, n_out, cardinality):
    given = wanted(n_in, n_out, name, cardinality)
    taken = recommend(given).under(given)
    prepare(taken)
    assert recommend(taken) is None


def test_what_is_given_stays():
    given = RunConfig(
        task=TaskConfig(n_in=400, n_out=40),
        model=ModelConfig(units=9),
        training=TrainingConfig(learning_rate=0.1),
    )
    taken = recommend(given).under(given)
    assert (taken.model.units, taken.training.learning_rate) == (9, 0.1)
    assert (taken.model.attention, taken.training.clip_norm) == ("dot", 1.0)


@pytest.fixture
def trained(monkeypatch):
    """Let the command train nothing, and return the configurations that it would train."""
    configs = []

    def stop(config, *_, **__):
        configs.append(config)
        raise ConfigurationError("enough")

    monkeypatch.setattr("seq2seq_cli.training.session.train", stop)
    return configs


def test_the_command_says_what_is_recommended_and_takes_it_if_told(trained, capsys):
    with pytest.raises(ConfigurationError, match="enough"):
        train(n_in=400, n_out=40)
    note = capsys.readouterr().err
    assert note.startswith("note: a model without attention has learned sources of up to 12 ")
    assert "--auto" in note
    assert "--config long" in note
    with pytest.raises(ConfigurationError, match="enough"):
        train(n_in=400, n_out=40, auto=True)
    assert "the settings of `--config long`" in capsys.readouterr().err
    with pytest.raises(ConfigurationError, match="enough"):
        train(n_in=6, n_out=3, auto=True)
    assert capsys.readouterr().err == ""
    plain, taken, default = trained
    assert (plain.model.attention, taken.model.attention, default.model.attention) == (
        "none", "dot", "none"
    )  # fmt: skip
    with pytest.raises(ConfigurationError, match="--auto: a resumed training keeps"):
        train(resume=True, auto=True)
