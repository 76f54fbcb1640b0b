"""`s2s sweep` as users type it: replaced trainings, and a real sweep killed and resumed."""

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
from seq2seq_cli.errors import ConfigurationError, S2sError
from seq2seq_cli.sweep import job

FAKE = str(Path(__file__).with_name("fake_training.py"))


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Return a function that runs `s2s sweep` in an empty folder, with replaced trainings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BEGUN", str(tmp_path / "begun"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(job, "COMMAND", (sys.executable, FAKE, "0"))
    return lambda *arguments: app(["sweep", *arguments], prog_name="s2s", standalone_mode=False)


def test_a_sweep_writes_its_results_and_shows_them_again(sweep, capsys):
    options = ["--grid", "model.units=8,9", "--seeds", "2", "--name", "a", "--jobs", "1"]
    sweep(*options, "--json", "--output", "a.csv")
    output, errors = capsys.readouterr()
    assert errors == ""
    lines = [json.loads(line) for line in output.splitlines()]
    runs = [line for line in lines if line["kind"] == "run"]
    assert [(run["cell"], run["seed"], run["exact_match"]) for run in runs] == [
        ("units-8", 0, 0.0), ("units-8", 1, 0.1), ("units-9", 0, 0.0), ("units-9", 1, 0.1),
    ]  # fmt: skip
    cells = [line["settings"] for line in lines if line["kind"] == "cell"]
    assert cells == [{"model.units": 8}, {"model.units": 9}]
    with Path("a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["exact_match"]) for row in rows] == [run["exact_match"] for run in runs]
    assert [(row["model.units"], row["training.seed"]) for row in rows][2:] == [
        ("9", "0"), ("9", "1"),
    ]  # fmt: skip
    sweep("--resume", "a")
    output, errors = capsys.readouterr()
    assert "2 cells x 2 seeds, 2 of them complete: 0 steps left" in errors
    assert "cell 2/2 units-9: exact match 0%, 10%, complete before" in errors
    assert "saved in runs/a; next: s2s runs --runs-dir runs/a" in errors
    assert "a: predicted freely" in output
    assert re.search(r"Wilson\s+interval", output)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--grid", "task.n_in=2,6"], 2, "task.n_out = 3: should be at most task.n_in"),
        (["--grid", "task.n_in=6", "--grid", "task.n_in=7"], 2, "is given twice"),
        (["--grid", "task.n_in=6", "--name", "../x", "--dry-run"], 2, "run name '../x'"),
        (["there.toml", "--output", "there.toml", "--force"], 2, "should end in .csv"),
        (["--until", "0.9", "--dry-run"], 2, "--until: its value is missing"),
        ([], 2, "give a file, a grid or until"),
        (["--grid", "task.n_in=6", "--time-budget", "10"], 2, "such as 90s, 10m or 2h"),
        (["--grid", "task.n_in=6", "--shard", "4/4"], 2, "with I from 0 to N-1"),
        (["--grid", "task.n_in=6", "--jobs", "100000"], 2, "the number of cores"),
        (["--grid", "task.n_in=6", "--output", "there.csv"], 5, "there.csv exists"),
        (["--grid", "task.n_in=6", "--output", "-"], 2, "--output -: the name should end in .csv"),
        (["--grid", "task.n_in=6", "--output", "no/a.csv"], 6, "there is no folder no"),
        (["--grid", "task.n_in=6", "--seeds", "1001"], 2, "seeds = 1001: should be at most 1000"),
        (["--resume", "none"], 4, "there is no sweep runs/none"),
        (["--resume", "none", "--derive", "a.b = a.c * 2"], 2, "--derive with --resume"),
        (["--resume", "none", "--force"], 2, "--force with --resume: it needs --output"),
        (["--resume", "--dry-run"], 2, "--resume: its value is missing"),
        (["--grid", "task.n_in=6", "--set", "task.n_in=7"], 2, "so --set cannot fix it"),
        (["there.toml", "--set", "task.n_in=7"], 2, "so --set cannot fix it"),
        (["none.toml"], 6, "cannot read none.toml"),
        (["--grid", "task.data=none.csv"], 6, "none.csv"),
    ],
)
def test_refusals_come_before_anything_is_written(tmp_path, sweep, arguments, code, message):
    (tmp_path / "there.csv").touch()
    (tmp_path / "there.toml").write_text("[changes]\ntask.n_in = [6]\n")
    with pytest.raises((S2sError, TyperException)) as caught:
        sweep(*arguments)
    assert message in str(caught.value)
    assert caught.value.exit_code == code
    assert sorted(path.name for path in tmp_path.iterdir()) == ["there.csv", "there.toml"]


