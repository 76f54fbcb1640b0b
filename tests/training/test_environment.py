"""In any environment of the user a training is the same, or one line says what is wrong."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny import assert_identical

from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.runs.manifest import current_environment
from seq2seq_cli.training.process import configure_process

OPTIONS = ["--n-in", "4", "--n-out", "2", "--cardinality", "13", "--units", "8", "--batch-size",
           "16", "--n-samples", "640", "--epochs", "3", "--seed", "4", "-q"]  # fmt: skip
NOBODY = 12345
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
VARIABLES = ("HOME", "XDG_CACHE_HOME", "S2S_CACHE_DIR", "TMPDIR", "KERAS_BACKEND", "KERAS_HOME")


def run(*arguments, cwd, as_nobody=False, keep=(), **variables):
    """Run `s2s`; of VARIABLES its environment has those in `keep` and in `variables`."""
    environment = {key: value for key, value in os.environ.items()
                   if key not in VARIABLES or key in keep}  # fmt: skip
    return subprocess.run(
        [*(AS_NOBODY if as_nobody else []), sys.executable, "-m", "seq2seq_cli", *arguments],
        cwd=cwd, env=environment | {key: str(value) for key, value in variables.items()},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def is_possible(*command):
    return not subprocess.run(command, capture_output=True, check=False).returncode


@contextmanager
def read_only_folder(folder):
    """Make a folder in which even root cannot write; without a mount, make a file instead."""
    if os.getuid() == 0:
        folder.mkdir()
        if is_possible("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder):
            try:
                yield
            finally:
                subprocess.run(["umount", folder], check=True)
            return
        folder.rmdir()
    folder.write_text("a file")
    yield


def check_all(whole, folder, **environment):
    """Check that training and using a run work in an environment as in any other."""
    result = run("train", *OPTIONS, "--run", "other", cwd=folder, **environment)
    assert (result.returncode, result.stderr) == (0, "")
    assert_identical(whole, folder / "runs" / "other")
    result = run("predict", "1 2 3 4", cwd=folder, **environment)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_keras_configuration_changes_no_training(whole, tmp_path):
    (tmp_path / ".keras").mkdir()
    settings = {"floatx": "float16", "backend": "jax", "image_data_format": "channels_first",
                "epsilon": 0.1, "max_epochs": 0}  # fmt: skip
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps(settings))
    check_all(whole, tmp_path, HOME=tmp_path, KERAS_BACKEND="", keep=["S2S_CACHE_DIR"])


def test_a_home_in_which_nothing_can_be_written_changes_no_training(whole, tmp_path):
    with read_only_folder(tmp_path / "home"):
        check_all(whole, tmp_path, HOME=tmp_path / "home", TMPDIR=tmp_path / "none")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "runs"]


@pytest.mark.skipif(os.name != "posix", reason="there are no user numbers")
def test_a_user_without_a_name_or_a_home_trains_as_any_other(whole):
    if os.getuid() or not is_possible(*AS_NOBODY, sys.executable, "-c", "import numpy"):
        pytest.skip("no other user can be taken here")
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o777)
        check_all(whole, folder, as_nobody=True, XDG_CACHE_HOME="relative", TMPDIR="/root")
        assert [path.name for path in folder.iterdir()] == ["runs"]
        (folder / "runs").chmod(0o555)
        for options in ([*OPTIONS, "--force", "--run", "other"], ["--resume", "--run", "other"]):
            result = run("train", *options, cwd=folder, as_nobody=True)
            assert result.returncode == 6
            assert result.stderr == "s2s: cannot write runs/other.training: Permission denied\n"
        assert run("evaluate", cwd=folder, as_nobody=True).returncode == 0
        (folder / "runs").chmod(0o000)
        result = run("runs", cwd=folder, as_nobody=True)
        assert result.returncode in (2, 6)
        assert len(result.stderr.splitlines()) == 1
        assert "runs" in result.stderr
    finally:
        shutil.rmtree(folder)


def test_another_backend_is_refused(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    with pytest.raises(ConfigurationError, match="KERAS_BACKEND = jax: training needs tensorflow"):
        configure_process()


@pytest.mark.parametrize("text", ["[]", "KERAS_MAX_EPOCHS"])
def test_a_configuration_that_keras_refuses_is_named_in_one_line(tmp_path, text):
    variables = {"KERAS_HOME": tmp_path}
    if text.startswith("KERAS"):
        variables = {text: "garbage"}
    else:
        (tmp_path / "keras.json").write_text(text)
    result = run("train", *OPTIONS, cwd=tmp_path, **variables)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stderr.startswith("s2s: Keras cannot start: ")
    assert "fix or remove its keras.json" in result.stderr
    assert not list(tmp_path.glob("runs/*"))


def test_a_command_in_a_removed_folder_works_without_it_or_says_so(whole, tmp_path):
    gone = f"mkdir gone; cd gone; rmdir ../gone; {sys.executable} -m seq2seq_cli"
    elsewhere = f"--runs-dir {whole.parent}"
    codes = {"train -q": 6, f"runs {elsewhere}": 0, "generate --output pairs.csv": 6}
    for command, code in codes.items():
        result = subprocess.run(["bash", "-c", f"{gone} {command}"], cwd=tmp_path, text=True,
                                capture_output=True, check=False)  # fmt: skip
        assert result.returncode == code, result.stderr
        assert len(result.stderr.splitlines()) == (code == 6)
        assert "Traceback" not in result.stderr
        if command == "train -q":
            assert result.stderr.startswith("s2s: cannot write runs: ")


def test_a_failing_import_shows_what_was_written_meanwhile(tmp_path):
    (tmp_path / "keras.py").write_text(
        "import os\nos.write(2, b'libcudart is missing\\n')\nraise ImportError('no keras')\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    code = "from seq2seq_cli.training.process import import_keras; import_keras()"
    result = subprocess.run([sys.executable, "-c", code], env=environment, text=True,
                            capture_output=True, check=False)  # fmt: skip
    assert result.stderr.startswith("libcudart is missing\n")
    assert "ImportError: no keras" in result.stderr


@pytest.mark.parametrize("setting", [None, "false"])
def test_memory_of_a_gpu_is_taken_as_needed_unless_the_user_sets_it(monkeypatch, setting):
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
    if setting:
        monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", setting)
    configure_process()
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == (setting or "true")


def test_threads_are_the_cores_that_the_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert current_environment("CPU").threads == 1
