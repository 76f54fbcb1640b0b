"""What the user's environment says to Keras changes no training."""

import json
import os
import subprocess
import sys

import pytest
from conftest import run_s2s
from tiny import assert_identical

OPTIONS = ["--n-in", "4", "--n-out", "2", "--cardinality", "13", "--units", "8",
           "--n-samples", "640", "-q"]  # fmt: skip


@pytest.mark.parametrize("floatx", ["float64", "float16"])
def test_a_keras_configuration_changes_no_training(tmp_path, floatx):
    run_s2s("train", *OPTIONS, "--run", "plain", cwd=tmp_path)
    (tmp_path / ".keras").mkdir()
    settings = {"floatx": floatx, "backend": "jax", "image_data_format": "channels_first",
                "epsilon": 0.1}  # fmt: skip
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps(settings))
    environment = {**os.environ, "HOME": str(tmp_path)}
    environment.pop("KERAS_BACKEND", None)
    subprocess.run(
        [sys.executable, "-m", "seq2seq_cli", "train", *OPTIONS, "--run", "other"],
        cwd=tmp_path, env=environment, check=True,
    )  # fmt: skip
    assert_identical(tmp_path / "runs" / "plain", tmp_path / "runs" / "other")


def test_another_backend_is_refused_in_one_line(tmp_path):
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    result = subprocess.run(
        [sys.executable, "-m", "seq2seq_cli", "train", *OPTIONS],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr == "s2s: KERAS_BACKEND = jax: training needs tensorflow: unset it\n"
