"""This machine's cores, memory and GPUs as the system reports them, without TensorFlow."""

import os
import platform
from contextlib import suppress
from pathlib import Path

GPU_VARIABLE = "CUDA_VISIBLE_DEVICES"
"""Names the GPUs that a process may use; if it is empty, the process uses the CPU."""

GROUPS_OF_PROCESS = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")
LIMIT_FILES = ("memory.max", "memory.limit_in_bytes")  # of cgroups version 2, and of version 1

DEVICES = Path("/dev")
NVIDIA_DRIVER = Path("/proc/driver/nvidia")
PROCESSOR = Path("/proc/cpuinfo")


def cores() -> int:
    """Return the number of cores that this process may use."""
    has_affinity = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1


def available_memory() -> int | None:
    """Return the bytes of memory that this process may use; None if unknown."""
    limits = group_limits(GROUPS_OF_PROCESS, GROUPS)
    with suppress(AttributeError, OSError, ValueError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    if (limit := address_limit()) is not None:
        limits.append(limit)
    return min((limit for limit in limits if limit > 0), default=None)


def address_limit() -> int | None:
    """Return the bytes of addresses that this process may use (`ulimit -v`), or None."""
    try:
        import resource  # on Unix only
    except ImportError:
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def group_limits(groups_of_process: Path, groups: Path) -> list[int]:
    """Return the memory limits of a process's control groups and of their parents."""
    limits: list[int] = []
    with suppress(OSError):
        for line in groups_of_process.read_text().splitlines():
            _, controllers, path = [*line.split(":", 2), "", ""][:3]
            if not path or controllers not in ("", "memory"):
                continue
            top = groups / controllers
            group = top / path.lstrip("/")
            # In a container the path may be the host's, and only the top folder exists.
            for folder in {top, group, *(p for p in group.parents if p.is_relative_to(top))}:
                for name in LIMIT_FILES:
                    with suppress(OSError, ValueError):  # "max" means no limit
                        limits.append(int((folder / name).read_text()))
    return limits


def visible_gpus() -> list[str]:
    """Return the NVIDIA GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them.

    Without that variable these are all GPUs of the machine. As in CUDA, a negative number hides
    those after it.
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
    """Return the processor's features, the GPUs' models and their driver.

    If the processor's features are unknown, the machine's name replaces them.
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
