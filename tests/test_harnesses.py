"""A sample of what the scripts next to this file try; each in its own process."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("script", "options"),
    [
        ("eight_at_once.py", "2 --processes 4"),
        ("kill_and_resume.py", "3 --seed 1 --kinds generated"),
        ("kill_and_resume.py", "4 --kinds evaluate,generate,runs"),
    ],
)
def test_a_sample_finds_nothing_wrong(script, options):
    command = [sys.executable, str(Path(__file__).parent / script), *options.split()]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.endswith(": 0 wrong\n")
