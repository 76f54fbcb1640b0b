"""`predict` and `encode` as filters: pipes, and input that is not text."""

import os
import pty
import subprocess
import sys
import threading
import time

import pytest
from random_run import save_random_run

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig

SECONDS = 20  # that an answer may take on a busy machine; what lags never comes


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filter")
    config = RunConfig(
        task=TaskConfig(n_in=3, n_out=2, cardinality=9), model=ModelConfig(units=6, attention="dot")
    )
    save_random_run(folder / "runs", "a", config)
    return folder


def command(*arguments):
    return [sys.executable, "-m", "seq2seq_cli", *arguments]


def run(folder, *arguments, check=None, **options):
    result = subprocess.run(
        command(*arguments), cwd=folder, capture_output=True, timeout=60, check=False, **options
    )
    if check is not None:
        assert result.returncode == check, result.stderr
        assert b"Traceback" not in result.stderr
    return result


class Reader(threading.Thread):
    """Reads lines of a pipe as they come."""

    def __init__(self, file):
        super().__init__(daemon=True)
        self.file, self.lines = file, []
        self.start()

    def run(self):
        for line in self.file:
            self.lines.append(line)

    def wait_for(self, n):
        end = time.monotonic() + SECONDS
        while len(self.lines) < n and time.monotonic() < end:
            time.sleep(0.01)
        return len(self.lines)


@pytest.mark.parametrize(
    ("arguments", "each"), [(["predict"], 1), (["predict", "--json"], 1), (["encode"], 2)]
)
def test_each_line_is_answered_before_the_next_is_written(folder, arguments, each):
    with subprocess.Popen(
        command(*arguments, "-"), cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        answers = Reader(process.stdout)
        for n, line in enumerate([b"1 2 3\n", b"4 5 6\n", b"7 8 1\n4 4 4\n"], 1):
            process.stdin.write(line)
            process.stdin.flush()
            n_answers = each * (n + n // 3)
            assert answers.wait_for(n_answers) == n_answers
        process.stdin.write(b"1 2 ")  # not a line yet
        process.stdin.flush()
        time.sleep(0.2)
        assert len(answers.lines) == 4 * each
        process.stdin.write(b"3")
        process.stdin.close()
        assert answers.wait_for(5 * each) == 5 * each
        assert process.wait() == 0


def test_a_person_at_a_terminal_is_answered_at_once(folder):
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command("predict", "-"), cwd=folder, stdin=theirs, stdout=subprocess.PIPE
    ) as process:
        os.close(theirs)
        answers = Reader(process.stdout)
        for n in (1, 2):
            os.write(ours, b"1 2 3\n")
            assert answers.wait_for(n) == n
        os.write(ours, b"\x04")
        assert process.wait(SECONDS) == 0
    os.close(ours)


@pytest.mark.parametrize("command", ["predict", "encode"])
def test_good_lines_before_a_bad_one_are_answered(folder, command):
    for n in (1, 2000):
        result = run(folder, command, "-", input=b"1 2 3\n" * n + b"1 x\n1 2 3\n", check=3)
        assert len(result.stdout.splitlines()) == n * (2 if command == "encode" else 1)
        assert result.stderr.decode().startswith(f"s2s: standard input, line {n + 1}: 'x'")


def test_each_input_line_has_one_output_line(folder, tmp_path):
    lines = b"".join(b"\n" if i % 7 == 0 else b"1 2 3\n" for i in range(5000))
    answers = run(folder, "predict", "-", input=lines, check=0).stdout.split(b"\n")
    assert [not line for line in answers] == [i % 7 == 0 for i in range(5000)] + [True]
    (tmp_path / "lines.txt").write_bytes(lines)
    of_file = run(folder, "predict", "--input", tmp_path / "lines.txt", check=0).stdout
    assert of_file.split(b"\n") == answers


def test_input_that_is_not_text_is_refused_with_its_line(folder, tmp_path):
    text = "1 2 \xe4\n".encode("latin-1")
    (tmp_path / "text").write_bytes(text)
    for result, name in (
        (run(folder, "predict", "-", input=text, check=3), "standard input"),
        (run(folder, "predict", "--input", tmp_path / "text", check=3), str(tmp_path / "text")),
    ):
        (line,) = result.stderr.decode().splitlines()
        assert line.startswith(f"s2s: {name}, line 1: not UTF-8 text (byte 0xe4)")


def test_marks_and_ends_of_lines_are_read(folder):
    plain = run(folder, "predict", "-", input=b"1 2 3\n4 5 6\n", check=0).stdout
    assert run(folder, "predict", "-", input=b"\xef\xbb\xbf1 2 3\r\n4 5 6", check=0).stdout == plain


def test_an_endless_line_is_refused_in_bounded_memory(folder):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30));"
    code = f"{limit} import sys; sys.argv = ['s2s', 'predict', '-']; "
    code += "from seq2seq_cli.cli.process import main; main()"
    with subprocess.Popen(["yes", "1 2"], stdout=subprocess.PIPE) as yes:
        with subprocess.Popen(
            ["tr", "\\n", " "], stdin=yes.stdout, stdout=subprocess.PIPE
        ) as endless:
            result = subprocess.run(
                [sys.executable, "-c", code], cwd=folder, stdin=endless.stdout,
                capture_output=True, text=True, timeout=60, check=False,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )  # fmt: skip
            endless.kill()
        yes.kill()
    assert result.returncode == 3, result.stderr
    assert "standard input, line 1: longer than 16,777,216 bytes" in result.stderr


@pytest.mark.parametrize(
    "environment", [{"PYTHONIOENCODING": "ascii"},
                    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}]
)  # fmt: skip
def test_characters_outside_the_encoding_are_shown_in_ascii(folder, environment):
    env = {**os.environ, **environment}
    shown = run(folder, "predict", "--attention", "1 2 3", env=env, check=0).stdout.decode("ascii")
    usual = run(folder, "predict", "--attention", "1 2 3", check=0).stdout.decode()
    assert set("░▒▓█") & set(usual)  # the control: there is something to show
    assert shown == usual.translate(str.maketrans("░▒▓█", ".:+#"))
    many = run(folder, "evaluate", "--n-in", "30", "--n-samples", "5", env=env, check=0).stdout
    assert b"... (30)" in many
    table = run(folder, "runs", env=env, check=0).stdout.decode("ascii")
    assert table.isascii()
