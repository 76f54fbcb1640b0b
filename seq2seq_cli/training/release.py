"""What the installed release of TensorFlow can do on this machine, and the user's cache folder.

Two things depend on the release: XLA ends the process on a flag that it does not know, and only a
trial shows whether a cached program is found again. So before the first training with a release,
two processes run this module, which compiles a small program, and the outcome is saved in the
user's cache folder. All later trainings use it, since otherwise they would not end with the same
bits.
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

FOLDER_VARIABLE = "S2S_CACHE_DIR"
"""Names another cache folder; if it is empty, nothing is cached."""

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


def cache_folder() -> Path | None:
    """Return the cache folder, created if needed; None if it is unsafe or cannot be created."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named == "":
        return None
    # Imported here, since most commands compile nothing.
    from platformdirs import user_cache_path

    # It raises RuntimeError for a user without a home folder.
    with suppress(RuntimeError):
        root = Path(named).expanduser().absolute() if named else user_cache_path("s2s")
        # A relative home folder is not usable, and TensorFlow's flag cannot contain a quote.
        if root.is_absolute() and "'" not in str(root):
            return private_folder(root)
    return None


def private_folder(root: Path, *names: str) -> Path | None:
    """Return the folder root/name/..., created if needed; None if others can write to part of it.

    Also None if it cannot be created.
    """
    folder = root
    with suppress(OSError):
        for name in ("", *names):
            folder /= name
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = folder.stat()
            if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o022):
                return None
        return folder
    return None


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
    folder = private_folder(folder, "releases") if folder else None
    path = folder / f"{release}-{key}.json" if folder else None
    if path:
        with suppress(OSError, ValueError):
            return Behaviour.model_validate_json(path.read_bytes())
    try:
        outcome = _try(flags)
    except (OSError, subprocess.TimeoutExpired):
        return UNKNOWN
    if path:
        with suppress(OSError, StorageError), atomic_path(path) as temporary:
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
    """Return the output of a process that runs the small program; empty if it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    environment |= {
        "XLA_FLAGS": flags,
        "TF_XLA_FLAGS": f"{CACHE_FLAG}='{folder}'",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    result = subprocess.run(
        [sys.executable, "-m", "seq2seq_cli.training.release", str(n_traces)],
        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, timeout=SECONDS, check=False,
    )  # fmt: skip
    return b"" if result.returncode else result.stdout


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """Return each cached program's name, and what changes when it is written again."""
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob("*.pb")
    }


def _run_program(n_traces: int) -> None:
    """Print the result of a small program, and what TensorFlow writes to standard error meanwhile.

    `n_traces` other programs are traced first: the names of cached programs must not depend on it.
    """
    import tensorflow as tf

    from seq2seq_cli.training.program.keys import numbered_from

    os.dup2(1, 2)  # what was written while importing does not count
    for number in range(n_traces):
        tf.function(lambda x, number=number: x + number)(tf.zeros(2))
    state = tf.Variable(tf.eye(40))

    def program(inputs: tf.Tensor) -> tf.Tensor:
        def step(i: tf.Tensor, product: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return i + 1, tf.tanh(product @ inputs)

        product = tf.while_loop(lambda i, _: i < 3, step, (tf.constant(0), state.read_value()))[1]
        state.assign(product)
        return tf.reduce_sum(product)

    with numbered_from(1):
        compiled = tf.function(program, jit_compile=True, autograph=False)
        compiled.get_concrete_function(tf.TensorSpec((40, 40)))
    sys.stdout.write(f"{float(compiled(tf.fill((40, 40), 0.01))).hex()}\n")


if __name__ == "__main__":
    _run_program(int(sys.argv[1]))
