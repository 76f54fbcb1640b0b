"""Custom code that prints or exits, and custom tasks in files that have moved."""

import json
from pathlib import Path

import pytest
from random_run import save_random_run

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.runs.resumption import check_resumable

SAME = "def same(sources):\n    print('called')\n    return sources\n"


@pytest.fixture
def runs(tmp_path):
    """Save the runs `first` and `second`, of custom tasks in files of the same names."""
    for folder in ("first", "second"):
        task = TaskConfig(name=f"{folder}/mine.py:same", n_in=3, n_out=3, cardinality=30)
        save_random_run(tmp_path / "runs", folder, RunConfig(task=task, model=ModelConfig(units=4)))
        write(Path(folder) / "mine.py", f"print('imported {folder}')\n{SAME}", tmp_path)


def write(path, code, root):
    (root / path).parent.mkdir(exist_ok=True)
    (root / path).write_text(code)


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    "line",
    ["evaluate --run first --n-samples 20", "evaluate --run first --n-samples 5 --lengths 3",
     "generate --n-in 3 --n-samples 1"],
)  # fmt: skip
def test_what_custom_code_prints_is_not_data(s2s_here, line):
    result = s2s_here(*line.split(), "--task", "first/mine.py:same", "--json")
    json.loads(result.stdout)
    assert "imported first" in result.stderr
    assert "called" in result.stderr


@pytest.mark.parametrize(
    "code",
    ["import sys\n" + SAME + "sys.exit(0)\n", "def same(sources):\n    raise SystemExit(0)\n"],
)
def test_custom_code_that_exits_is_an_error(s2s_here, tmp_path, code):
    write("mine.py", code, tmp_path)
    result = s2s_here("generate", "--task", "mine.py:same", check=False)
    assert result.returncode == 2
    assert "task mine.py:same" in result.stderr
    assert "SystemExit" in result.stderr


@pytest.mark.usefixtures("runs")
def test_a_custom_task_is_accepted_from_another_path(s2s_here, tmp_path):
    evaluate = ["evaluate", "--run", "first", "--n-samples", "20", "--task"]
    s2s_here(*evaluate, "./first/mine.py:same")
    s2s_here(*evaluate, str(tmp_path / "first" / "mine.py:same"))
    (tmp_path / "first").rename(tmp_path / "moved")
    s2s_here(*evaluate, "moved/mine.py:same")
    assert s2s_here(*evaluate, "moved/mine.py:other", check=False).returncode == 2
    write("first/mine.py", "def same(sources):\n    return sources[:, ::-1]\n", tmp_path)
    result = s2s_here(*evaluate, "moved/mine.py:same", check=False)
    assert result.returncode == 2
    assert "use the run's task, first/mine.py:same" in result.stderr


def test_a_training_is_resumed_with_a_custom_task_that_has_moved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("mine.py", SAME, tmp_path)
    task = TaskConfig(name="gone/mine.py:same", n_in=3, n_out=3)
    saved, moved, other = (
        RunConfig(task=task.model_copy(update={"name": f"{file}"}))
        for file in (task.name, "./mine.py:same", "./mine.py:other")
    )
    check_resumable(saved, moved)
    with pytest.raises(ConfigurationError, match="the run was begun with 'gone/mine.py:same'"):
        check_resumable(saved, other)


@pytest.mark.usefixtures("runs")
def test_runs_of_several_custom_tasks_are_compared(s2s_here):
    report = ["report", "--compare", "first", "second", "--n-samples", "20"]
    named = ["--task", "first/mine.py:same", "--task", "second/mine.py:same"]
    shown = s2s_here(*report, *named)
    assert Path("report.html").is_file()
    assert "imported first" in shown.stderr
    assert "imported second" in shown.stderr
    result = s2s_here(*report, *named[:2], check=False)
    assert result.returncode == 2
    assert "add --task second/mine.py:same" in result.stderr


@pytest.mark.parametrize(
    ("name", "problem"),
    [("mine.py", "name its function, as mine.py:FUNCTION"),
     ("mine.py:", "name its function, as mine.py:FUNCTION"),
     ("mine.py:other", "there is no other in mine.py"),
     ("none.py:same", "there is no file none.py")],
)  # fmt: skip
@pytest.mark.parametrize("option", ["--task", "--callback"])
def test_a_wrong_name_of_a_function_has_one_message(s2s_here, tmp_path, option, name, problem):
    write("mine.py", SAME, tmp_path)
    result = s2s_here("train", option, name, "--dry-run", check=False)
    assert result.returncode == 2
    assert f"{option.strip('-')} {name}: {problem}" in result.stderr


@pytest.mark.parametrize(
    "code",
    [SAME + "raise KeyboardInterrupt\n", "def same(sources):\n    raise KeyboardInterrupt\n"],
)
def test_custom_code_that_raises_keyboard_interrupt_does_not_end_in_silence(
    s2s_here, tmp_path, code
):
    write("mine.py", code, tmp_path)
    result = s2s_here("generate", "--task", "mine.py:same", check=False)
    assert result.returncode == 130
    assert "custom code raised KeyboardInterrupt" in result.stderr
