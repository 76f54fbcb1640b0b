"""What this machine computes with, as the system describes it: TensorFlow is not imported."""

import os
import platform
from contextlib import suppress
from pathlib import Path

GPU_VARIABLE = "CUDA_VISIBLE_DEVICES"
"""Names the GPUs that a process may use; empty, it uses the CPU."""

DEVICES = Path("/dev")
NVIDIA_DRIVER = Path("/proc/driver/nvidia")
PROCESSOR = Path("/proc/cpuinfo")


def visible_gpus() -> list[str]:
    """Return the NVIDIA GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them.

    Without that variable they are all of the machine's. As in CUDA, a negative number hides those
    after it.
    """
    named = os.environ.get(GPU_VARIABLE)
    if named is None:
        numbers = sorted(int(path.name[6:]) for path in DEVICES.glob("nvidia[0-9]*"))
        return [str(number) for number in numbers]
    gpus: list[str] = []
    for name in map(str.strip, named.split(",")):
        if not name or name.startswith("-"):
            break
        gpus.append(name)
    return gpus


def hardware() -> list[str]:
    """Describe the processor's features, the GPUs' models and their driver.

    Where the processor's features are not known, the machine's name stands for them.
    """
    names = ("model name", "flags", "CPU implementer", "CPU part", "Features")
    first = _text(PROCESSOR).split("\n\n")[0]
    processor = [line for line in first.splitlines() if line.split("\t")[0].strip(" :") in names]
    described = [platform.machine(), *(processor or [platform.processor(), platform.node()])]
    if gpus := visible_gpus():
        reports = sorted(NVIDIA_DRIVER.glob("gpus/*/information"))
        models = {line for path in reports for line in _text(path).splitlines() if "Model" in line}
        described += [f"{len(gpus)} GPUs", *sorted(models), _text(NVIDIA_DRIVER / "version")]
    return described


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="utf-8")
    return ""
