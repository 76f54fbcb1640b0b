"""What many tests need: the command in a process of its own, and a small trained run."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seq2seq_cli.training.cache_folder import FOLDER_VARIABLE
from seq2seq_cli.training.process import configure_process


def pytest_configure(config: pytest.Config) -> None:
    """Let all tests share one folder of compiled programs, which later runs find as well."""
    folder = config.cache.mkdir("programs")
    folder.chmod(0o700)
    os.environ[FOLDER_VARIABLE] = str(folder)
    configure_process()  # XLA reads its flags once in a process, whichever test compiles first


Command = Callable[..., subprocess.CompletedProcess[str]]

SMALL = "--n-in 4 --n-out 2 --cardinality 13 --units 48 --n-samples 20000 --batch-size 32".split()
"""Options of a task that is learned in seconds."""


def run_s2s(
    *arguments: str, cwd: Path, check: bool = True, **options: object
) -> subprocess.CompletedProcess[str]:
    """Run `s2s` with these arguments in `cwd`, as a user would; by default it has to succeed."""
    environment = {**os.environ, "COLUMNS": "80"}
    result = subprocess.run(
        [sys.executable, "-m", "seq2seq_cli", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        **options,  # type: ignore[call-overload]
    )
    assert not check or result.returncode == 0, result.stderr
    return result


@pytest.fixture
def s2s(tmp_path: Path) -> Command:
    """Return a function that runs the command in an empty folder."""
    return lambda *arguments, **options: run_s2s(*arguments, **{"cwd": tmp_path, **options})


@pytest.fixture
def s2s_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Return a function that runs the command in this process, in an empty folder.

    It is as `s2s`, but for signals and standard input.
    """
    from seq2seq_cli.cli import process
    from seq2seq_cli.cli.rendering import output

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(output, "end_with_reader", lambda: None)

    def run(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["s2s", *arguments])
        capsys.readouterr()
        message, code = process.run_command()
        process.tell(message)
        shown = capsys.readouterr()
        assert not check or code == 0, shown.err
        return subprocess.CompletedProcess(arguments, code, shown.out, shown.err)

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which a small model was trained through the command, as run "small"."""
    folder = tmp_path_factory.mktemp("trained")
    run_s2s("train", *SMALL, "--run", "small", cwd=folder)
    return folder


@pytest.fixture
def random_runs(tmp_path: Path) -> Path:
    """Return a folder of runs with "complete", which has random weights and `tiny_config()`."""
    from random_run import save_random_run
    from tiny import tiny_config

    return save_random_run(tmp_path / "runs", "complete", tiny_config()).parent


@pytest.fixture
def compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trainings of equal shapes run one compiled program, which takes most of their time."""
    share_programs(monkeypatch)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an uninterrupted training of `tiny_config()`."""
    from tiny import tiny_config

    from seq2seq_cli import train

    with pytest.MonkeyPatch.context() as monkeypatch:
        share_programs(monkeypatch)
        return train(tiny_config(), tmp_path_factory.mktemp("whole"), "whole").path


@pytest.fixture
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trainings compile their programs, whatever is kept."""
    monkeypatch.setattr("seq2seq_cli.training.runner.open_cache", lambda: None)


_loops: dict[str, Any] = {}
"""Loops by all that their programs depend on."""


def share_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    from seq2seq_cli.training import compiled
    from seq2seq_cli.training.program.naming import program_key

    def shared_loop(plan: Any, strategy: Any, build: Any = compiled.build_loop) -> Any:
        task = plan.config.task
        name = program_key(plan.config, task.lengths.longest, task.n_out)
        if name in _loops:
            compiled.restart_loop(_loops[name], plan)
        else:
            _loops[name] = build(plan, strategy)
        return _loops[name]

    monkeypatch.setattr(compiled, "build_loop", shared_loop)
