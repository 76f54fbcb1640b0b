"""A release of TensorFlow is tried once on each machine, and the outcome is used from then on."""

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from seq2seq_cli.training import release
from seq2seq_cli.training.release import CPU_FLAGS, FOLDER_VARIABLE, GPU_FLAGS, UNKNOWN, Behaviour

BEHAVIOUR = release.behaviour.__wrapped__
ALL = Behaviour(flags=CPU_FLAGS, keeps_programs=True)


@pytest.fixture
def new_release(tmp_path, monkeypatch):
    """Make the installed release unknown, with an empty cache folder."""
    monkeypatch.setattr(release, "KNOWN_RELEASES", set())
    monkeypatch.setattr(release, "visible_gpus", list)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.fixture
def processes(monkeypatch):
    """Return the flags of the processes that are started; `act` is what each does."""
    started = SimpleNamespace(flags=[], act=lambda folder, flags, is_second: (0, b"0x1p0\n"))

    def run(command, env, **options):
        started.flags.append(env["XLA_FLAGS"])
        folder = Path(env["TF_XLA_FLAGS"].split("'")[1])
        code, output = started.act(folder, env["XLA_FLAGS"], command[-1] != "0")
        return subprocess.CompletedProcess(command, code, output)

    monkeypatch.setattr(subprocess, "run", run)
    return started


def write(folder, name="program.pb"):
    (folder / name).write_bytes(b"machine code")


def keeping(folder, flags, is_second):
    if not is_second:
        write(folder)
    return 0, b"0x1p0\n"


def compiling_again(folder, flags, is_second):
    (folder / "program.pb").unlink(missing_ok=True)
    write(folder)
    return 0, b"0x1p0\n"


def noisy(folder, flags, is_second):
    write(folder) if not is_second else None
    return 0, b"E0000 Error parsing\n" * is_second + b"0x1p0\n"


def ending_at_the_second(folder, flags, is_second):
    write(folder)
    return -6 * is_second, b"0x1p0\n"


def without_flags(folder, flags, is_second):
    return keeping(folder, flags, is_second) if not flags else (-6, b"")


def failing(folder, flags, is_second):
    return 1, b""


@pytest.mark.parametrize(
    ("act", "outcome"),
    [
        (keeping, ALL),
        (without_flags, Behaviour(flags="", keeps_programs=True)),
        (failing, UNKNOWN),
        *(
            (act, Behaviour(flags=CPU_FLAGS, keeps_programs=False))
            for act in (compiling_again, noisy, ending_at_the_second)
        ),
    ],
)  # fmt: skip
def test_the_outcome_is_saved(new_release, processes, act, outcome):
    processes.act = act
    assert BEHAVIOUR() == outcome
    n_started = len(processes.flags)
    assert n_started >= 2
    assert BEHAVIOUR() == outcome
    assert len(processes.flags) == n_started
    assert len(list(new_release.glob("releases/*.json"))) == 1


@pytest.mark.slow
def test_the_real_processes_find_what_is_kept(new_release, monkeypatch):
    assert BEHAVIOUR() == ALL
    monkeypatch.setattr(subprocess, "run", None)
    assert BEHAVIOUR() == ALL


def test_a_known_release_is_not_tried_and_needs_no_folder(new_release, processes, monkeypatch):
    monkeypatch.setattr(release, "KNOWN_RELEASES", {("2.99", "CPU")})
    monkeypatch.setattr(release, "version", lambda name: "2.99.1")
    monkeypatch.setenv(FOLDER_VARIABLE, "")
    assert BEHAVIOUR() == ALL
    assert processes.flags == []


def test_without_a_cache_folder_each_start_tries_the_release(new_release, processes, monkeypatch):
    processes.act = keeping
    monkeypatch.setenv(FOLDER_VARIABLE, "")
    assert BEHAVIOUR() == BEHAVIOUR() == ALL
    assert len(processes.flags) == 4
    new_release.write_text("a file")
    monkeypatch.setenv(FOLDER_VARIABLE, str(new_release))
    assert BEHAVIOUR() == ALL


def test_a_gpu_is_tried_separately_with_its_own_flags(new_release, processes, monkeypatch):
    monkeypatch.setattr(release, "KNOWN_RELEASES", {("2.99", "CPU")})
    monkeypatch.setattr(release, "version", lambda name: "2.99.1")
    monkeypatch.setattr(release, "visible_gpus", lambda: ["0"])
    processes.act = keeping
    flags = f"{CPU_FLAGS} {GPU_FLAGS}"
    assert BEHAVIOUR() == Behaviour(flags=flags, keeps_programs=True)
    assert processes.flags == [flags, flags]


@pytest.mark.parametrize("change", ["release", "hardware"])
def test_another_release_or_machine_is_tried_again(new_release, processes, monkeypatch, change):
    processes.act = keeping
    BEHAVIOUR()
    name, value = {"release": ("version", lambda name: "2.99.0"),
                   "hardware": ("hardware", lambda: ["another"])}[change]  # fmt: skip
    monkeypatch.setattr(release, name, value)
    BEHAVIOUR()
    assert len(processes.flags) == 4


@pytest.mark.parametrize("text", ["", "[]", '{"flags": 1}'])
def test_a_damaged_outcome_is_replaced(new_release, processes, text):
    processes.act = keeping
    BEHAVIOUR()
    (path,) = new_release.glob("releases/*.json")
    path.write_text(text)
    assert BEHAVIOUR() == ALL
    assert len(processes.flags) == 4


def test_a_process_that_does_not_end_is_tried_again_the_next_time(new_release, processes):
    def waiting(folder, flags, is_second):
        raise subprocess.TimeoutExpired("python", release.SECONDS)

    processes.act = waiting
    assert BEHAVIOUR() == UNKNOWN
    processes.act = keeping
    assert BEHAVIOUR() == ALL
