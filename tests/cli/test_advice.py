"""What a line tells the user to run can be pasted, and does what it says."""

import re
import shlex
import signal
import subprocess
import sys

import pytest
from conftest import SMALL, run_s2s

FOLDER = "my runs; $HOME"
QUICK = [*SMALL, "--n-samples", "640", "--runs-dir", FOLDER]


def paste(command: str, cwd) -> str:
    name, *arguments = shlex.split(command)
    assert name == "s2s"
    return run_s2s(*arguments, cwd=cwd).stdout


def test_what_is_next_after_a_training_can_be_pasted(tmp_path):
    told = run_s2s("train", *QUICK, "--run", "a", cwd=tmp_path).stderr
    evaluate, predict = re.search(r"next: (s2s .*), or (s2s .*)", told).groups()
    assert "exact match" in paste(evaluate, tmp_path)
    assert len(paste(predict, tmp_path).split()) == 2
    told = run_s2s("train", *QUICK, "--run", "b", "--seeds", "1", cwd=tmp_path).stderr
    assert "b-seed-0" in paste(re.search(r"next: (s2s .*)", told)[1], tmp_path)


@pytest.mark.parametrize("seeds", [[], ["--seeds", "2", "--seed", "3"]])
def test_what_goes_on_with_a_stopped_training_can_be_pasted(tmp_path, seeds):
    options = [*QUICK, "--run", "a", *seeds, "--epochs", "100000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "seq2seq_cli", "train", *options],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while "epoch 1/" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 130
    command = re.search(r"go on with: (s2s .*)", told)[1]
    paste(f"{command} --set training.stop_at=0.0001 -q", tmp_path)
    assert len(list((tmp_path / FOLDER).glob("a*/run.json"))) == (2 if seeds else 1)


def test_an_incomplete_run_says_how_to_get_one(tmp_path):
    run_s2s("train", *QUICK, "--run", "a", cwd=tmp_path)
    (tmp_path / FOLDER / "a" / "run.json").unlink()
    refused = run_s2s("evaluate", "--run", "a", "--runs-dir", FOLDER, cwd=tmp_path, check=False)
    paste(re.search(r"go on with `(.*)`", refused.stderr)[1], tmp_path)
    run_s2s("evaluate", "--run", "a", "--runs-dir", FOLDER, cwd=tmp_path)


@pytest.mark.parametrize("value", ["nan", "-1", "-inf"])
def test_seconds_between_checkpoints_are_a_number_from_0(tmp_path, value):
    result = run_s2s("train", f"--checkpoint-seconds={value}", cwd=tmp_path, check=False)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
