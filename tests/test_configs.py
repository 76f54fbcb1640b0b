import csv
from pathlib import Path

import pytest

from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.plan import prepare
from seq2seq_cli.data.sampling import Split
from seq2seq_cli.data.tasks import TASKS, problems
from seq2seq_cli.settings import resolve
from seq2seq_cli.shipped import SCHEMA_LINE
from seq2seq_cli.sweep.description import read_sweep
from seq2seq_cli.sweep.plan import plan_cells

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.toml"))
SWEEPS = sorted((Path(__file__).parents[1] / "configs" / "sweeps").glob("*.toml"))


def test_there_are_configs():
    assert {"default.toml", "tutorial.toml"} <= {path.name for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_config_can_be_trained_and_says_what_it_shows(path):
    plan = prepare(resolve(path, check=problems))
    assert len(plan.stream.draw(Split.TRAIN, 0, 2)[0]) == 2
    schema, sentence = path.read_text().splitlines()[:2]
    assert schema == SCHEMA_LINE
    assert sentence.startswith("# ")
    assert f"s2s train --config {path.stem}" in path.read_text()


def test_every_task_has_a_configuration_of_its_name():
    for name in TASKS:
        assert resolve(CONFIGS[0].with_name(f"{name}.toml")).task.name == name


def test_the_table_of_tasks_is_that_of_the_configurations():
    text = CONFIGS[0].with_name("README.md").read_text()
    table = text.split("## What each task reaches")[1].split("\n## ")[0]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]
    rows = {row[0].strip("`"): row[1:] for row in cells if row[0].startswith("`")}
    assert list(rows) == list(TASKS)
    for name, (level, n_in, cardinality, *_) in rows.items():
        config = resolve(CONFIGS[0].with_name(f"{name}.toml"))
        assert level == TASKS[name].level
        assert (n_in, int(cardinality)) == (str(config.task.n_in), config.task.cardinality)


def test_every_row_of_the_robustness_table_is_of_a_shipped_configuration():
    with CONFIGS[0].with_name("robustness.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["config"] for row in rows} <= {path.stem for path in CONFIGS}
    assert all(0 <= float(row["exact_match"]) <= 1 for row in rows)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.name)
def test_every_shipped_sweep_can_be_trained_and_says_what_it_maps(path):
    sweep = read_sweep(path)
    cells = sweep.cells()
    assert len(plan_cells(cells, sweep.seeds)) == len(cells) >= 8
    assert path.read_text().startswith("# ")


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.name)
def test_the_results_of_every_shipped_sweep_are_next_to_it(path):
    sweep = read_sweep(path)
    expected = {(cell.name, str(seed)) for cell in sweep.cells() for seed in range(sweep.seeds)}
    with path.with_suffix(".csv").open() as file:
        shares = {(row["cell"], row["seed"]): row["exact_match"] for row in csv.DictReader(file)}
    assert set(shares) == expected
    assert all(0 <= float(share) <= 1 for share in shares.values())


def test_there_are_sweeps():
    names = {"lengths", "attention", "cardinality", "generalization"}
    assert names <= {path.stem for path in SWEEPS}


def test_the_default_configuration_has_the_defaults():
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
