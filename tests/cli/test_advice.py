"""Each command that a message recommends can be pasted into a shell, and does what it should."""

import ast
import html
import inspect
import re
import shlex
import zipfile
from pathlib import Path

import pytest
from random_run import save_random_run
from tiny import stop_after, tiny_config

import seq2seq_cli
from seq2seq_cli import train
from seq2seq_cli.cli.app import app
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.cli.rendering.training import TrainingProgress
from seq2seq_cli.errors import ConfigurationError, Interrupted, LossError, ModelError
from seq2seq_cli.runs import advice
from seq2seq_cli.runs.listing import open_run
from seq2seq_cli.runs.names import training_path
from seq2seq_cli.training.events import EpochEnded

FOLDER = "my runs; $HOME"
RUNS = Path(FOLDER)
TASK = "--n-in 4 --n-out 2 --cardinality 13 --units 8 --batch-size 16 --n-samples 640".split()
QUICK = [*TASK, "--runs-dir", FOLDER]
NEXT = r"next: (s2s .*), (s2s .*), or (s2s .*)"
COMMAND = r"`(s2s [^`]*)`"

TESTED_BY = {
    "train_command": "test_without_a_run_one_is_trained",
    "list_command": "test_the_runs_are_listed",
    "again_command": "test_a_report_has_the_commands_that_reproduce_the_run",
    "elsewhere_command": "test_a_report_has_the_commands_that_reproduce_the_run",
    "report_command": "test_a_report_has_the_commands_that_reproduce_the_run",
    "evaluate_command": "test_what_to_do_after_a_training",
    "predict_command": "test_what_to_do_after_a_training",
    "resume_command": "test_an_incomplete_run_is_resumed",
    "sweep_command": "test_a_sweep_is_resumed_and_its_changed_run_replaced",
    "remove_command": "test_a_sweep_is_resumed_and_its_changed_run_replaced",
    "anew_command": "test_a_run_that_cannot_be_resumed_is_restarted_with_its_settings",
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


def stop(name: str, folder: Path = RUNS, **training: object) -> Path:
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
    """Except those that take no options, and what `--help` shows."""
    package = Path(seq2seq_cli.__file__).parent
    written = {}
    for path in package.rglob("*.py"):
        tree = ast.parse(path.read_text())
        documented = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and node not in documented:
                command = re.search(r"\bs2s [a-z]+\b", str(node.value))
                if command and "exit codes" not in str(node.value).lower():
                    name = path.relative_to(package).as_posix()
                    written.setdefault(name, set()).add(command[0])
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
def test_without_a_run_one_is_trained(s2s, paste, is_listed):
    if is_listed:
        message = s2s("runs", "--runs-dir", FOLDER)[1]
    else:
        with pytest.raises(ModelError) as refused:
            s2s("evaluate", "--runs-dir", FOLDER)
        message = str(refused.value)
    paste(re.search(COMMAND, message)[1], *TASK, "--quiet")
    assert open_run(RUNS).name == "reverse-prefix-4-2-13"


@pytest.mark.parametrize(
    "arguments", [["evaluate"], ["predict", "1 2 3 4"], ["train", "--resume", "--quiet"]]
)
def test_the_runs_are_listed(s2s, paste, arguments):
    save_random_run(RUNS, "there", tiny_config())
    with pytest.raises(ModelError) as refused:
        s2s(*arguments, "--run", "gone", "--runs-dir", FOLDER)
    assert "there" in paste(re.search(COMMAND, str(refused.value))[1])[0]


def test_what_to_do_after_a_training(s2s, paste):
    _, messages = s2s("train", *QUICK, "--run", "a")
    evaluate, report, predict = re.search(NEXT, messages).groups()
    assert "exact match" in paste(evaluate)[0]
    assert report.startswith("s2s report --run a ")
    assert len(paste(predict)[0].split()) == 2
    _, messages = s2s("train", *QUICK, "--run", "b", "--seeds", "1")
    assert "b-seed-0" in paste(re.search(r"next: (s2s .*)", messages)[1])[0]


def test_after_a_training_with_attention_it_is_shown(s2s, paste):
    _, messages = s2s("train", *QUICK, "--attention", "dot", "--run", "a")
    *_, predict = re.search(NEXT, messages).groups()
    assert "--attention" in predict
    assert "1" in paste(predict)[0]


CUSTOM = "def mirrored(sources):\n    return sources[:, ::-1]\n"


def test_what_to_do_after_a_training_of_a_custom_task(s2s, paste):
    Path("my own.py").write_text(CUSTOM)
    task = ["--task", "my own.py:mirrored", *TASK[:2], *TASK[4:]]
    _, messages = s2s("train", *task, "--runs-dir", FOLDER, "--run", "a")
    evaluate, report, predict = re.search(NEXT, messages).groups()
    assert "exact match" in paste(evaluate)[0]
    assert report.startswith("s2s report --run a ")
    assert len(paste(predict)[0].split()) == 4
    (RUNS / "a" / "run.json").unlink()
    with pytest.raises(ModelError, match="no completed run"):
        s2s("evaluate", "--runs-dir", FOLDER)
    with pytest.raises(ModelError) as refused:
        s2s("evaluate", "--runs-dir", FOLDER, "--run", "a")
    paste(re.search(COMMAND, str(refused.value))[1], "--quiet")
    assert open_run(RUNS, "a").config.task.name == "my own.py:mirrored"


def test_resuming_asks_for_pairs_from_a_pipe():
    piped = {"data": "/dev/fd/63", "validation_data": "gone.csv"}
    command = advice.resume_command(RUNS / "a", tiny_config().task.model_copy(update=piped))
    assert command.endswith("--data FILE --validation-data FILE")
    Path("here.csv").write_text("source,target\n1 2,1\n")
    here = tiny_config().task.model_copy(update={"data": "here.csv"})
    assert "--data" not in advice.resume_command(RUNS / "a", here)


@pytest.mark.parametrize("folder", [RUNS, Path("runs")])
def test_an_incomplete_run_is_resumed(s2s, paste, folder):
    path = stop("a", folder)
    with pytest.raises(ModelError) as refused:
        s2s("evaluate", "--run", "a", "--runs-dir", str(folder))
    paste(re.search(COMMAND, str(refused.value))[1], "--quiet")
    assert (path / "run.json").is_file()
    assert open_run(folder, "a").config.training == tiny_config().training


@pytest.mark.parametrize(
    ("damaged", "is_removed", "command"),
    [("*.npz", False, "train"), ("*.json", True, "evaluate"), ("*", True, "train")],
)
def test_a_run_that_cannot_be_resumed_is_restarted_with_its_settings(
    s2s, paste, damaged, is_removed, command
):
    path = stop("a", seed=7)
    for file in (training_path(path) / "checkpoint").glob(damaged):
        if is_removed:
            file.unlink()
        else:
            file.write_bytes(b"")
    words = ["evaluate"] if command == "evaluate" else ["train", "--resume", "--quiet"]
    with pytest.raises(ModelError) as refused:
        s2s(*words, "--run", "a", "--runs-dir", FOLDER)
    paste(re.search(COMMAND, str(refused.value))[1], "--quiet")
    assert open_run(RUNS, "a").config.training == tiny_config(seed=7).training


def test_a_run_with_damaged_settings_is_restarted_with_others(s2s, paste):
    path = stop("a")
    for file in (training_path(path) / "checkpoint").iterdir():
        file.write_bytes(b"")
    (training_path(path) / "config.toml").write_text("[")
    with pytest.raises(ModelError) as refused:
        s2s("evaluate", "--run", "a", "--runs-dir", FOLDER)
    paste(re.search(COMMAND, str(refused.value))[1], *TASK, "--quiet")
    assert open_run(RUNS, "a").config.model.units == 8


def test_a_report_has_the_commands_that_reproduce_the_run(s2s, paste):
    first = train(tiny_config(epochs=1, seed=7), RUNS, "a").path
    s2s("report", "--run", "a", "--runs-dir", FOLDER, "--output", "page.html", "--n-samples", "20")
    shown = re.findall(r'<pre id="(.*?)">(.*?)</pre>', Path("page.html").read_text(), re.DOTALL)
    texts = {name: html.unescape(text) for name, text in shown}
    again, evaluate, report = texts["commands"].splitlines()
    paste(again, "--quiet")
    (second,) = (path for path in RUNS.iterdir() if path != first)
    Path("config.toml").write_text(texts["config"])
    paste(texts["elsewhere"], "--quiet")
    (third,) = Path("runs").iterdir()
    for other in (second, third):
        for name in ("inference_encoder.keras", "inference_decoder.keras"):
            with zipfile.ZipFile(first / name) as a, zipfile.ZipFile(other / name) as b:
                assert a.read("model.weights.h5") == b.read("model.weights.h5")
    assert "accuracy" in paste(evaluate, "--n-samples", "20")[0]
    assert "wrote report.html" in paste(report, "--n-samples", "20")[1]


def test_a_loss_that_is_not_finite_is_fixed_by_a_lower_rate(s2s):
    words = ["train", *QUICK, "--quiet", "--run", "a"]
    with pytest.raises(LossError) as failed:
        s2s(*words, "--learning-rate", "3e38")
    assert "--force" in str(failed.value)
    lower, clipped = re.findall(r"training\.\w+", str(failed.value))
    s2s(*words, "--force", "--set", f"{lower}=0.001", "--set", f"{clipped}=1.0")
    assert open_run(RUNS, "a").manifest.results.loss < 10


@pytest.mark.parametrize("seeds", [[], ["--seeds", "2", "--seed", "3"]])
def test_a_stopped_training_is_resumed(s2s, paste, monkeypatch, seeds):
    stopping = stop_after(1, EpochEnded)
    with monkeypatch.context() as patched:
        patched.setattr(TrainingProgress, "show", lambda _, event: stopping(event))
        with pytest.raises(Interrupted) as stopped:
            s2s("train", *QUICK, "--run", "a", *seeds, "--epochs", "100000")
    command = re.search(r"resume with: (s2s .*)", str(stopped.value))[1]
    paste(command, "--set", "training.stop_at=0.0001", "-q")
    assert len(list(RUNS.glob("a*/run.json"))) == (2 if seeds else 1)


def test_a_sweep_is_resumed_and_its_changed_run_replaced(s2s, paste):
    settings = ["task.n_in=4", "task.n_out=2", "task.cardinality=13", "training.batch_size=16",
                "training.n_samples=640"]  # fmt: skip
    cell = [word for setting in settings for word in ("--set", setting)]
    with pytest.raises(ConfigurationError, match="the time budget is used up") as refused:
        s2s(
            "sweep", "--grid", "model.units=8", "--seeds", "1", *cell, "--name", "grid",
            "--runs-dir", FOLDER, "--time-budget", "1s",
        )  # fmt: skip
    _, messages = paste(re.search(r"resume with: (s2s .*)", str(refused.value))[1])
    assert "units-8-seed-0" in paste(re.search(r"next: (s2s .*)", messages)[1])[0]
    run = ["--run", "grid/units-8-seed-0", "--runs-dir", FOLDER]
    shown, _ = s2s("train", "--resume", *run, "--epochs", "9")
    assert "exact match" in shown  # the run of a sweep is evaluated like any other
    with pytest.raises(ConfigurationError, match="trained further") as refused:
        s2s("sweep", "--resume", "grid", "--runs-dir", FOLDER)
    paste(re.search(COMMAND, str(refused.value))[1], "--yes")
    assert not (RUNS / "grid" / "units-8-seed-0").exists()
    (RUNS / "grid" / "sweep.jsonl").unlink()
    with pytest.raises(ModelError, match="has no results") as refused:
        s2s("plot", "lines", "--sweep", "grid", "--runs-dir", FOLDER)
    paste(re.search(COMMAND, str(refused.value))[1])
    assert open_run(RUNS / "grid", "units-8-seed-0").config.training.epochs < 9
    assert "units" in s2s("plot", "lines", "--sweep", "grid", "--runs-dir", FOLDER)[0]