def test_a_dry_run_shows_the_cells_and_trains_none(tmp_path, sweep, capsys):
    (tmp_path / "lengths.toml").write_text(
        'seeds = 2\nderive = ["task.n_out = task.n_in / 2"]\n[changes]\ntask.n_in = [6, 13]\n'
    )
    sweep("lengths.toml", "--dry-run")
    output, errors = capsys.readouterr()
    assert re.search(r"2 cells x 2 seeds: [\d,]+ steps left, about \d", errors)
    assert re.search(r"n_in-13 +13 +6 +1,563 +0 of 2", output)
    sweep("lengths.toml", "--dry-run", "--json")
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["settings"] == {"task.n_in": 6, "task.n_out": 3}
    assert (first["seeds"], first["missing"], first["steps"]) == ([0, 1], [0, 1], 1563)
    assert 0 < first["expected_seconds"] < second["expected_seconds"]
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ("--name there.csv", 6, "runs/there.csv is not a folder"),
        ("--name a", 5, "runs/a exists"),
        ("--name a --shard 0/2", 5, "runs/a is another sweep's"),
        ("--runs-dir runs/there.csv", 6, "runs/there.csv is not a folder"),
        ("--scheduler tcp://127.0.0.1:1", 6, "there is no scheduler"),
    ],
)
def test_a_dry_run_refuses_what_the_sweep_would(sweep, options, code, message):
    Path("runs/a").mkdir(parents=True)
    for file in ("there.csv", "a/sweep.toml"):
        (Path("runs") / file).touch()
    for dry_run in ([], ["--dry-run"]):
        with pytest.raises(S2sError) as caught:
            sweep("--grid", "model.units=1", *options.split(), *dry_run)
        assert message in str(caught.value)
        assert caught.value.exit_code == code


def test_sweeps_are_listed_with_the_runs_that_they_ask_for(sweep, s2s_here):
    Path("runs/other").mkdir(parents=True)
    Path("runs/other/sweep.toml").write_text("seeds = ")
    with pytest.raises(S2sError, match="the time budget is used up"):
        sweep("--grid", "model.units=4,5", "--seeds", "2", "--name", "a", "--time-budget", "0s")
    listed = s2s_here("runs")
    lines = [" ".join(line.split()) for line in listed.stdout.splitlines()]
    assert {"a 0 of 4 none 0 s", "other 0 of 0 none 0 s"} <= set(lines)
    assert listed.stderr == ""


