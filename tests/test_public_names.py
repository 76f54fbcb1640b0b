"""The public names, with the meaning that they have in the tutorial."""

from pathlib import Path

import numpy as np
import pytest

import seq2seq_cli
from seq2seq_cli import get_dataset, load_run, one_hot_decode, predict_sequence


def test_the_public_names_are_documented_and_typed():
    names = {
        "generate_sequence", "get_dataset", "one_hot_encode", "one_hot_decode", "define_models",
        "predict_sequence", "load_run", "evaluate", "train", "train_seeds", "Progress",
    }  # fmt: skip
    assert names | {"__version__"} == set(seq2seq_cli.__all__)
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
