"""What the installed release of TensorFlow can do on this machine.

Two things depend on the release: XLA ends the process on a flag that it does not know, and only a
trial shows whether a cached program is found again. So before the first training with a release,
two processes compile the same small program, and the outcome is saved in the cache folder. All
later trainings use it, since otherwise they would not end with the same bits.
"""

import os
import subprocess
import sys
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from seq2seq_cli.errors import StorageError
from seq2seq_cli.machine import hardware, visible_gpus
from seq2seq_cli.runs.manifest import Record
from seq2seq_cli.storage import atomic_path, sha256_of
from seq2seq_cli.training.cache_folder import cache_folder

CPU_FLAGS = "--xla_cpu_parallel_codegen_split_count=2 --xla_cpu_experimental_ynn_fusion_type=dot"
"""Two parts of a program are compiled in parallel (25% less compilation time), and products use the
YNN kernels (40% less compilation time, 15% less time per step)."""

GPU_FLAGS = "--xla_gpu_deterministic_ops=true --xla_gpu_enable_triton_gemm=false"
"""The same bits in each process: otherwise XLA chooses the kernels of products by timing them, and
scatters sums into rows in any order. Without that choice cuBLAS' kernels are up to three times as
fast as Triton's."""

CACHE_FLAG = "--tf_xla_persistent_cache_directory"
SECONDS = 300
"""Time limit of a process that compiles the small program."""


class Behaviour(Record):
    """XLA's flags that a release accepts, and whether it finds cached programs."""

    flags: str
    keeps_programs: bool


UNKNOWN = Behaviour(flags="", keeps_programs=False)

KNOWN_RELEASES = {("2.21", "CPU"), ("2.21", "GPU")}
"""Releases and devices that were tested before this version of s2s: they support everything."""


@cache
def behaviour() -> Behaviour:
    """Return what TensorFlow can do here.

    An unknown release is tried, which takes three times as long as importing TensorFlow: once, or
    at each start if there is no cache folder to save the outcome in.
    """
    release, device = version("tensorflow"), "GPU" if visible_gpus() else "CPU"
    flags = f"{CPU_FLAGS} {GPU_FLAGS}" if device == "GPU" else CPU_FLAGS
    if (".".join(release.split(".")[:2]), device) in KNOWN_RELEASES:
        return Behaviour(flags=flags, keeps_programs=True)
    key = sha256_of("\n".join([release, flags, *hardware()]).encode())[:16]
    folder = cache_folder()
    path = folder / "releases" / f"{release}-{key}.json" if folder else None
    if path:
        with suppress(OSError, ValueError):
            return Behaviour.model_validate_json(path.read_bytes())
    try:
        outcome = _try(flags)
    except (OSError, subprocess.TimeoutExpired):
        return UNKNOWN
    if path:
        with suppress(OSError, StorageError):
            path.parent.mkdir(exist_ok=True)
            with atomic_path(path) as temporary:
                temporary.write_text(outcome.model_dump_json(), encoding="utf-8")
    return outcome


def _try(flags: str) -> Behaviour:
    for accepted in (flags, ""):
        with TemporaryDirectory() as name:
            folder = Path(name)
            if compiled := _run(folder, accepted, n_traces=0):
                kept = _files(folder)
                loaded = _run(folder, accepted, n_traces=3)
                # TensorFlow writes a program that it has compiled, but not one that it has loaded.
                is_found = bool(kept) and loaded == compiled and _files(folder) == kept
                return Behaviour(flags=accepted, keeps_programs=is_found)
    return UNKNOWN


def _run(folder: Path, flags: str, n_traces: int) -> bytes:
    """Return the output of a process that caches the small program; empty if it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    environment |= {
        "XLA_FLAGS": flags,
        "TF_XLA_FLAGS": f"{CACHE_FLAG}='{folder}'",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    result = subprocess.run(
        [sys.executable, "-m", "seq2seq_cli.training.probe", str(n_traces)],
        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, timeout=SECONDS, check=False,
    )  # fmt: skip
    return b"" if result.returncode else result.stdout


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """Return each cached program's name, and what changes when it is written again."""
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("*.pb")
    }
