"""The topics of `s2s help`: all are listed, and the options and settings they name exist."""

import re
import subprocess
import sys

import pytest

from seq2seq_cli.cli.app import COMMANDS, make_command
from seq2seq_cli.cli.commands.help import TOPICS, topics
from seq2seq_cli.cli.commands.help import help as show_help
from seq2seq_cli.config import TaskConfig, TrainingConfig
from seq2seq_cli.errors import ConfigurationError


def test_every_topic_is_listed_with_its_title(capsys):
    show_help()
    shown = capsys.readouterr().out
    assert len(topics()) >= 10
    for name in topics():
        assert name in shown


@pytest.mark.parametrize("name", topics())
def test_a_pipe_gets_a_topic_unchanged(name, capsys):
    show_help(name)
    text = capsys.readouterr().out
    assert text == (TOPICS / f"{name}.md").read_text()
    assert text.startswith("# ")
    assert all(len(line) <= 120 for line in text.splitlines())


def test_an_unknown_topic_is_refused():
    with pytest.raises(ConfigurationError, match="did you mean sweeps"):
        show_help("sweep")


@pytest.mark.parametrize("name", topics())
def test_what_a_topic_names_exists(name):
    text = (TOPICS / f"{name}.md").read_text()
    options = {
        option for command in COMMANDS for parameter in make_command(command).params
        for option in parameter.opts
    }  # fmt: skip
    foreign = {"--pre"}
    for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", text):
        assert option in options | foreign, option
    for section, key in re.findall(r"\b(task|training)\.(\w+)", text):
        fields = {"task": TaskConfig, "training": TrainingConfig}[section].model_fields
        assert key in fields, key
    for topic in re.findall(r"s2s help ([a-z-]+)", text):
        assert topic in topics()


def test_a_topic_is_laid_out_on_a_terminal():
    code = (
        "import os, pty, sys\n"
        "pid, fd = pty.fork()\n"
        "if pid == 0:\n"
        "    os.execv(sys.executable, [sys.executable, '-m', 'seq2seq_cli', 'help', 'seeds'])\n"
        "text = b''\n"
        "try:\n"
        "    while part := os.read(fd, 4096):\n"
        "        text += part\n"
        "except OSError:\n"
        "    pass\n"
        "print(os.waitpid(pid, 0)[1], b'# Several seeds' in text, b'Several seeds' in text)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.split() == ["0", "False", "True"]
