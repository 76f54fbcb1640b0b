"""Standard streams that are full, closed, or no longer read."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from conftest import SMALL

from seq2seq_cli.cli.rendering import output

S2S = f"{sys.executable} -m seq2seq_cli"


def shell(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", ["tasks", "--help", "--version"])
def test_data_that_cannot_be_written_is_an_error_of_one_line(tmp_path, command):
    result = shell(f"{S2S} {command} >/dev/full", tmp_path)
    assert (result.returncode, result.stderr) == (6, "s2s: No space left on device\n")


@pytest.mark.parametrize(
    ("line", "unbuffered", "message"),
    [("generate --json --n-samples 100", "", '{"error": "File too large", "exit_code": 6}'),
     ("generate --json --n-samples 100", "1", '{"error": "File too large", "exit_code": 6}'),
     ("evaluate --help", "1", "s2s: File too large")],
)  # fmt: skip
def test_data_that_a_full_disk_cuts_is_an_error(tmp_path, line, unbuffered, message):
    """Whether or not Python buffers its output; many containers set PYTHONUNBUFFERED."""
    resource = pytest.importorskip("resource")
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered, "PYTHONDONTWRITEBYTECODE": "1"}

    def run(size):
        with (tmp_path / "output").open("wb") as file:
            return subprocess.run(
                [*S2S.split(), *line.split()], stdout=file, stderr=subprocess.PIPE, text=True,
                env=environment, check=False,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
            )  # fmt: skip

    result = run(100)
    assert (result.returncode, result.stderr) == (6, f"{message}\n")
    assert run(10**6).returncode == 0  # negative control
    assert (tmp_path / "output").stat().st_size > 100


@pytest.mark.parametrize("where", ["2>/dev/full", "2>&-"])
def test_messages_that_cannot_be_written_change_no_exit_code(tmp_path, where):
    for command, code in (("tasks", 0), ("evaluate", 4)):
        result = shell(f"{S2S} {command} {where}", tmp_path)
        assert result.returncode == code
        assert "Traceback" not in result.stdout + result.stderr


def test_without_a_temporary_folder_the_message_names_tmpdir(s2s_here, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/none"])
    monkeypatch.setattr(output, "end_with_reader", tempfile.gettempdir)
    result = s2s_here("tasks", check=False)
    assert result.returncode == 6
    assert "; set TMPDIR to a folder in which files can be written\n" in result.stderr


@pytest.mark.usefixtures("random_runs")
@pytest.mark.parametrize(
    "line",
    ["inspect", "runs", "evaluate", "encode 1,2,3,4", "sweep --grid model.units=8 --dry-run"],
)
def test_a_reader_that_is_gone_ends_a_command_quietly(s2s_here, monkeypatch, line):
    calls = []
    monkeypatch.setattr(output, "end_with_reader", lambda: calls.append(line))
    s2s_here(*line.split())
    assert calls == [line]


def test_no_file_takes_the_number_of_a_closed_stream(tmp_path):
    result = shell(f"{S2S} generate --n-samples 5 --output pairs.csv <&- >&- 2>&-", tmp_path)
    assert result.returncode == 0
    assert len((tmp_path / "pairs.csv").read_text().splitlines()) in (5, 6)
    assert "encoded" not in (tmp_path / "pairs.csv").read_text()


@pytest.mark.usefixtures("random_runs")
def test_closed_streams_are_empty(tmp_path):
    result = shell(f"{S2S} predict - <&- >&- 2>&-", tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_a_training_continues_when_nobody_reads_its_output(tmp_path):
    """Its run is complete; the exit code says that the accuracy could not be shown."""
    read, write = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "seq2seq_cli", "train", *SMALL, "--n-samples", "640"],
        cwd=tmp_path, stdout=write, stderr=write,
    )  # fmt: skip
    os.close(write)
    os.close(read)
    assert process.wait(120) == 6
    assert (tmp_path / "runs" / "reverse-prefix-4-2-13" / "run.json").is_file()
