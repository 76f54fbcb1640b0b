"""The README is true: its commands print what it shows, and nothing is missing."""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import run_s2s

from seq2seq_cli.cli.app import COMMANDS, make_command

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```console\n\$ s2s ([^\n]*)\n(.*?)```", README, flags=re.DOTALL)
EXACT = ("generate", "predict")
"""Commands whose output does not depend on the machine's speed."""


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    folder = tmp_path_factory.mktemp("session")
    return [(line, shown, run_s2s(*shlex.split(line), cwd=folder).stdout) for line, shown in BLOCKS]


def test_the_session_runs_as_shown(session):
    ran = [line.split()[0] for line, _, _ in session]
    assert ran == ["generate", "train", "evaluate", "predict"]
    for line, shown, printed in session:
        if line.split()[0] in EXACT:
            assert words(printed) == words(shown)


def test_the_session_trains_the_model_shown(session):
    """The spot checks and the table's labels are the same."""
    _, shown, printed = session[1]
    rows = words(printed)
    for row in words(shown):
        if row[-1] == "ok" or row == ["accuracy", "value"]:
            assert row in rows


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_with_options_that_it_has(name):
    assert f"| `s2s {name}` |" in README
    shown = [option for parameter in make_command(name).params for option in parameter.opts]
    for option in re.findall(r"`(--[a-z-]+)", README.split(f"| `s2s {name}` |")[1].split("\n")[0]):
        assert option in shown


def test_the_tree_names_every_package_and_only_existing_modules():
    package = ROOT / "seq2seq_cli"
    tree = (package / "README.md").read_text().split("\n\nEach module")[0]
    for path in package.iterdir():
        if path.is_dir() and (path / "__init__.py").exists():
            assert f"{path.name}/" in tree
    for name in re.findall(r"\w+\.py", tree):
        assert (package / name).exists()


def test_each_module_has_a_docstring():
    for path in (ROOT / "seq2seq_cli").rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path


def test_the_first_screen_is_the_picture_and_the_three_lines():
    first = README.splitlines()[:10]
    (picture,) = (line for line in first if line.startswith("!["))
    assert (ROOT / picture.split("](")[1].rstrip(")")).is_file()
    assert [line.split()[:2] for line in first if line.startswith("    ")] == [
        ["s2s", "train"], ["s2s", "evaluate"], ["s2s", "predict"],
    ]  # fmt: skip


def test_it_is_short_and_no_line_is_wide():
    assert len(README.encode()) <= 14_000
    assert [line for line in README.splitlines() if len(line) > 120] == []


@pytest.mark.parametrize("file", [*ROOT.glob("*/README.md"), ROOT / "README.md"])
def test_every_link_leads_to_a_file(file):
    for link in re.findall(r"\]\(([^)#:]+)\)", file.read_text()):
        assert (file.parent / link).is_file(), link


def test_the_python_example_runs_without_messages(tmp_path, monkeypatch):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    example = README.split("## From Python")[1].split("Every setting")[0]
    code = "\n".join(line[4:] for line in example.splitlines())
    assert f"```python\n{code.strip()}\n```" in (ROOT / "seq2seq_cli/help/python.md").read_text()
    assert len(code.split("\n\n")[-1].splitlines()) <= 4
    code = code.replace("22 17 23 5 29 11", "2 7 3 5").replace(
        "n_in=6, n_out=3, cardinality=51, units=128",
        "n_in=4, n_out=2, cardinality=13, units=48, n_samples=20_000, batch_size=32",
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    exact_match, target = result.stdout.splitlines()
    assert float(exact_match) > 0.98
    assert target == "[7, 2]"
