"""The charts have the numbers of the history, the evaluation and the sweep's results."""

from dataclasses import replace
from statistics import median
from types import SimpleNamespace

import pytest
from random_run import load_random
from sample_runs import CALLS, LOOKING, PLAIN, described, save_runs, swept, with_seed

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.evaluation import evaluate
from seq2seq_cli.generalization import evaluate_lengths
from seq2seq_cli.inference.loading import load_run
from seq2seq_cli.metrics import wilson_interval
from seq2seq_cli.reports import TRAINING_CHARTS
from seq2seq_cli.reports.data import (
    comparison_charts,
    generalization,
    learning_curve,
    lengths,
    positions,
    results,
    series,
    sweep_charts,
)

SMALL = ModelConfig(units=6)
TWO = described("task.n_in=6,12,100", "model.units=8,16")
RECORDS = [
    swept(seed, None if (n_in, units) == (100, 8) else round(1 / (n_in * (seed + 1)) * units, 6),
           task__n_in=n_in, model__units=units)
    for n_in in (100, 6, 12) for units in (8, 16) for seed in (0, 1)
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "field"),
    [("loss", "loss"), ("exact-match", "exact_match"), ("learning-rate", "learning_rate")],
)
def test_a_curve_has_each_call_and_each_validation(tmp_path, name, field):
    run = load_run("plain", save_runs(tmp_path / "runs")).run
    chart = learning_curve([run], name)
    trained = [("plain", "training", call.steps_done * 16, getattr(call, field)) for call in CALLS]
    (record,) = run.history()
    validated = [("plain", "validation", 640, getattr(record, field))]
    assert chart.rows == trained + (validated if name != "learning-rate" else [])


@pytest.mark.parametrize(
    "task",
    [
        {"n_in": 3, "n_out": 2, "cardinality": 40},
        {"name": "copy", "n_in": "1-4"},
        {"n_in": 2, "n_out": 1, "cardinality": 121},  # all are evaluated
    ],
)
def test_shares_are_those_of_the_evaluation(task):
    evaluation = evaluate(load_random(RunConfig(task=TaskConfig(**task), model=SMALL)), 1500)
    by_position, by_length = positions(evaluation), lengths(evaluation)
    assert [row[1] for row in by_position.rows] == evaluation.position_accuracy
    assert {row[0]: row[1] for row in by_length.rows} == evaluation.length_accuracy
    assert sum(row[-1] for row in by_length.rows) == evaluation.n_samples
    for _, share, low, high, n in [*by_position.rows, *by_length.rows]:
        exact = (share, share)
        assert (low, high) == exact if evaluation.exact else wilson_interval(round(share * n), n)


def test_lengths_without_sources_are_not_in_the_chart():
    config = RunConfig(task=TaskConfig(name="copy", n_in="1-3", cardinality=40), model=SMALL)
    curve = evaluate_lengths(load_random(config), [1, 2, 5], 50)
    curve.lengths[0] = replace(curve.lengths[0], exact_match=None)
    chart = generalization(curve)
    assert (chart.limit, "dashed line" in chart.marks) == (3, True)
    assert chart.rows == [
        (r.length, r.exact_match, r.exact_match_low, r.exact_match_high, r.n_samples)
        for r in curve.lengths[1:]
    ]


def test_a_caption_names_only_the_marks_that_are_drawn(tmp_path):
    config = RunConfig(task=TaskConfig(name="copy", n_in="1-3", cardinality=40), model=SMALL)
    chart = generalization(evaluate_lengths(load_random(config), [1, 2, 3], 50))
    assert (chart.limit, chart.marks) == (None, "")
    assert "longest length in training is 3." in chart.text
    run = load_run("plain", save_runs(tmp_path / "runs")).run
    marks = {name: learning_curve([run], name).marks for name in TRAINING_CHARTS}
    assert {name for name in marks if "points" in marks[name]} == {"loss", "exact-match"}


def test_results_are_those_of_the_evaluations():
    evaluations = [evaluate(load_random(config), 100) for config in (PLAIN, LOOKING)]
    assert results(evaluations).rows == [
        (e.run, e.exact_match, e.exact_match_low, e.exact_match_high, 100) for e in evaluations
    ]


