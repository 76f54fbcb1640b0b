"""The public names, with the meaning that they have in the tutorial."""

from pathlib import Path

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
from seq2seq_cli.errors import ConfigurationError, DataError, ExistsError


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
    with pytest.raises(ExistsError):
        plot(run, "loss", tmp_path / "loss.svg")
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
    (lambda: evaluate("a"), "'a'"), (lambda: predict("a", "1 2"), "'a'"),
    (lambda: encode("a", "1 2"), "'a'"), (lambda: report("a", "a.html"), "'a'"),
    (lambda: plot("a", "loss", "a.svg"), "'a'"),
    (lambda: evaluate(load_random(tiny_config()), 1.5), "1.5"),
    (lambda: predict(load_random(tiny_config()), ONE, beam=2, top=3), "3"),
])  # fmt: skip
def test_empty_values_and_other_types_are_named(call, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=rf"(= |name ){value}: (should|use)"):
        call()
    assert list(tmp_path.iterdir()) == []
