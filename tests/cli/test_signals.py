"""Ctrl-C and SIGTERM: they end a command within two seconds, with one line."""

import signal
import subprocess
import sys
import time

import pytest

AT_IMPORT = """
import os, signal, sys
number, module = int(sys.argv.pop(1)), sys.argv.pop(1)
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), number)
sys.meta_path.insert(0, Finder)
from seq2seq_cli.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("number", "module"),
    [(signal.SIGINT, "typer"), (signal.SIGTERM, "seq2seq_cli.cli.commands.tasks"),
     (signal.SIGINT, "numpy")],
)  # fmt: skip
def test_a_signal_while_modules_are_imported_shows_no_traceback(tmp_path, number, module):
    result = subprocess.run(
        [sys.executable, "-c", AT_IMPORT, str(number.value), module, "tasks"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 128 + number
    assert result.stderr in ("s2s: interrupted\n", "s2s: terminated\n")
    assert result.stdout == ""


SWALLOWED = """
import sys, threading, time
from pathlib import Path
from seq2seq_cli.cli.process import hear_signals
from seq2seq_cli.storage import atomic_path
hear_signals()

def write():
    with atomic_path(Path("file")) as path:
        time.sleep(float(sys.argv[1]))
        path.write_text("whole")

threading.Thread(target=write).start()
while True:
    try:
        print("ready", flush=True)
        time.sleep(60)
    except BaseException:
        pass
"""


@pytest.mark.parametrize("seconds", [0.0, 3.0])
def test_a_swallowed_signal_ends_the_process_once_the_file_is_written(tmp_path, seconds):
    process = subprocess.Popen(
        [sys.executable, "-c", SWALLOWED, str(seconds)],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    started = time.monotonic()
    process.terminate()
    _, messages = process.communicate(timeout=60)
    assert time.monotonic() - started > max(1.7, seconds - 0.5)  # a training has time to save
    assert (process.returncode, messages) == (143, "s2s: terminated\n")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
