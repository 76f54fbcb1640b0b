"""The cores, memory and GPUs of a machine, without TensorFlow."""

import pytest

from seq2seq_cli import machine


@pytest.fixture
def two_gpus(tmp_path, monkeypatch):
    monkeypatch.delenv(machine.GPU_VARIABLE, raising=False)
    for name in ("nvidia1", "nvidia0", "nvidiactl", "nvidia-uvm", "nvidia10"):
        (tmp_path / name).touch()
    monkeypatch.setattr(machine, "DEVICES", tmp_path)


def test_all_gpus_of_the_machine_are_visible(two_gpus):
    assert machine.visible_gpus() == ["0", "1", "10"]


@pytest.mark.parametrize(
    ("named", "visible"),
    [
        ("", []),
        ("-1", []),
        ("1", ["1"]),
        ("1, 0", ["1", "0"]),
        ("0,-1,1", ["0"]),
        ("GPU-8f2b,MIG-GPU-8f2b/1/0", ["GPU-8f2b", "MIG-GPU-8f2b/1/0"]),
    ],
)
def test_the_user_chooses_the_visible_gpus(two_gpus, monkeypatch, named, visible):
    monkeypatch.setenv(machine.GPU_VARIABLE, named)
    assert machine.visible_gpus() == visible


def test_the_gpu_and_its_driver_are_part_of_the_hardware(two_gpus, tmp_path, monkeypatch):
    report = tmp_path / "gpus" / "0000:01:00.0" / "information"
    report.parent.mkdir(parents=True)
    report.write_text("Model: \t\t NVIDIA H200\nIRQ: 33\n")
    (tmp_path / "version").write_text("NVRM version: 580.1\n")
    monkeypatch.setattr(machine, "NVIDIA_DRIVER", tmp_path)
    with_gpus = machine.hardware()
    assert with_gpus[-3:] == ["3 GPUs", "Model: \t\t NVIDIA H200", "NVRM version: 580.1\n"]
    monkeypatch.setenv(machine.GPU_VARIABLE, "")
    assert machine.hardware() == with_gpus[:-3]


@pytest.mark.parametrize(
    ("line", "file", "text", "found"),
    [
        ("0::/a/b", "a/b/memory.max", "1000", [1000]),
        ("0::/a/b", "a/memory.max", "1000", [1000]),
        ("0::/of/the/host", "memory.max", "1000", [1000]),
        ("0::/a", "a/memory.max", "max", []),
        ("4:memory:/a/b", "memory/a/b/memory.limit_in_bytes", "1000", [1000]),
        ("4:memory:/of/the/host", "memory/memory.limit_in_bytes", "1000", [1000]),
        ("3:cpuset:/a", "cpuset/a/memory.max", "1000", []),
        ("no line", "memory.max", "1000", []),
    ],
)
def test_limits_of_control_groups_are_found(tmp_path, line, file, text, found):
    (tmp_path / "cgroup").write_text(f"1:cpu:/\n{line}\n")
    path = tmp_path / "groups" / file
    path.parent.mkdir(parents=True)
    path.write_text(text + "\n")
    assert machine.group_limits(tmp_path / "cgroup", tmp_path / "groups") == found
    assert machine.group_limits(tmp_path / "none", tmp_path / "groups") == []


def test_the_smallest_memory_limit_counts(monkeypatch):
    monkeypatch.setattr(machine, "group_limits", lambda *_: [2**63 - 4096])
    whole = machine.available_memory()
    assert whole is not None
    assert 10**8 < whole < 2**60
    monkeypatch.setattr(machine, "group_limits", lambda *_: [10**8])
    assert machine.available_memory() == 10**8
