"""A sample of what the scripts beside this file try; each is a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


def run(script: str, *arguments: str) -> str:
    """Return the last line of a script, which has to find nothing wrong."""
    found = subprocess.run(
        [sys.executable, str(HERE / script), *arguments], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout.splitlines()[-1]


def test_of_processes_that_start_on_one_folder_one_trains():
    told = run("eight_at_once.py", "2", "--seed", "0", "--processes", "4")
    assert told.startswith("2 rounds of 4 processes")
    assert "0 wrong" in told


def test_killed_trainings_end_with_the_same_bits():
    told = run("kill_and_resume.py", "3", "--seed", "1", "--kinds", "generated")
    assert told.startswith("3 kills")
    assert "0 ended with other bits" in told
    assert "under another seed 1 of 1 did" in told


def test_signals_end_commands_at_once():
    names = "train,predict -,evaluate,generate,encode,runs"
    told = run("interrupts.py", "6", "--seed", "4", "--commands", names)
    assert told.startswith("6 signals")
    assert ": 0 wrong" in told
