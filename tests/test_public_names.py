import subprocess
import sys

import numpy as np
import pytest

import seq2seq_cli
from seq2seq_cli import get_dataset, load_run, one_hot_decode, predict_sequence
from seq2seq_cli.errors import ModelError


def test_all_names_are_there_and_documented():
    names = {
        "generate_sequence", "get_dataset", "one_hot_encode", "one_hot_decode", "define_models",
        "predict_sequence", "load_run", "evaluate", "train",
        "train_seeds", "Progress",
    }  # fmt: skip
    assert names | {"__version__"} == set(seq2seq_cli.__all__)
    assert all(getattr(seq2seq_cli, name).__doc__ for name in names)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = seq2seq_cli.nothing


def test_importing_the_package_loads_no_library():
    code = (
        "import sys, seq2seq_cli; print([n for n in ('numpy', 'tensorflow') if n in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


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


def test_evaluate_takes_a_loaded_run(trained):
    report = seq2seq_cli.evaluate(load_run(runs_dir=trained / "runs"), n_samples=500)
    assert report.n_samples == 500
    assert report.exact_match >= 0.99


def test_load_run_says_what_is_missing(tmp_path):
    with pytest.raises(ModelError, match="no completed run"):
        load_run(runs_dir=tmp_path)
