"""`s2s sweep` as users type it: real trainings, killed, interrupted and gone on with."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import run_s2s
from typer import TyperException

from seq2seq_cli.cli.app import app
from seq2seq_cli.errors import S2sError

TINY = [word for setting in ("task.n_in=4", "task.n_out=2", "task.cardinality=13",
                             "training.batch_size=16", "training.n_samples=16000")
        for word in ("--set", setting)]  # fmt: skip


def process_in(folder: Path) -> int:
    """Return the number of the process that trains in a sweep's folder, once there is one."""
    wanted = os.fsencode(folder)
    while True:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if b"train" in words and wanted in words:
                return int(path.parent.name)
        time.sleep(0.05)


def wait_for(found, process) -> None:
    while not found():
        assert process.poll() is None
        time.sleep(0.02)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Return a folder with a sweep of two cells, one killed and then all of it interrupted."""
    cwd = tmp_path_factory.mktemp("real")
    place = cwd / "runs" / "real"
    process = subprocess.Popen(
        [sys.executable, "-m", "seq2seq_cli", "sweep", "--grid", "model.units=8,9", "--seeds", "2",
         *TINY, "--name", "real", "--checkpoint-seconds", "0.02", "--jobs", "1",
         "--output", "a table.csv"],
        cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(lambda: list(place.glob("units-8-seed-0.training/checkpoint/*.json")), process)
    os.kill(process_in(place), signal.SIGKILL)
    wait_for(lambda: list(place.glob("units-9-seed-0.training/checkpoint/*.json")), process)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    return cwd, process.returncode, output, errors


def test_an_interrupted_sweep_says_how_to_go_on(real):
    _, code, output, errors = real
    assert code == 130
    assert output == ""
    assert "2 cells x 2 seeds: 4,000 steps left, about" in errors
    assert re.search(r"units-\d: killed by SIGKILL; trying again", errors)
    assert errors.splitlines()[-1] == (
        "s2s: interrupted; resume with: s2s sweep --resume real --jobs 1 --output 'a table.csv'"
    )


def test_it_goes_on_and_its_runs_are_taken_by_other_commands(real):
    cwd = real[0]
    done = run_s2s(
        "sweep", "--resume", "real", "--jobs", "1", "--json", "--output", "a table.csv", cwd=cwd
    )
    assert done.stderr == ""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    runs = [line for line in lines if line["kind"] == "run"]
    cells = [line for line in lines if line["kind"] == "cell"]
    assert [(run["cell"], run["seed"]) for run in runs] == [
        ("units-8", 0), ("units-8", 1), ("units-9", 0), ("units-9", 1),
    ]  # fmt: skip
    assert [cell["settings"] for cell in cells] == [{"model.units": 8}, {"model.units": 9}]
    assert cells[0]["exact_match"] == [run["exact_match"] for run in runs[:2]]
    with (cwd / "a table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["exact_match"]) for row in rows] == [run["exact_match"] for run in runs]
    assert [(row["model.units"], row["training.seed"]) for row in rows][2:] == [
        ("9", "0"), ("9", "1"),
    ]  # fmt: skip
    evaluated = run_s2s("evaluate", "--run", runs[0]["run"], "--json", cwd=cwd)
    assert json.loads(evaluated.stdout)["exact_match"] == runs[0]["exact_match"]
    assert run_s2s("predict", "--run", runs[3]["run"], "1 2 3 4", cwd=cwd).stdout.strip()
    listed = run_s2s("runs", cwd=cwd).stderr
    assert "sweep real: 4 of 4 runs complete; s2s runs --runs-dir runs/real" in listed
    # What is complete is shown again, in words too, and nothing is trained.
    shown = run_s2s("sweep", "--resume", "real", "--seeds", "2", cwd=cwd)
    assert "cell 2/2 units-9: exact match" in shown.stderr
    assert "complete before" in shown.stderr
    assert re.search(r"Wilson\s+interval", shown.stdout)
    assert re.search(r"The\s+range\s+is\s+over\s+trainings", shown.stdout)
    assert "real: predicted freely" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--grid", "task.n_in=2,6"], 2, "task.n_out = 3: should be at most task.n_in"),
        (["--grid", "task.nin=2,6"], 2, "did you mean task.n_in?"),
        (["--grid", "task.n_in=6", "--grid", "task.n_in=7"], 2, "is given twice"),
        (["--grid", "task.n_in=6", "--name", "a/b", "--dry-run"], 2, "run name 'a/b'"),
        (["there.toml", "--output", "there.toml", "--force"], 2, "is read from that file"),
        (["--until", "0.9", "--dry-run"], 2, "give SHARE and SETTING"),
        ([], 2, "give a file, a grid or until"),
        (["--grid", "task.n_in=6", "--derive", "task.n_out = 3"], 2, "should be NAME = NAME"),
        (["--grid", "task.n_in=6", "--time-budget", "10"], 2, "such as 90s, 10m or 2h"),
        (["--grid", "task.n_in=6", "--shard", "4/4"], 2, "with I from 0 to N-1"),
        (["--grid", "task.n_in=6", "--jobs", "100000"], 2, "the number of cores"),
        (["--grid", "task.n_in=6", "--name", "../x"], 2, "use letters, digits"),
        (["--grid", "task.n_in=6", "--output", "there.csv"], 5, "there.csv exists"),
        (["--grid", "task.n_in=6", "--output", "no/a.csv"], 6, "there is no folder no"),
        (["--grid", "task.n_in=6", "--seeds", "1001"], 2, "seeds = 1001: should be at most 1000"),
        (["--resume", "none"], 4, "there is no sweep runs/none"),
        (["--resume", "none", "--derive", "a.b = a.c * 2"], 2, "--derive with --resume"),
        (["none.toml"], 6, "cannot read none.toml"),
        (["--grid", "task.data=none.csv"], 6, "none.csv"),
    ],
)
def test_refusals_come_before_anything_is_written(tmp_path, monkeypatch, arguments, code, told):
    (tmp_path / "there.csv").touch()
    (tmp_path / "there.toml").write_text("[changes]\ntask.n_in = [6]\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises((S2sError, TyperException)) as caught:
        app(["sweep", *arguments], prog_name="s2s", standalone_mode=False)
    assert told in str(caught.value)
    assert caught.value.exit_code == code
    assert [path.name for path in tmp_path.iterdir()] == ["there.csv", "there.toml"]


def test_a_dry_run_shows_the_cells_and_trains_none(tmp_path):
    (tmp_path / "lengths.toml").write_text(
        'seeds = 2\nderive = ["task.n_out = task.n_in / 2"]\n[changes]\ntask.n_in = [6, 13]\n'
    )
    shown = run_s2s("sweep", "lengths.toml", "--dry-run", cwd=tmp_path)
    assert re.search(r"\d cells x \d seeds?: [\d,]+ steps left, about \d", shown.stderr)
    assert re.search(r"n_in-13 +13 +6 +1,563 +0 of 2", shown.stdout)
    lines = run_s2s("sweep", "lengths.toml", "--dry-run", "--json", cwd=tmp_path).stdout
    first = json.loads(lines.splitlines()[0])
    assert first["settings"] == {"task.n_in": 6, "task.n_out": 3}
    assert (first["seeds"], first["steps"]) == ([0, 1], 1563)
    assert not (tmp_path / "runs").exists()


def test_what_there_is_no_time_for_is_told(tmp_path):
    result = run_s2s("sweep", "--grid", "task.n_in=6,12", "--time-budget", "1s", cwd=tmp_path)
    assert (
        "not started, the time budget is used up: n_in-6, n_in-12; resume with: s2s sweep --resume"
        in (result.stderr)
    )
