"""With --json an error is a line of JSON on standard error; without it nothing changes."""

import json

import pytest

from seq2seq_cli.cli import process
from seq2seq_cli.cli.app import COMMANDS, make_command
from seq2seq_cli.errors import Interrupted

WITH_JSON = [
    name
    for name in COMMANDS
    if any("--json" in parameter.opts for parameter in make_command(name).params)
]


@pytest.mark.parametrize("name", WITH_JSON)
def test_a_usage_error_of_each_command_is_json(s2s_here, name):
    result = s2s_here(name, "--json", "--nothing", check=False)
    assert (result.returncode, result.stdout) == (2, "")
    document = json.loads(result.stderr)
    assert document["error"].startswith("No such option: --nothing")
    assert document["exit_code"] == 2


@pytest.mark.usefixtures("random_runs")
@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("train --units 0 --epochs 0", 2, ["model.units = 0", "\ntraining.epochs = 0"]),
        ("predict 1,x", 3, ["'x' is not an integer"]),
        ("evaluate --run gone", 4, ["there is no run runs/gone"]),
        ("export runs --format onnx", 5, ["runs"]),
        ("predict --input gone.txt", 6, ["gone.txt: No such file"]),
        ("nothing", 2, ["No such command"]),
    ],
)
def test_an_error_is_json_with_its_exit_code(s2s_here, line, code, words):
    plain = s2s_here(*line.split(), check=False)
    result = s2s_here(*line.split(), "--json", check=False)
    assert (plain.returncode, result.returncode, result.stdout) == (code, code, "")
    (last,) = result.stderr.splitlines()
    document = json.loads(last)
    assert list(document) == ["error", "exit_code"]
    assert document["exit_code"] == code
    assert all(word in document["error"] for word in words)
    lines = document["error"].splitlines()
    assert plain.stderr.splitlines() == [f"s2s: {text}" for text in lines]


@pytest.mark.usefixtures("random_runs")
def test_results_stay_on_standard_output(s2s_here):
    line = "evaluate --n-samples 50 --min-accuracy 1 --json"
    result = s2s_here(*line.split(), check=False)
    assert json.loads(result.stdout)["n_samples"] > 0
    error = json.loads(result.stderr.splitlines()[-1])
    assert (result.returncode, error["exit_code"]) == (7, 7)
    assert "is below --min-accuracy 1.0" in error["error"]


def test_an_interruption_is_json(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["s2s", "train", "--json"])
    process.tell("interrupted; resume with: s2s train --resume", Interrupted.exit_code)
    assert json.loads(capsys.readouterr().err)["exit_code"] == 130
    process.tell("", 0)
    assert capsys.readouterr().err == ""
