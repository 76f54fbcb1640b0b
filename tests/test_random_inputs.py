"""A sample of `random_inputs.py`, and that it would see what is wrong."""

import sys

import pytest
import random_inputs
from input_grammar import Case, options_of

from seq2seq_cli.cli import process
from seq2seq_cli.cli.app import COMMANDS


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited by /proc")
def test_a_sample_of_command_lines_ends_as_documented(tmp_path):
    counts, wrong = random_inputs.run(120, 7, tmp_path)
    assert wrong == []
    assert {"0", "2", "3", "planned"} <= set(counts)


def test_every_option_of_every_command_is_tried():
    options = {command: options_of(command) for command in COMMANDS}
    assert {"--data", "--set", "--units", "--resume", "--quiet", "-q"} <= options["train"].keys()
    assert options["evaluate"]["--n-samples"] == "INTEGER"
    assert options["tasks"] == {"--json": ""}


@pytest.mark.parametrize(
    ("ending", "problem"),
    [
        (lambda folder: (folder / "custom.py").write_text(""), "custom.py was changed"),
        (lambda folder: folder / 0, "ended with traceback"),
        (lambda folder: ("no such code", 9), "ended with 9"),
        (lambda folder: ("", 2), "exit code 2 with 0 lines"),
    ],
)
def test_what_is_wrong_would_be_seen(tmp_path, monkeypatch: pytest.MonkeyPatch, ending, problem):
    monkeypatch.setattr(random_inputs, "draw_case", lambda draw, names: Case(["tasks"]))
    monkeypatch.setattr(process, "run_command", lambda: ending(tmp_path) or ("", 0))
    _, (wrong,) = random_inputs.run(1, 0, tmp_path)
    assert problem in wrong


@pytest.mark.parametrize(
    ("line", "shown"),
    [("a\x1b[31mb", "a\\x1b[31mb"), ("tab\there", "tab\\there"), ("\udcff", "\\udcff"), ("é", "é")],
)
def test_a_message_holds_nothing_that_a_terminal_obeys(capsys, line, shown):
    process.tell(f"{line}\nsecond", 2)
    assert capsys.readouterr().err == f"s2s: {shown}\ns2s: second\n"


def test_a_long_line_loses_its_middle(capsys):
    process.tell("begin" + "9" * 100_000 + "end", 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("s2s: begin9")
    assert line.endswith("9end")
    assert len(line) < 1100
