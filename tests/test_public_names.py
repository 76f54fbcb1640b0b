"""The public names, with the meaning that they have in the tutorial."""

import inspect
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
from random_run import load_random
from sample_runs import save_runs
from tiny import tiny_config

import seq2seq_cli
from seq2seq_cli import (
    encode,
    evaluate,
    get_dataset,
    load_run,
    one_hot_decode,
    one_hot_encode,
    plot,
    predict,
    predict_sequence,
    report,
    train,
    train_seeds,
)
from seq2seq_cli.config import RunConfig, TaskConfig
from seq2seq_cli.errors import ConfigurationError, DataError, ExistsError, ModelError
from seq2seq_cli.runs.listing import SeedRun, open_run
from seq2seq_cli.settings import SECTIONS, Settings, from_keywords, resolve


def test_the_public_names_are_documented_and_typed():
    names = {
        "generate_sequence", "get_dataset", "one_hot_encode", "one_hot_decode", "define_models",
        "predict_sequence", "load_run", "evaluate", "train", "train_seeds", "Progress", "predict",
        "encode", "report", "plot",
    }  # fmt: skip
    assert names | {"__version__"} == set(seq2seq_cli.__all__)
    assert all(callable(getattr(seq2seq_cli, name)) for name in names)
    assert all(getattr(seq2seq_cli, name).__doc__ for name in names)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = seq2seq_cli.nothing
    assert (Path(seq2seq_cli.__file__).parent / "py.typed").is_file()


def test_the_tutorials_evaluation_runs_on_a_loaded_run(trained):
    loaded = load_run("small", trained / "runs")
    sources, shifted, targets = get_dataset(4, 2, 13, 50, seed=1)
    assert sources.shape == (50, 4, 13)
    assert shifted.shape == targets.shape == (50, 2, 13)
    right = 0
    for source, target in zip(sources, targets, strict=True):
        predicted = predict_sequence(loaded.encoder, loaded.decoder, source[None], 2, 13)
        assert predicted.shape == (2, 13)
        right += np.array_equal(one_hot_decode(predicted), one_hot_decode(target))
    assert right >= 48


ONE = [4, 3, 2, 12]


@pytest.mark.parametrize("sequences", [
    "4 3 2 12", ONE, tuple(ONE), np.array(ONE), [ONE], ["4, 3 2 12"], np.array([ONE]),
    [np.array(ONE, np.uint8)], one_hot_encode([ONE], 13),
])  # fmt: skip
def test_sequences_are_given_as_texts_lists_or_arrays(sequences):
    run = load_random(tiny_config())
    ((source, target, *_),) = predict(run, sequences)
    assert source == ONE
    assert target == predict(run, [ONE, ONE])[1].target
    assert [encoded.source for encoded in encode(run, sequences)] == [ONE]


@pytest.mark.parametrize("sequences", [
    5, None, "", "4 x", [[]], [[1], 2], [1, [2]], [[[1, 2]]], [[[1], [1, 2]]], [1.0, 2], [True],
    np.array(5), [0, 1], [13], np.zeros((1, 2, 0)), {1: 2}.get,
])  # fmt: skip
def test_what_is_not_a_sequence_is_refused_in_one_line(sequences):
    run = load_random(tiny_config())
    for work in (predict, encode):
        with pytest.raises(DataError, match=r"^[^\n]+$"):
            work(run, sequences)
    assert predict(run, []) == []
    with pytest.raises(DataError, match="no sequence to encode"):
        encode(run, [])


def test_reports_and_charts_of_a_loaded_run_are_written(tmp_path):
    run = load_run("plain", save_runs(tmp_path))
    report(run, tmp_path / "page.html")
    report(run, tmp_path / "page.html")
    plot(run, "loss", str(tmp_path / "loss.svg"))
    assert "</html>" in (tmp_path / "page.html").read_text()
    assert (tmp_path / "loss.svg").read_text().startswith("<svg")
    plot(run, "loss", tmp_path / "wide.svg", width=120, font_size=10, title="Wide")
    assert 'width="120mm"' in (tmp_path / "wide.svg").read_text()
    with pytest.raises(ConfigurationError, match="dpi = 1: should be 72 to 600"):
        plot(run, "loss", tmp_path / "a.png", dpi=1)
    with pytest.raises(ExistsError):
        plot(run.run, "loss", tmp_path / "loss.svg")
    for what, name in (("losses", "a.svg"), ("attention", "a.svg"), ("loss", "a.txt")):
        with pytest.raises(ConfigurationError, match=r"no such chart|no attention|should end in"):
            plot(run, what, tmp_path / name)
    assert not (tmp_path / "a.svg").exists()


