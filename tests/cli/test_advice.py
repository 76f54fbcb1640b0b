"""Each command that a message advises can be pasted into a shell, and does what is said of it."""

import ast
import html
import inspect
import re
import shlex
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import typer
from conftest import SMALL
from tiny import stop_after, tiny_config

import seq2seq_cli
from seq2seq_cli import train
from seq2seq_cli.cli.app import app
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.errors import ConfigurationError, Interrupted, LossError, ModelError
from seq2seq_cli.runs import advice
from seq2seq_cli.runs.listing import open_run
from seq2seq_cli.runs.names import training_path
from seq2seq_cli.training.events import EpochEnded

FOLDER = "my runs; $HOME"
TASK = "--n-in 4 --n-out 2 --cardinality 13 --units 8 --batch-size 16 --n-samples 640".split()
TASK_SETTINGS = [
    "task.n_in=4", "task.n_out=2", "task.cardinality=13", "training.batch_size=16",
    "training.n_samples=640",
]  # fmt: skip
QUICK = [*TASK, "--runs-dir", FOLDER, "--quiet"]
PLACE = Path(FOLDER)
COMMAND = r"`(s2s [^`]*)`"

TESTED_BY = {
    "train_command": "test_where_there_is_no_run_one_is_trained",
    "list_command": "test_what_lists_the_runs",
    "again_command": "test_what_a_report_says_reproduces_the_run",
    "report_command": "test_what_a_report_says_reproduces_the_run",
    "evaluate_command": "test_what_is_next_after_a_training",
    "predict_command": "test_what_is_next_after_a_training",
    "resume_command": "test_an_incomplete_run_goes_on",
    "sweep_command": "test_what_goes_on_with_a_sweep",
    "remove_command": "test_a_run_of_a_sweep_that_was_trained_further_is_removed_and_trained_again",
    "anew_command": "test_what_cannot_go_on_begins_anew_with_its_settings",
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch, compiled_once):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(output, "end_with_reader", lambda: None)


@pytest.fixture
def s2s(capsys):
    def run(*arguments):
        """Run a command in this process; return its standard output and error."""
        app(list(arguments), prog_name="s2s", standalone_mode=False)
        shown = capsys.readouterr()
        return shown.out, shown.err

    return run


@pytest.fixture
def paste(s2s):
    def run(command, *more):
        """Run a command as a shell would read it."""
        name, *arguments = shlex.split(command)
        assert name == "s2s"
        return s2s(*arguments, *more)

    return run


def make(name: str, folder: Path = PLACE, **training: object) -> Path:
    return train(tiny_config(epochs=1, **training), folder, name).path


def stop(name: str, folder: Path = PLACE, **training: object) -> Path:
    """Return the folder of a training that was interrupted after its first epoch."""
    with pytest.raises(Interrupted):
        train(tiny_config(**training), folder, name, progress=stop_after(1, EpochEnded))
    return folder / name


def test_each_command_has_its_test():
    functions = [
        name
        for name, function in inspect.getmembers(advice, inspect.isfunction)
        if function.__module__ == advice.__name__ and not name.startswith("_")
    ]
    assert sorted(functions) == sorted(TESTED_BY)
    assert set(TESTED_BY.values()) <= set(globals())


def test_no_other_module_writes_a_command():
    """But for those that take no options, and what `--help` shows."""
    package = Path(seq2seq_cli.__file__).parent
    written = {}
    for path in package.rglob("*.py"):
        tree = ast.parse(path.read_text())
        documented = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and node not in documented:
                found = re.search(r"\bs2s [a-z]+\b", str(node.value))
                if found and "exit codes" not in str(node.value).lower():
                    written.setdefault(path.relative_to(package).as_posix(), set()).add(found[0])
    allowed = {
        "cli/options.py": {"s2s tasks", "s2s init"},
        "cli/commands/init.py": {"s2s sweep"},
        "cli/commands/help.py": {"s2s help"},
        "cli/commands/sweep.py": {"s2s init"},
        "shipped.py": {"s2s init"},
        "config.py": {"s2s tasks"},
        "cli/rendering/sweep.py": {"s2s evaluate"},  # which has an interval, it says
    }
    examples = written.pop("cli/app.py")
    assert examples <= {"s2s train", "s2s evaluate", "s2s predict"}
    assert written.pop("inference/loading.py") <= {"s2s reads", "s2s can"}
    assert written.pop("runs/manifest.py") <= {"s2s reads"}
    assert written.pop("storage.py") <= {"s2s does"}
    assert written == allowed


