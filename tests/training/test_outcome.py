"""A training that did not learn its task says so, and what to try."""

import json
import math
import re

import numpy as np
import pytest
from tiny import TINY, tiny_config

from seq2seq_cli import train
from seq2seq_cli.cli.rendering.training import TrainingProgress, show_run
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.evaluation import evaluate
from seq2seq_cli.inference.loading import load_network
from seq2seq_cli.runs.history import Call, EpochRecord
from seq2seq_cli.training.outcome import guessing_loss, shortfall

TARGETS = np.array([[1, 2, 4], [2, 1, 0], [1, 2, 4], [2, 1, 0]], np.int32)


def ended(loss, exact_match, *training_losses):
    n = len(training_losses)
    calls = tuple(Call(10 * (i + 1), 10, x, 0.0, 0.1) for i, x in enumerate(training_losses))
    record = EpochRecord(
        1, 1, 640, 1.0, loss, exact_match, 0.0, 1.0, 0.5, 0.01, 2.0, 320.0, 10 * n, True, calls
    )
    return (record,)


def test_the_loss_of_guessing_is_that_of_each_position_s_frequencies():
    assert guessing_loss([TARGETS[:1], TARGETS[1:2, :2], TARGETS[2:]]) == pytest.approx(
        8 * math.log(2) / 10
    )


@pytest.mark.parametrize(
    ("history", "problem"),
    [
        (ended(0.55, 0.0, 1, 1, 1, 1, 1), "nothing was learned"),
        (ended(0.2, 0.5, 1, 1, 1, 1, 0.8), "still falling"),
        (ended(0.2, 0.5, 1, 1, 1, 1, 0.95), ""),
        (ended(0.2, 0.995, 1, 1, 1, 1, 0.1), ""),
        (ended(0.2, 0.5), ""),
    ],
)
def test_a_training_at_chance_or_still_learning_is_short_of_something(history, problem):
    assert problem in shortfall(RunConfig(), history, [TARGETS])
    assert bool(problem) == bool(shortfall(RunConfig(), history, [TARGETS]))


def test_it_says_what_to_try():
    chance = ended(2.0, 0.0)
    long = RunConfig(task=TaskConfig(n_in=400))
    assert "`--config long`" in shortfall(long, chance, [TARGETS])
    assert "--attention dot" in shortfall(RunConfig(), chance, [TARGETS])
    attending = RunConfig(model=ModelConfig(attention="dot"))
    assert shortfall(attending, chance, [TARGETS]).endswith(
        "try more steps, such as --n-samples 200000"
    )


def test_few_steps_are_the_first_thing_to_change():
    few = RunConfig(training=TrainingConfig(n_samples=750))
    advice = "only 12 optimizer steps: `--epochs 131` makes as many as the seed task has"
    assert shortfall(few, ended(2.0, 0.0), [TARGETS]).endswith(f"; {advice}")
    assert shortfall(few, ended(0.2, 0.5), [TARGETS]) == advice
    assert shortfall(few, ended(0.2, 0.995), [TARGETS]) == ""
    long = few.model_copy(update={"task": TaskConfig(n_in=400)})
    assert "`--config long`" in shortfall(long, ended(2.0, 0.0), [TARGETS])


def test_more_steps_of_custom_data_are_more_epochs():
    data = RunConfig(task=TaskConfig(data="a.csv"), model=ModelConfig(attention="dot"))
    assert shortfall(data, ended(2.0, 0.0), [TARGETS]).endswith("steps, such as --epochs 2")


@pytest.mark.usefixtures("compiled_once")
def test_a_training_ends_with_its_accuracy_and_what_to_try(s2s_here):
    shown = s2s_here("train", *TINY)
    verdict, advice, saved = shown.stderr.splitlines()[-3:]
    share = re.fullmatch(r"exact match ([\d.]+%): n.*; main error: wrong tokens .*", verdict)[1]
    assert share in shown.stdout
    assert "only 40 optimizer steps: `--epochs 40`" in advice
    assert saved.startswith("saved in ")
    assert "exact match" not in s2s_here("evaluate", "--quiet").stderr


@pytest.mark.usefixtures("compiled_once")
def test_a_training_reports_its_shortfall(tmp_path, capsys):
    progress, events = TrainingProgress(quiet=True), []

    def report(event):
        progress.show(event)
        events.append(event)

    run = train(tiny_config(learning_rate=1e-6), tmp_path, "idle", progress=report)
    assert events[-1].shortfall.startswith("nothing was learned: the held-out loss is 2.")
    report = evaluate(load_network(run), 100)
    show_run(run, report, progress, as_json=True, quiet=False)
    assert json.loads(capsys.readouterr().out)["notes"][-1] == events[-1].shortfall


@pytest.mark.usefixtures("compiled_once")
@pytest.mark.parametrize("seeds", [(), ("--seeds", "2")])
def test_a_training_demands_an_accuracy_after_saving_the_run(s2s_here, seeds):
    low = s2s_here("train", *TINY, *seeds, "--min-accuracy", "0.999", "--run", "a", check=False)
    assert low.returncode == 7
    *_, saved, refused = low.stderr.splitlines()
    assert saved.startswith("saved in runs")
    assert refused.endswith("is below --min-accuracy 0.999")
    assert s2s_here("evaluate", "--n-samples", "10").stdout
    s2s_here("train", *TINY, *seeds, "--min-accuracy", "0", "--run", "b")
