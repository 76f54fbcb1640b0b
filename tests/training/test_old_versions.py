"""What an earlier version has written is opened, evaluated and gone on with."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny import checkpoint_arrays, contents, stop_after

from seq2seq_cli import evaluate, load_run, train
from seq2seq_cli.cli.commands.runs import runs
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.config import RunConfig, TrainingConfig
from seq2seq_cli.errors import Interrupted
from seq2seq_cli.runs.listing import list_runs, open_run
from seq2seq_cli.runs.manifest import RECORDED
from seq2seq_cli.training.events import EpochEnded

pytestmark = pytest.mark.usefixtures("compiled_once")

OLD = Path(__file__).parent.parent / "data-of-old-versions"
"""Trained by 0.1.0 as of commit c5a4e7d: two epochs of `tiny_config()`, complete and stopped.

Settings that were removed since are removed here too.
"""


@pytest.fixture
def runs_dir(tmp_path):
    return Path(shutil.copytree(OLD, tmp_path / "runs"))


def test_a_run_is_listed_opened_and_evaluated(runs_dir):
    before = contents(runs_dir)
    complete, stopped = list_runs(runs_dir)
    assert (complete.problem, complete.under_way) == ("", "")
    assert stopped.problem == "stopped, --resume goes on"
    run = open_run(runs_dir, "complete")
    assert run.manifest.results.teacher_forced_token_accuracy == 0.25615
    for file in RECORDED:
        assert run.read(file)
    report = evaluate(load_run("complete", runs_dir), n_samples=200)
    assert 0 < report.exact_match < 0.2
    assert contents(runs_dir) == before


def test_a_stopped_training_goes_on_to_where_it_would_have_come(runs_dir):
    run = train(RunConfig(), runs_dir, resume=True)
    assert run.name == "stopped"
    ours, theirs = checkpoint_arrays(run.path), checkpoint_arrays(runs_dir / "complete")
    for key, array in ours.items():
        np.testing.assert_allclose(array, theirs[key], rtol=0, atol=1e-4, err_msg=key)
    lines = (run.path / "history.jsonl").read_text().splitlines()
    assert len(lines) == 2
    assert all('"teacher_forced_token_accuracy"' in line for line in lines)


def test_a_complete_run_is_trained_further_and_usable_meanwhile(runs_dir, capsys, monkeypatch):
    more = RunConfig(training=TrainingConfig(epochs=4))
    with pytest.raises(Interrupted):
        train(more, runs_dir, "complete", progress=stop_after(1, EpochEnded), resume=True)
    assert open_run(runs_dir, "complete").config.training.epochs == 2
    assert list_runs(runs_dir)[0].under_way == "stopped, --resume goes on"
    monkeypatch.setattr(output, "end_with_reader", lambda: None)
    runs(runs_dir=runs_dir, as_json=True)
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {item["name"]: item.get("under_way") for item in listed if item["complete"]} == {
        "complete": "stopped, --resume goes on"
    }
    runs(runs_dir=runs_dir)
    assert "stopped" in capsys.readouterr().out
    run = train(RunConfig(), runs_dir, "complete", resume=True)
    assert run.config.training.epochs == 4
    assert len((run.path / "history.jsonl").read_text().splitlines()) == 4
