"""`--callback`: a custom function that returns Keras callbacks."""

import json
import re
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest
from tiny import assert_identical, stop_after, tiny_config

from seq2seq_cli import train, train_seeds
from seq2seq_cli.custom_code import CALLBACK, check_function
from seq2seq_cli.errors import ConfigurationError, Interrupted

pytestmark = pytest.mark.usefixtures("compiled_once")

TOPIC = (Path(__file__).parents[2] / "seq2seq_cli" / "help" / "reports.md").read_text()
EXAMPLES = re.search(r"```python\n(from keras.*?)```", TOPIC, re.DOTALL)[1]

CODE = """
import json
from pathlib import Path
import keras

Path("imported").touch()

class Record(keras.callbacks.Callback):
    def __init__(self, config, run):
        super().__init__()
        self.lines = [{"units": config["model"]["units"], "run": run}]

    def on_epoch_end(self, epoch, logs):
        self.lines.append({"epoch": epoch, "val_loss": logs["val_loss"]})

    def on_train_end(self, logs=None):
        with open("seen.jsonl", "a") as file:
            file.writelines(json.dumps(line) + "\\n" for line in self.lines)

def fail(self, *arguments):
    raise KeyError("mine")

def leave(self, *arguments):
    raise SystemExit(0)

def with_hook(name, hook):
    return type("Fails", (keras.callbacks.Callback,), {name: hook})()

def one(config, run):
    return Record(config, run)

def several(config, run):
    return (callback for callback in [Record(config, run), keras.callbacks.Callback()])

def wrong(config, run):
    return ["no callback"]

def fails(config, run):
    raise ValueError("no network")

def failing(config, run):
    return with_hook("on_epoch_end", fail)

def failing_model(config, run):
    return with_hook("set_model", fail)

def failing_params(config, run):
    return with_hook("set_params", fail)

def leaving(config, run):
    return with_hook("on_train_begin", leave)

number = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(CODE)
    return tmp_path


def seen(folder):
    return [json.loads(line) for line in (folder / "seen.jsonl").read_text().splitlines()]


def test_its_callbacks_follow_the_training_and_change_no_bit(folder, whole):
    run = train(tiny_config(), "runs", "r", callback="mine.py:one")
    first, *epochs = seen(folder)
    assert first == {"units": 8, "run": "r"}
    assert [line["epoch"] for line in epochs] == [0, 1, 2]
    assert_identical(run.path, whole)


def test_it_is_called_for_each_seed(folder):
    train_seeds(tiny_config(epochs=1), 2, "runs", "r", callback="mine.py:several")
    runs = [line["run"] for line in seen(folder) if "run" in line]
    assert runs == ["r-seed-4", "r-seed-5"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("mine", "should be path/to/file.py:function"),
        ("mine.py:one.py:x", "there is no file mine.py:one.py"),
        ("other.py:one", "there is no file other.py"),
        ("mine.py:nothing", "there is no nothing in mine.py"),
        ("bad.py:one", "SyntaxError"),
    ],
)
def test_a_wrong_name_is_reported_before_anything_is_imported(folder, name, problem):
    (folder / "bad.py").write_text("def one(:\n")
    for start in (train, partial(train_seeds, n_seeds=2)):
        with pytest.raises(
            ConfigurationError, match=rf"^--callback {re.escape(name)}: "
        ) as refused:
            start(tiny_config(), runs_dir="runs", callback=name)
        assert problem in str(refused.value)
    assert not (folder / "runs").exists()
    assert not (folder / "imported").exists()


@pytest.mark.parametrize(
    "bound",
    ["def f(): 1", "f = print", "from os import sep as f", "from os import *", "class f: 1"],
)
def test_any_statement_may_bind_the_name(folder, bound):
    (folder / "bound.py").write_text(f"if True:\n    {bound}\n" if "*" not in bound else bound)
    check_function(CALLBACK, "bound.py:f")
    assert "f" not in sys.modules


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("wrong", "it returned str: should be Keras callbacks"),
        ("fails", "it raised ValueError: no network"),
        ("number", "number is not a function"),
        ("failing_model", "failing_model: it raised KeyError: 'mine'"),
        ("failing_params", "failing_params: it raised KeyError: 'mine'"),
    ],
)
def test_a_function_that_fails_leaves_no_folder(folder, name, problem):
    with pytest.raises(ConfigurationError, match=problem):
        train(tiny_config(), "runs", "r", callback=f"mine.py:{name}")
    assert not (folder / "runs" / "r").exists()


def test_an_exception_of_a_callback_is_reported_and_the_training_can_be_resumed(folder, whole):
    with pytest.raises(ConfigurationError, match=r"mine.py:leaving: it raised SystemExit: 0"):
        train(tiny_config(), "runs", "r", callback="mine.py:leaving")
    with pytest.raises(ConfigurationError, match=r"mine.py:failing: it raised KeyError: 'mine'"):
        train(tiny_config(), "runs", "r", force=True, callback="mine.py:failing")
    run = train(tiny_config(), "runs", "r", resume=True)
    assert_identical(run.path, whole)


def test_the_command_that_resumes_names_it_again(folder):
    with pytest.raises(Interrupted, match=r"train --callback mine.py:one --resume --run r"):
        train(tiny_config(), "runs", "r", progress=stop_after(2), callback="mine.py:one")
    with pytest.raises(Interrupted, match=r"--callback mine.py:one --seeds 2"):
        train_seeds(tiny_config(), 2, "runs", "s", progress=stop_after(2), callback="mine.py:one")


def test_the_examples_are_a_function_for_each_library(folder):
    (folder / "tracking.py").write_text(EXAMPLES)
    for name in ("in_wandb", "in_mlflow", "in_trackio"):
        check_function(CALLBACK, f"tracking.py:{name}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow-skinny is not installed")
def test_mlflow_has_the_history_and_the_settings_of_a_training(folder, monkeypatch):
    """A real library without its server: it writes files."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (folder / "tracked").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # or it wants a database
    (folder / "tracking.py").write_text(EXAMPLES)
    train(tiny_config(epochs=2), "runs", "r", callback="tracking.py:in_mlflow")
    (losses,) = (folder / "tracked").glob("*/*/metrics/val_loss")
    values = [line.split()[1:3] for line in losses.read_text().splitlines()]
    history = (folder / "runs" / "r" / "history.jsonl").read_text().splitlines()
    assert [(float(value), int(step)) for value, step in values] == [
        (json.loads(line)["loss"], epoch) for epoch, line in enumerate(history)
    ]
    tracked = losses.parents[1]
    assert (tracked / "params" / "units").read_text() == "8"
    assert "run_name: r" in (tracked / "meta.yaml").read_text()
    assert "status: 3" in (tracked / "meta.yaml").read_text()  # finished
