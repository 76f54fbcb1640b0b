"""What many tests need: the command in a process of its own, and a small trained run."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seq2seq_cli.training.compilation_cache import FOLDER_VARIABLE
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


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which a small model was trained through the command, as run "small"."""
    folder = tmp_path_factory.mktemp("trained")
    run_s2s("train", *SMALL, "--run", "small", cwd=folder)
    return folder


@pytest.fixture
def compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trainings of equal shapes run one compiled program, which takes most of their time."""
    _share_programs(monkeypatch)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an uninterrupted training of `tiny_config()`."""
    from tiny import tiny_config

    from seq2seq_cli import train

    with pytest.MonkeyPatch.context() as monkeypatch:
        _share_programs(monkeypatch)
        return train(tiny_config(), tmp_path_factory.mktemp("whole"), "whole").path


@pytest.fixture
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trainings compile their programs, whatever is kept."""
    monkeypatch.setattr("seq2seq_cli.training.runner.open_cache", lambda: None)


_programs: dict[str, tuple[Any, Any]] = {}
"""A model and its loop by all that a program depends on."""


def _share_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    from seq2seq_cli.training import trainer
    from seq2seq_cli.training.models import build_models
    from seq2seq_cli.training.program.forward import UNROLLED_AFTER
    from seq2seq_cli.training.program.loop import Loop

    def key(config: Any) -> str:
        training = config.training
        long_enough = UNROLLED_AFTER * max(config.task.lengths.longest, config.task.n_out)
        unrolled = training.total_steps >= long_enough
        return f"{config.task} {config.model} {training.batch_size} {training.clip_norm} {unrolled}"

    def shared_models(config: Any, embedding: Any = None) -> Any:
        models = build_models(config, embedding)
        if key(config) not in _programs:
            _programs[key(config)] = models, Loop(models[0], config)
            return models
        shared, _ = _programs[key(config)]
        for variable, new in zip(shared[0].variables, models[0].variables, strict=True):
            variable.assign(new)
        return shared

    def shared_loop(model: Any, config: Any) -> Any:
        (shared, *_), loop = _programs[key(config)]
        assert shared is model
        state = loop.state
        zeros = [np.zeros_like(array) for array in state.first]
        loop.state = state._replace(first=zeros, second=zeros, steps_done=0, loss_sum=0.0)
        return loop

    monkeypatch.setattr(trainer, "build_models", shared_models)
    monkeypatch.setattr(trainer, "Loop", shared_loop)
