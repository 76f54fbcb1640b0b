"""What many tests need: the command in its own process, and small trained runs."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seq2seq_cli.training.process import configure_process
from seq2seq_cli.training.release import FOLDER_VARIABLE


def pytest_configure(config: pytest.Config) -> None:
    """Let all tests share one folder of compiled programs, which later runs find as well."""
    folder = config.cache.mkdir("programs")
    folder.chmod(0o700)
    os.environ[FOLDER_VARIABLE] = str(folder)
    configure_process()  # XLA reads its flags once per process, whichever test compiles first


Command = Callable[..., subprocess.CompletedProcess[str]]

SMALL = "--n-in 4 --n-out 2 --cardinality 13 --units 48 --n-samples 20000 --batch-size 32".split()
"""Options of a task that is learned in seconds. Where nothing is to be learned, see `tiny.TINY`."""


def run_s2s(
    *arguments: str, cwd: Path, check: bool = True, **options: object
) -> subprocess.CompletedProcess[str]:
    """Run `s2s` with these arguments in `cwd`, as a user would; by default it has to succeed."""
    result = subprocess.run(
        [sys.executable, "-m", "seq2seq_cli", *arguments],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "80"},
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
        process.tell(message, code)
        shown = capsys.readouterr()
        assert not check or code == 0, shown.err
        return subprocess.CompletedProcess(arguments, code, shown.out, shown.err)

    return run


def make_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that `make` fills once for all pytest-xdist workers.

    Nothing may be written into it, since other workers read it at the same time.
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / f"{name}-once"
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = factory.mktemp(name)
            make(unfinished)
            unfinished.rename(folder)
    return folder


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the command trained a small model, as run "small"."""
    return make_once(
        tmp_path_factory,
        "trained",
        lambda folder: run_s2s("train", *SMALL, "--run", "small", cwd=folder),
    )


@pytest.fixture
def trained(trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a test's copy of a folder in which a small model was trained, as run "small"."""
    return shutil.copytree(trained_once, tmp_path_factory.mktemp("trained"), dirs_exist_ok=True)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an uninterrupted training of `tiny_config()`, only to be read."""
    from tiny import tiny_config

    from seq2seq_cli import train

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as monkeypatch:
            share_programs(monkeypatch)
            train(tiny_config(), folder, "whole")

    return make_once(tmp_path_factory, "whole", make) / "whole"


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


@pytest.fixture
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trainings compile their programs, whatever is kept."""
    monkeypatch.setattr("seq2seq_cli.training.runner.open_cache", lambda: None)


_loops: dict[str, Any] = {}
"""Loops by all that their programs depend on."""


def share_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    from seq2seq_cli.training.distribution import SharedLoop
    from seq2seq_cli.training.program.keys import program_key

    def begin(self: Any, plan: Any, original: Any = SharedLoop.begin) -> Any:
        task = plan.config.task
        key = program_key(plan.config, task.lengths.longest, task.n_out)
        self._loop = _loops.get(key)
        _loops[key] = original(self, plan)
        return _loops[key]

    monkeypatch.setattr(SharedLoop, "begin", begin)
