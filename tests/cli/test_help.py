"""Help in sections, tab completion, and what a mistyped word may have meant."""

import re
import shlex
import sys
from typing import get_args

import pytest

from seq2seq_cli.cli.app import COMMANDS, GROUPS, app, make_command
from seq2seq_cli.cli.process import run_command
from seq2seq_cli.config import ModelConfig, RunConfig
from seq2seq_cli.data.tasks import TASKS
from seq2seq_cli.reports import RUN_CHARTS, SECTIONS, SWEEP_CHARTS
from seq2seq_cli.runs.manifest import CONFIG_FILE
from seq2seq_cli.shipped import shipped_names


@pytest.fixture
def typed(monkeypatch, capsys, tmp_path):
    """Return a function that returns the completions of these words."""
    monkeypatch.chdir(tmp_path)

    def complete(*words):
        monkeypatch.setenv("_S2S_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", " ".join(["s2s", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        with pytest.raises(SystemExit) as ended:
            app([], prog_name="s2s", standalone_mode=False)
        assert ended.value.code == 0
        return capsys.readouterr().out.split()

    return complete


@pytest.fixture
def help_of(capsys):
    """Return a function that returns the help of a command."""

    def show(*words):
        app([*words, "--help"], prog_name="s2s", standalone_mode=False)
        return capsys.readouterr().out

    return show


def test_commands_and_options_are_completed(typed):
    assert typed("pre") == ["predict"]
    assert set(COMMANDS) <= set(typed(""))
    assert typed("train", "--epo") == ["--epochs"]
    assert {"--run", "--runs-dir"} <= set(typed("evaluate", "--run"))
    assert typed("runs", "") == ["compare", "rm", "mv"]


def test_tasks_configurations_and_choices_are_completed(typed):
    assert typed("train", "--task", "") == list(TASKS)
    assert typed("generate", "--task", "cop") == ["copy"]
    assert typed("train", "--config", "") == shipped_names()
    assert typed("init", "al") == ["all"]
    assert typed("train", "--attention", "d") == ["dot"]


def test_runs_are_completed_from_the_chosen_folder(typed, tmp_path, monkeypatch):
    for folder in ("runs/one", "runs/two", "elsewhere/other"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / CONFIG_FILE).touch()
    (tmp_path / "runs" / "no-run").mkdir()
    assert typed("evaluate", "--run", "") == ["one", "two"]
    assert typed("evaluate", "tw") == ["two"]
    assert typed("predict", "--run", "tw") == ["two"]
    assert typed("inspect", "--runs-dir", "elsewhere", "--run", "") == ["other"]
    assert typed("predict", "--runs-dir", "runs/one/config.toml", "--run", "") == []
    monkeypatch.setenv("S2S_RUNS_DIR", "elsewhere")
    assert typed("train", "--run", "") == ["other"]


def test_the_help_names_each_command_with_its_purpose(help_of):
    shown = " ".join(help_of().split())
    for name in COMMANDS:
        assert f"{name} {make_command(name).help.splitlines()[0]}" in shown


def test_the_help_has_groups_whose_lines_are_whole(help_of):
    shown = help_of()
    for group, names in GROUPS.items():
        lines = re.search(rf"^{group}:\n((?:  .*\n)+)", shown, re.MULTILINE)[1].splitlines()
        assert [line.split()[0] for line in lines] == list(names)
        assert len({re.match(r"  \w+ +", line).end() for line in lines}) == 1
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_each_help_has_examples_with_options_that_exist(name, help_of):
    command = make_command(name)
    lines = help_of(name).splitlines()
    examples = [line for line in lines if line.startswith("    s2s ")]
    assert 1 <= len(examples) <= 5
    for line in examples:
        words = shlex.split(line.partition(">")[0])
        assert words[1] == name
        command.make_context(name, words[2:])
    assert max(map(len, lines)) <= 80


def test_the_help_says_what_each_chart_shows(help_of):
    shown = help_of("plot")
    for chart in (*RUN_CHARTS, *SWEEP_CHARTS):
        assert re.search(rf"^    {chart}  +\w.*", shown, re.MULTILINE)
    shown = help_of("report")
    for section in SECTIONS:
        assert re.search(rf"^    {section}  +\w.*", shown, re.MULTILINE)


def test_the_help_of_train_has_its_sections(help_of):
    shown = help_of("train")
    sections = dict(re.findall(r"^(\w+):\n((?:  .*\n)+)", shown, re.MULTILINE))
    assert list(sections) == ["Task", "Model", "Training", "Configuration", "Run", "Options"]
    held = {"Task": "--n-in", "Model": "--units", "Training": "--epochs", "Run": "--resume"}
    for section, option in held.items():
        assert option in sections[section]
    choices = "|".join(get_args(ModelConfig.model_fields["attention"].annotation))
    assert f"--attention <{choices}> " in sections["Model"]


@pytest.mark.parametrize("name", COMMANDS)
def test_no_help_shows_a_python_type(name, help_of):
    assert not re.search(r"<(int|float|str|path|bool)", help_of(name))


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("trian", "No such command 'trian'. Did you mean 'train'?"),
        ("train --epoch 3", "No such option: --epoch. Did you mean '--epochs'?"),
        (
            "evaluate --exmples 3",
            "No such option: --exmples. Did you mean '--examples' or '--n-samples'?",
        ),
        ("predict --xyz", "No such option: --xyz"),
        ("predict --clip-norm 1", "No such option: --clip-norm"),
        (
            "train --clip-norm 1",
            "No such option: --clip-norm. It is a setting: --set training.clip_norm=VALUE",
        ),
        (
            "generate --digit-order=big-endian",
            "No such option: --digit-order. It is a setting: --set task.digit_order=VALUE",
        ),
    ],
)
def test_a_mistyped_word_gets_a_suggestion(words, meant, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["s2s", *words.split()])
    assert run_command() == (meant, 2)


@pytest.mark.parametrize(
    ("words", "names"),
    [("plot", (*RUN_CHARTS, *SWEEP_CHARTS)), ("export", ("DIR", "folder")),
     ("export here", ("--format", "saved-model", "onnx", "litert")),
     ("predict", ('"22 17 23 5 29 11"', "--input FILE"))],
)  # fmt: skip
def test_a_missing_value_is_named_with_its_choices(words, names, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["s2s", *words.split()])
    message, code = run_command()
    assert code == 2
    assert "\n" not in message
    assert all(name in message for name in names)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_default_is_shown_in_one_style(name, help_of):
    shown = " ".join(help_of(name).partition("\n\n")[2].split())
    for brackets in re.findall(r" \[([^]]+)\]", shown):
        assert re.match(r"default: |env var: \w+; default: |required$|\d*(<=)?x[<>]?=", brackets)
    assert "] [" not in shown
    assert not re.search(r"default: \d+\.0\b", shown)


def test_the_defaults_in_the_help_are_those_of_the_configuration(help_of):
    shown = " ".join(help_of("train").split())
    config = RunConfig()
    defaults = {
        "task": config.task.name, "n-in": config.task.n_in, "units": config.model.units,
        "epochs": config.training.epochs, "batch-size": config.training.batch_size,
    }  # fmt: skip
    for name, default in defaults.items():
        assert re.search(rf"--{name} [^[]*\[default: {default}\]", shown)