def run_of(name, config):
    return SimpleNamespace(name=name, config=config)


def test_runs_that_differ_only_in_their_seed_are_one_series():
    wide = PLAIN.model_copy(update={"model": ModelConfig(units=9)})
    configs = [PLAIN, with_seed(PLAIN, 1), wide, with_seed(PLAIN, 2), PLAIN]
    runs = [run_of(name, config) for name, config in zip("abcde", configs, strict=True)]
    assert series(runs) == ["a and 2 more", "a and 2 more", "c", "a and 2 more", "e"]


def test_a_comparison_overlays_the_shares_of_all_runs(tmp_path):
    folder = save_runs(tmp_path / "runs", "again")
    loaded = [load_run(name, folder) for name in ("plain", "looking", "again")]
    evaluations = [evaluate(run, 100) for run in loaded]
    charts = comparison_charts([run.run for run in loaded], evaluations)
    assert list(charts) == ["results", "lengths", "positions", "loss", "exact-match",
                            "learning-rate"]  # fmt: skip
    (by_length,), (by_position,), (loss,) = (charts[k] for k in ("lengths", "positions", "loss"))
    names = {"plain": "plain and 1 more", "looking": "looking", "again": "plain and 1 more"}
    assert by_length.rows == [
        (evaluation.run, length, share, names[evaluation.run])
        for evaluation in evaluations
        for length, share in evaluation.length_accuracy.items()
    ]
    assert by_position.rows[:3] == [
        ("plain", number, share, names["plain"])
        for number, share in enumerate(evaluations[0].position_accuracy, 1)
    ]
    assert {(row[0], row[-1]) for row in loss.rows} == set(names.items())
    one = [loaded[0].run, loaded[2].run], [evaluations[0], evaluations[2]]
    assert "lengths" not in comparison_charts(*one)


def test_a_grid_has_the_medians_in_order():
    (chart,) = sweep_charts(TWO, RECORDS)["grid"]
    assert chart.columns == ("model.units by task.n_in", "6", "12", "100")
    for (label, *shares), units in zip(chart.rows, (8, 16), strict=True):
        assert label == str(units)
        for share, n_in in zip(shares, (6, 12, 100), strict=True):
            cell = {"task.n_in": n_in, "model.units": units}
            seeds = [r.exact_match for r in RECORDS if r.settings == cell]
            assert share == ("" if None in seeds else median(seeds))


def test_lines_have_every_seed():
    (chart,) = sweep_charts(TWO, RECORDS)["lines"]
    assert chart.rows == [
        (f"model.units = {units}", str(n_in), seed, record.exact_match)
        for units in (8, 16)
        for n_in in (6, 12, 100)
        for seed in (0, 1)
        for record in RECORDS
        if record.settings == {"task.n_in": n_in, "model.units": units} and record.seed == seed
        if record.exact_match is not None
    ]


def test_three_settings_have_a_grid_for_each_value_of_the_third():
    sweep = described("task.n_in=6,12", "model.units=8,16", "model.layers=1,2")
    records = [
        swept(0, 0.5, task__n_in=a, model__units=b, model__layers=c)
        for a in (6, 12) for b in (8, 16) for c in (1, 2)
    ]  # fmt: skip
    grids = sweep_charts(sweep, records)["grid"]
    assert [grid.text.partition(", where ")[2] for grid in grids] == [
        "model.layers = 1.", "model.layers = 2.",
    ]  # fmt: skip


def test_one_factor_at_a_time_has_a_line_for_each_factor():
    sweep = described("task.n_in=12,24", "model.units=16", one_factor=True)
    records = [
        swept(0, 0.9), swept(0, 0.5, task__n_in=12), swept(0, 0.4, task__n_in=24),
        swept(0, 0.8, model__units=16),
    ]  # fmt: skip
    charts = sweep_charts(sweep, records)
    assert charts["grid"] == []
    lines = {chart.columns[1]: {row[1]: row[3] for row in chart.rows} for chart in charts["lines"]}
    assert lines == {
        "task.n_in": {"base": 0.9, "12": 0.5, "24": 0.4},
        "model.units": {"base": 0.9, "16": 0.8},
    }