@pytest.mark.parametrize("is_listed", [False, True])
def test_where_there_is_no_run_one_is_trained(s2s, paste, is_listed):
    if is_listed:
        told = s2s("runs", "--runs-dir", FOLDER)[1]
    else:
        with pytest.raises(ModelError) as refused:
            s2s("evaluate", "--runs-dir", FOLDER)
        told = str(refused.value)
    paste(re.search(COMMAND, told)[1], *TASK, "--quiet")
    assert open_run(PLACE).name == "reverse-prefix-4-2-13"


@pytest.mark.parametrize(
    "arguments", [["evaluate"], ["predict", "1 2 3 4"], ["train", "--resume", "--quiet"]]
)
def test_what_lists_the_runs(s2s, paste, arguments):
    make("there")
    with pytest.raises(ModelError) as refused:
        s2s(*arguments, "--run", "gone", "--runs-dir", FOLDER)
    assert "there" in paste(re.search(COMMAND, str(refused.value))[1])[0]


def test_what_is_next_after_a_training(s2s, paste):
    told = s2s("train", *QUICK[:-1], "--run", "a")[1]
    evaluate, predict = re.search(r"next: (s2s .*), or (s2s .*)", told).groups()
    assert "exact match" in paste(evaluate)[0]
    assert len(paste(predict)[0].split()) == 2
    told = s2s("train", *QUICK[:-1], "--run", "b", "--seeds", "1")[1]
    assert "b-seed-0" in paste(re.search(r"next: (s2s .*)", told)[1])[0]


OWN = "def mirrored(sources):\n    return sources[:, ::-1]\n"


def test_what_is_next_of_an_own_task(s2s, paste):
    Path("my own.py").write_text(OWN)
    told = s2s("train", "--task", "my own.py:mirrored", *QUICK[:2], *QUICK[4:-1], "--run", "a")[1]
    evaluate, predict = re.search(r"next: (s2s .*), or (s2s .*)", told).groups()
    assert "exact match" in paste(evaluate)[0]
    assert len(paste(predict)[0].split()) == 4
    (PLACE / "a" / "run.json").unlink()
    with pytest.raises(ModelError) as refused:
        s2s("evaluate", "--runs-dir", FOLDER)
    assert "no completed run" in str(refused.value)
    with pytest.raises(ModelError) as refused:
        s2s("evaluate", "--runs-dir", FOLDER, "--run", "a")
    paste(re.search(COMMAND, str(refused.value))[1], "--quiet")
    assert open_run(PLACE, "a").config.task.name == "my own.py:mirrored"


def test_pairs_from_a_pipe_are_asked_for():
    told = advice.resume_command(PLACE / "a", tiny_config().task.model_copy(
        update={"data": "/dev/fd/63", "validation_data": "gone.csv"}
    ))  # fmt: skip
    assert told.endswith("--data FILE --validation-data FILE")
    Path("here.csv").write_text("source,target\n1 2,1\n")
    here = tiny_config().task.model_copy(update={"data": "here.csv"})
    assert "--data" not in advice.resume_command(PLACE / "a", here)


@pytest.mark.parametrize("folder", [PLACE, Path("runs")])
def test_an_incomplete_run_goes_on(s2s, paste, folder):
    path = stop("a", folder)
    with pytest.raises(ModelError) as refused:
        s2s("evaluate", "--run", "a", "--runs-dir", str(folder))
    paste(re.search(COMMAND, str(refused.value))[1], "--quiet")
    assert (path / "run.json").is_file()
    assert open_run(folder, "a").config.training == tiny_config().training


def damaged(path: Path, which: str) -> None:
    for file in (training_path(path) / "checkpoint").glob(which):
        file.write_bytes(b"")


@pytest.mark.parametrize("kind", ["no description", "no arrays", "no checkpoint, resumed"])
def test_what_cannot_go_on_begins_anew_with_its_settings(s2s, paste, kind):
    path = stop("a", seed=7)
    if kind == "no arrays":
        damaged(path, "*.npz")
        refused_by = ["train", "--resume", "--quiet"]
    elif kind == "no description":
        for file in (training_path(path) / "checkpoint").glob("*.json"):
            file.unlink()
        refused_by = ["evaluate"]
    else:
        for file in (training_path(path) / "checkpoint").glob("*"):
            file.unlink()
        refused_by = ["train", "--resume", "--quiet"]
    with pytest.raises(ModelError) as refused:
        s2s(*refused_by, "--run", "a", "--runs-dir", FOLDER)
    paste(re.search(COMMAND, str(refused.value))[1], "--quiet")
    assert open_run(PLACE, "a").config.training == tiny_config(seed=7).training


def test_where_the_settings_are_damaged_too_others_are_given(s2s, paste):
    path = stop("a")
    damaged(path, "*")
    (training_path(path) / "config.toml").write_text("[")
    with pytest.raises(ModelError) as refused:
        s2s("evaluate", "--run", "a", "--runs-dir", FOLDER)
    paste(re.search(COMMAND, str(refused.value))[1], *TASK, "--quiet")
    assert open_run(PLACE, "a").config.model.units == 8


