"""`s2s doctor`, and what `s2s --debug` shows."""

import json
import math
import re
from pathlib import Path

import pytest

from seq2seq_cli.cli.rendering import output
from seq2seq_cli.runs.listing import open_run
from seq2seq_cli.training.self_test import SelfTest

TIMES = re.compile(r"^ +([\d.]+) s  (.+)$", re.MULTILINE)


@pytest.mark.usefixtures("random_runs")
def test_debug_shows_how_long_each_phase_took(s2s):
    result = s2s("--debug", "predict", "1 2 3 4")
    phases = [name for _, name in TIMES.findall(result.stderr)]
    assert phases == [
        "the command line imported", "the run loaded", "the rest",
        "in all, since Python had started",
    ]  # fmt: skip
    *each, whole = [float(seconds) for seconds, _ in TIMES.findall(result.stderr)]
    assert sum(each) == pytest.approx(whole, abs=0.01)
    assert len(result.stdout.split()) == 2


@pytest.mark.usefixtures("random_runs")
@pytest.mark.parametrize(
    ("words", "name", "code"),
    [
        (("predict", "1 99", "--run", "complete"), "DataError", 3),
        (("predict", "--nothing"), "NoSuchOption", 2),
    ],
)
def test_debug_shows_where_an_error_came_from(s2s_here, monkeypatch, words, name, code):
    monkeypatch.setattr(output, "_is_debugging", False)
    plain = s2s_here(*words, check=False)
    debugged = s2s_here("--debug", *words, check=False)
    assert debugged.returncode == plain.returncode == code
    assert "Traceback (most recent call last):" in debugged.stderr.splitlines()
    assert name in debugged.stderr
    assert debugged.stderr.endswith(plain.stderr)
    assert len(plain.stderr.splitlines()) == 1


def test_doctor_trains_and_shows_the_machine(s2s_here, tmp_path, monkeypatch):
    monkeypatch.setenv("TF_VAR_SECRET", "mine")
    result = s2s_here("doctor", "--seconds", "0.2", "--json")
    document = json.loads(result.stdout)
    assert {"python", "seq2seq-cli", "tensorflow", "keras", "numpy"} <= set(document["versions"])
    assert document["samples"] > 0
    assert document["samples"] % 64 == 0
    assert document["samples_per_s"] > 0
    assert document["predicted_per_s"] > 0
    assert 0 < document["last_loss"] < 10
    assert document["works"] == (document["last_loss"] < document["first_loss"])
    assert document["device"] == "CPU"
    assert Path(document["cache"]).is_dir()
    assert document["cached_programs"] > 0
    assert document["cached_bytes"] > 0
    assert document["variables"]["S2S_CACHE_DIR"] == document["cache"]
    assert "mine" not in result.stdout
    assert result.stderr == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("last_loss", "verdict"),
    [
        (0.5, "Training (on the CPU) and prediction work on this machine."),
        (3.0, "The training ran, but its loss did not fall: try --seconds 10."),
        (math.nan, "The training ran, but its loss did not fall"),
    ],
)
def test_doctor_ends_with_a_verdict(s2s_here, random_runs, monkeypatch, last_loss, verdict):
    trial = SelfTest(open_run(random_runs), 640, 1.0, 2.0, last_loss, False, None, 0, 0, "CPU")
    monkeypatch.setattr("seq2seq_cli.training.self_test.run_self_test", lambda *_: trial)
    assert s2s_here("doctor").stdout.splitlines()[-1].startswith(verdict)
