"""What importing does and does not do: no heavy module, no change of the process, no Unix only."""

import subprocess
import sys

WITHOUT_UNIX = """
import sys
for name in ("fcntl", "pwd", "grp", "resource", "termios", "pty", "tty", "posix_ipc", "syslog"):
    sys.modules[name] = None
import seq2seq_cli.cli.predict, seq2seq_cli.cli.sequences, seq2seq_cli.cli.app
import seq2seq_cli.prediction, seq2seq_cli.evaluation, seq2seq_cli.inference.loading
import seq2seq_cli.inference.beam, seq2seq_cli.training.session
"""

UNCHANGED = """
import os
before = dict(os.environ)
import seq2seq_cli.training.session, seq2seq_cli.training.process, seq2seq_cli.training.cluster
from seq2seq_cli import train
assert dict(os.environ) == before, set(os.environ.items()) ^ set(before.items())
import sys
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
"""


def test_what_predict_needs_imports_without_unix_only_modules():
    subprocess.run([sys.executable, "-c", WITHOUT_UNIX], check=True)


def test_importing_the_training_changes_nothing_of_the_process():
    subprocess.run([sys.executable, "-c", UNCHANGED], check=True)
