"""`s2s doctor`, and what `s2s --debug` shows."""

import json
import re
from pathlib import Path

import pytest

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
def test_debug_shows_where_an_error_came_from(s2s, words, name, code):
    told = s2s("--debug", *words, check=False)
    plain = s2s(*words, check=False)
    assert told.returncode == plain.returncode == code
    assert "Traceback" in told.stderr
    assert name in told.stderr
    assert told.stderr.endswith(plain.stderr)
    assert len(plain.stderr.splitlines()) == 1


def test_doctor_trains_and_tells_what_there_is(s2s, tmp_path, monkeypatch):
    monkeypatch.setenv("TF_VAR_SECRET", "mine")
    result = s2s("doctor", "--seconds", "0.2", "--json")
    found = json.loads(result.stdout)
    assert {"python", "seq2seq-cli", "tensorflow", "keras", "numpy"} <= set(found["versions"])
    assert found["samples"] > 0
    assert found["samples"] % 64 == 0
    assert found["samples_per_s"] > 0
    assert found["predicted_per_s"] > 0
    assert 0 < found["last_loss"] < 10
    assert found["device"] == "CPU"
    assert Path(found["cache"]).is_dir()
    assert found["cached_programs"] > 0
    assert found["cached_bytes"] > 0
    assert found["variables"]["S2S_CACHE_DIR"] == found["cache"]
    assert "mine" not in result.stdout
    assert result.stderr == ""
    assert list(tmp_path.iterdir()) == []
