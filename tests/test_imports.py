"""Importing loads no heavy module, and changes nothing in the process."""

import subprocess
import sys
from pathlib import Path

import pytest

from seq2seq_cli.cli.app import COMMANDS

UNCHANGED = """
import os, sys
before = dict(os.environ)
import seq2seq_cli
assert not {"numpy", "tensorflow"} & set(sys.modules)
import seq2seq_cli.training.session, seq2seq_cli.training.process, seq2seq_cli.training.cluster
from seq2seq_cli import train
assert dict(os.environ) == before, set(os.environ.items()) ^ set(before.items())
assert not {"tensorflow", "keras"} & set(sys.modules)
"""

LISTED = """
import sys
from seq2seq_cli.cli.process import main
try:
    main()
except SystemExit as end:
    print(end.code, *sys.modules, file=sys.stderr)
"""

HEAVY = {
    "tensorflow", "keras", "rich", "tomli_w", "platformdirs", "hypothesis", "asyncio",
    "concurrent.futures", "multiprocessing", "http", "sqlite3", "unittest", "xml",
}  # fmt: skip
"""Modules that are slow to import, and that no single prediction needs."""

OTHER_WORK = {
    f"seq2seq_cli.{name}"
    for name in ("training", "evaluation", "evaluation_data", "data.plan", "data.streams",
                 "data.files", "cli.commands.train", "cli.commands.evaluate")
}  # fmt: skip


def modules(*arguments: str, cwd: Path) -> set[str]:
    """Return what the command, run as a user does, has imported at its end."""
    result = subprocess.run(
        [sys.executable, "-c", LISTED, *arguments],
        cwd=cwd, capture_output=True, text=True, check=True,
    )  # fmt: skip
    code, *imported = result.stderr.splitlines()[-1].split()
    assert code == "0"
    return set(imported)


@pytest.mark.parametrize("options", [(), ("--json",), ("--beam", "3", "--top", "2")])
def test_predict_imports_no_more_than_it_needs(random_runs, options):
    imported = modules("predict", "1 2 3 4", *options, cwd=random_runs.parent)
    assert imported & (HEAVY | OTHER_WORK) == set()
    assert {"numpy", "h5py"} <= imported


@pytest.mark.parametrize("arguments", [("--help",), ("predict", "--help"), ("train", "--help")])
def test_help_imports_nothing_to_compute_with(tmp_path, arguments):
    imported = modules(*arguments, cwd=tmp_path)
    commands = {f"seq2seq_cli.cli.commands.{name}" for name in COMMANDS}
    assert imported & (HEAVY | (OTHER_WORK - commands)) == set()
    assert imported & {"numpy", "h5py", "pydantic", "seq2seq_cli.config", "tomllib"} == set()


def test_importing_the_package_loads_no_library_and_changes_nothing():
    subprocess.run([sys.executable, "-c", UNCHANGED], check=True)