def test_code_that_only_a_file_names_is_not_imported(tmp_path, sweep, capsys):
    Path("own.py").write_text(
        "from pathlib import Path\nPath('imported').touch()\n"
        "def own(sources): print('mine'); return sources\n"
    )
    Path("a.toml").write_text('[base]\ntask.name = "own.py:own"\n[changes]\nmodel.units = [1]\n')
    options = ["--seeds", "1", "--name", "a", "--jobs", "1"]
    for arguments in (["a.toml", "--dry-run"], ["a.toml", *options]):
        with pytest.raises(S2sError, match="own.py:own, which runs only if you name it"):
            sweep(*arguments)
    assert not Path("imported").exists()
    for named in (["--task", "own.py:own"], ["--set", "task.name=own.py:own"],
                  ["--grid", "task.name=own.py:own"]):  # fmt: skip
        sweep("a.toml", "--dry-run", *named)
    sweep("a.toml", *options, "--task", "own.py:own")
    Path("imported").unlink()
    with pytest.raises(S2sError, match="own.py:own, which runs only if you name it"):
        sweep("--resume", "a")
    assert not Path("imported").exists()
    capsys.readouterr()
    Path("moved").mkdir()
    Path("own.py").rename("moved/own.py")
    sweep("--resume", "a", "--task", "moved/own.py:own")
    assert "complete before" in capsys.readouterr().err
    Path("moved/own.py").write_text("def own(sources): return sources[:, ::-1]\n")
    with pytest.raises(ConfigurationError, match="not the one that the run was begun with"):
        sweep("--resume", "a", "--task", "moved/own.py:own")


def test_a_sweep_without_temporary_files_is_not_begun(tmp_path, sweep, monkeypatch):
    def refuse():
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", refuse)
    with pytest.raises(FileNotFoundError):
        sweep("--grid", "model.units=8")
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_without_time_for_any_cell_is_an_error(sweep):
    expected = "the time budget is used up: n_in-6, n_in-12; resume with: s2s sweep --resume"
    with pytest.raises(ConfigurationError, match=expected):
        sweep("--grid", "task.n_in=6,12", "--time-budget", "1s")


def process_in(folder: Path) -> int:
    """Return the number of the process that trains in a sweep's folder, once there is one."""
    while True:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if b"train" in words and os.fsencode(folder) in words:
                return int(path.parent.name)
        time.sleep(0.05)


def wait_for(folder: Path, pattern: str, process: subprocess.Popen) -> None:
    while not list(folder.glob(pattern)):
        assert process.poll() is None
        time.sleep(0.02)


@pytest.mark.slow
def test_a_real_sweep_is_killed_interrupted_and_resumed(tmp_path):
    folder = tmp_path / "runs" / "real"
    settings = ("task.n_in=4", "task.n_out=2", "task.cardinality=13", "training.batch_size=16",
                "training.n_samples=16000")  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "seq2seq_cli", "sweep", "--grid", "model.units=8,9", "--seeds", "2",
         *(word for setting in settings for word in ("--set", setting)), "--name", "real",
         "--checkpoint-seconds", "0.02", "--jobs", "1", "--output", "a table.csv"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(folder, "units-8-seed-0.training/checkpoint/*.json", process)
    os.kill(process_in(folder), signal.SIGKILL)
    wait_for(folder, "units-9-seed-0.training/checkpoint/*.json", process)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "")
    assert "2 cells x 2 seeds: 4,000 steps left, about" in errors
    assert re.search(r"units-\d: killed by SIGKILL; trying again", errors)
    assert errors.splitlines()[-1] == (
        "s2s: interrupted; resume with: s2s sweep --resume real --jobs 1 --output 'a table.csv'"
    )
    done = run_s2s("sweep", "--resume", "real", "--jobs", "1", "--json", cwd=tmp_path)
    assert done.stderr == ""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    runs = [line for line in lines if line["kind"] == "run"]
    assert [(run["cell"], run["seed"]) for run in runs] == [
        ("units-8", 0), ("units-8", 1), ("units-9", 0), ("units-9", 1),
    ]  # fmt: skip
    evaluated = run_s2s("evaluate", "--run", runs[0]["run"], "--json", cwd=tmp_path)
    assert json.loads(evaluated.stdout)["exact_match"] == runs[0]["exact_match"]
    assert run_s2s("predict", "--run", runs[3]["run"], "1 2 3 4", cwd=tmp_path).stdout.strip()
    assert re.search(r"real +4 of 4 +\d", run_s2s("runs", cwd=tmp_path).stdout)