def test_what_a_report_says_reproduces_the_run(s2s, paste):
    first = make("a", seed=7)
    s2s("report", "--run", "a", "--runs-dir", FOLDER, "--output", "page.html", "--n-samples", "20")
    commands = re.search(r"<pre>(.*?)</pre>", Path("page.html").read_text(), re.DOTALL)[1]
    again, evaluate, report = html.unescape(commands).splitlines()
    paste(again, "--quiet")
    (second,) = (path for path in PLACE.iterdir() if path != first)
    ours, theirs = (open_run(PLACE, path.name) for path in (first, second))
    for name in ("inference_encoder.keras", "inference_decoder.keras"):
        with zipfile.ZipFile(ours.path / name) as a, zipfile.ZipFile(theirs.path / name) as b:
            assert a.read("model.weights.h5") == b.read("model.weights.h5")
    assert "accuracy" in paste(evaluate, "--n-samples", "20")[0]
    assert "wrote report.html" in paste(report, "--n-samples", "20")[1]


def test_a_loss_that_is_not_finite_is_mended_by_a_lower_rate(s2s):
    given = ["train", *QUICK, "--run", "a"]
    with pytest.raises(LossError) as failed:
        s2s(*given, "--learning-rate", "3e38")
    assert "--force" in str(failed.value)
    lower, clipped = re.findall(r"training\.\w+", str(failed.value))
    s2s(*given, "--force", "--set", f"{lower}=0.001", "--set", f"{clipped}=1.0")
    assert open_run(PLACE, "a").manifest.results.loss < 10


@pytest.mark.parametrize("seeds", [[], ["--seeds", "2", "--seed", "3"]])
def test_what_goes_on_with_a_stopped_training(tmp_path, paste, seeds):
    small = [*SMALL, "--n-samples", "640", "--runs-dir", FOLDER]
    options = [*small, "--run", "a", *seeds, "--epochs", "100000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "seq2seq_cli", "train", *options],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while "epoch 1/" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 130
    command = re.search(r"resume with: (s2s .*)", told)[1]
    paste(command, "--set", "training.stop_at=0.0001", "-q")
    assert len(list((tmp_path / FOLDER).glob("a*/run.json"))) == (2 if seeds else 1)


def test_what_goes_on_with_a_sweep(s2s, paste):
    cell = [word for option in TASK_SETTINGS for word in ("--set", option)]
    told = s2s(
        "sweep", "--grid", "model.units=8", "--seeds", "1", *cell, "--name", "some",
        "--runs-dir", FOLDER, "--time-budget", "1s",
    )[1]  # fmt: skip
    assert "the time budget is used up" in told
    told = paste(re.search(r"resume with: (s2s .*)", told)[1])[1]
    assert "units-8-seed-0" in paste(re.search(r"next: (s2s .*)", told)[1])[0]


def test_a_run_of_a_sweep_that_was_trained_further_is_removed_and_trained_again(s2s, paste):
    cell = [word for option in TASK_SETTINGS for word in ("--set", option)]
    given = ["sweep", "--grid", "model.units=8", "--seeds", "1", *cell, "--name", "some"]
    s2s(*given, "--runs-dir", FOLDER)
    again = ["--run", "some/units-8-seed-0", "--runs-dir", FOLDER]
    told = s2s("train", "--resume", *again, "--epochs", "9")
    assert "exact match" in told[0]  # the run of a sweep is evaluated as any other
    with pytest.raises(ConfigurationError, match="trained further") as refused:
        s2s("sweep", "--resume", "some", "--runs-dir", FOLDER)
    paste(re.search(COMMAND, str(refused.value))[1], "--yes")
    assert not (PLACE / "some" / "units-8-seed-0").exists()
    s2s("sweep", "--resume", "some", "--runs-dir", FOLDER)
    assert open_run(PLACE / "some", "units-8-seed-0").config.training.epochs < 9
    (PLACE / "some" / "sweep.jsonl").unlink()
    with pytest.raises(ModelError, match="has no results") as refused:
        s2s("plot", "lines", "--sweep", "some", "--runs-dir", FOLDER)
    paste(re.search(COMMAND, str(refused.value))[1])
    assert "units" in s2s("plot", "lines", "--sweep", "some", "--runs-dir", FOLDER)[0]


@pytest.mark.parametrize("value", ["nan", "-1", "-inf"])
def test_seconds_between_checkpoints_are_a_number_from_0(tmp_path, s2s, value):
    with pytest.raises(typer.BadParameter, match="greater than or equal to 0"):
        s2s("train", f"--checkpoint-seconds={value}")
    assert list(tmp_path.iterdir()) == []