@pytest.mark.parametrize(("call", "value"), [
    (lambda: load_run(""), "''"), (lambda: load_run(3), "3"), (lambda: load_run("a", ""), "''"),
    (lambda: load_run("a", 3), "3"), (lambda: train(tiny_config(), "runs", ""), "''"),
    (lambda: train(tiny_config(), ""), "''"), (lambda: train("a"), "'a'"),
    (lambda: train_seeds(tiny_config(), 2, "runs", ""), "''"),
    (lambda: train(tiny_config(), "runs", "", resume=True), "''"),
    (lambda: train_seeds("a", 2), "'a'"), (lambda: evaluate(None), "None"),
    (lambda: evaluate(""), "''"), (lambda: predict(3, "1 2"), "3"), (lambda: encode(3, "1 2"), "3"),
    (lambda: report(3, "a.html"), "3"), (lambda: plot(3, "loss", "a.svg"), "3"),
    (lambda: evaluate(load_random(tiny_config()), 1.5), "1.5"),
    (lambda: predict(load_random(tiny_config()), ONE, beam=2, top=3), "3"),
])  # fmt: skip
def test_empty_values_and_other_types_are_named(call, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=rf"(= |name ){value}: (should|use)"):
        call()
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_given_loaded_as_train_returns_it_or_by_name(random_runs, monkeypatch):
    monkeypatch.chdir(random_runs.parent)
    run, loaded = open_run(Path("runs")), load_run()
    seed = SeedRun(4, run.path, None, run)
    for work in (lambda run: evaluate(run, 50).examples, lambda run: predict(run, ONE),
                 lambda run: encode(run, ONE)):  # fmt: skip
        assert work(run) == work("complete") == work(loaded) == work(seed)
    report("complete", "page.html")
    report(run, "page.html")
    report(seed, "page.html")
    plot(seed, "loss", "run.svg")
    plot("complete", "loss", "name.svg")
    assert Path("run.svg").read_text() == Path("name.svg").read_text()
    with pytest.raises(ModelError, match="there is no run runs/other"):
        predict("other", ONE)


def test_a_seed_without_a_run_is_refused_in_one_line(tmp_path):
    failed = SeedRun(7, tmp_path / "t-seed-7", None, None, "the loss became nan at step 3")
    for work in (
        evaluate, lambda run: predict(run, ONE), lambda run: encode(run, ONE),
        lambda run: report(run, tmp_path / "a.html"),
        lambda run: plot(run, "loss", tmp_path / "a.svg"),
    ):  # fmt: skip
        with pytest.raises(ModelError, match=r"^seed 7 has no run: the loss became nan at step 3$"):
            work(failed)
    assert list(tmp_path.iterdir()) == []


def test_a_run_shows_its_name_task_and_accuracy(random_runs):
    loaded = load_run("complete", random_runs)
    assert repr(loaded) == repr(loaded.run) == (
        "run: complete\n"
        "task: reverse-prefix, n_in 4, n_out 2, cardinality 13\n"
        "accuracy: exact match 50% of 100 validation sequences"
    )  # fmt: skip
    html = loaded._repr_html_()
    assert "<caption>complete</caption>" in html
    assert html.count("<tr>") == 2


def test_every_setting_is_a_keyword_with_the_type_and_default_of_its_field():
    fields = {
        {"name": "task"}.get(name, name): field
        for section in SECTIONS.values()
        for name, field in section.model_fields.items()
        if "filled in" not in field.description
    }
    types = {name: field.annotation for name, field in fields.items()}
    assert get_type_hints(Settings) == types
    for function in (train, train_seeds):
        shown = inspect.signature(function).parameters
        assert {name: shown[name].default for name in fields} == {
            name: field.default for name, field in fields.items()
        }
        assert {name: shown[name].annotation for name in fields} == types
        assert not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in shown.values())


def test_keywords_change_a_configuration_as_options_do():
    assert from_keywords(None, {}) == RunConfig()
    expected = resolve(None, ["task.name=copy", "task.n_in=1-9", "model.units=8"])
    assert from_keywords(None, {"task": "copy", "n_in": "1-9", "units": 8}) == expected
    config = RunConfig(task=TaskConfig(name="a.py:f", n_in=4, name_sha256="12", data_sha256="34"))
    changed = from_keywords(config, {"task": "b.py:f", "seed": 7})
    assert changed.task.model_fields_set == {"name", "n_in", "data_sha256"}
    assert (changed.task.name, changed.task.n_in, changed.training.seed) == ("b.py:f", 4, 7)
    assert from_keywords(config, {}) == config


@pytest.mark.parametrize(("keywords", "message"), [
    ({"unit": 3}, "unit = 3: no such setting; did you mean units?"),
    ({"name_sha256": "a"}, "name_sha256 = 'a': no such setting"),
    ({"units": 0}, "model.units = 0: should be greater than or equal to 1"),
    ({"units": "8"}, "model.units = '8': should be a valid integer"),
    ({"n_in": "1-5", "end_of_sequence": False}, "end_of_sequence = false: targets whose lengths"),
    ({"n_in": 3, "n_out": 4}, "task.n_out = 4"),
    ({"task": "copy", "n_out": 4}, "task.n_out = 4"),
])  # fmt: skip
def test_wrong_keywords_are_refused_in_one_line(keywords, message, tmp_path):
    for work in (train, train_seeds):
        with pytest.raises(ConfigurationError, match=r"^[^\n]+$") as refused:
            work(runs_dir=tmp_path, **keywords)
        assert message in str(refused.value)


def test_the_models_are_imported_without_messages(monkeypatch):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    code = "from seq2seq_cli import define_models"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (result.stdout, result.stderr) == (b"", b"")
