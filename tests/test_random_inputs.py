"""A sample of `random_inputs.py`, and that it would see what it is there to see."""

import sys

import pytest
import random_inputs
from input_grammar import Case, options_of

from seq2seq_cli.cli import process
from seq2seq_cli.cli.app import COMMANDS


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited by /proc")
def test_a_sample_of_command_lines_ends_as_documented(tmp_path):
    counts, wrong = random_inputs.run(120, 7, tmp_path, real_share=0.01)
    assert wrong == []
    assert {"0", "2", "3", "planned"} <= set(counts)


def test_every_option_of_every_command_is_tried():
    found = {command: options_of(command) for command in COMMANDS}
    assert {"--data", "--set", "--units", "--resume", "--quiet", "-q"} <= found["train"].keys()
    assert found["evaluate"]["--n-samples"] == "INTEGER"
    assert found["tasks"] == {"--json": ""}


@pytest.mark.parametrize("wrong", ["was changed", "a traceback", "exit code 9", "no line says"])
def test_what_is_wrong_would_be_seen(tmp_path, monkeypatch: pytest.MonkeyPatch, wrong):
    def act():
        if wrong == "was changed":
            (tmp_path / "own.py").write_text("")
        if wrong == "a traceback":
            raise KeyError("a bug")
        return (
            ("no such code", 9) if wrong == "exit code 9" else ("", 2 * (wrong == "no line says"))
        )

    monkeypatch.setattr(random_inputs, "draw_case", lambda draw, names: Case(["tasks"]))
    monkeypatch.setattr(process, "run_command", act)
    _, (found,) = random_inputs.run(1, 0, tmp_path, real_share=0)
    assert wrong in found


@pytest.mark.parametrize(
    ("line", "shown"),
    [("a\x1b[31mb", "a\\x1b[31mb"), ("tab\there", "tab\\there"), ("\udcff", "\\udcff"), ("é", "é")],
)
def test_a_message_holds_nothing_that_a_terminal_obeys(capsys, line, shown):
    process.tell(f"{line}\nsecond")
    assert capsys.readouterr().err == f"s2s: {shown}\ns2s: second\n"


def test_of_a_long_line_the_ends_are_shown(capsys):
    process.tell("begin" + "9" * 100_000 + "end")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("s2s: begin9")
    assert line.endswith("9end")
    assert len(line) < 1100
