"""What a training sets in its process, before TensorFlow computes anything.

Only `train` does so, and only what the user has not set: importing this package changes nothing.
"""

import ctypes
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.noise import quiet_stderr
from seq2seq_cli.training.compilation_cache import open_cache
from seq2seq_cli.training.release import behaviour

# glibc's malloc.h: parameters of mallopt.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8


def configure_process() -> None:
    """Set flags, allocator and the cache of compiled programs for the training.

    Raises ConfigurationError where Keras is not on TensorFlow. XLA reads its flags when it compiles
    its first program: where that has happened, it keeps what it has.
    """
    os.environ["KERAS_BACKEND"] = os.environ.get("KERAS_BACKEND") or "tensorflow"
    loaded = sys.modules.get("keras")
    backend = loaded.backend.backend() if loaded else os.environ["KERAS_BACKEND"]
    if backend != "tensorflow":
        raise ConfigurationError(f"KERAS_BACKEND = {backend}: training needs tensorflow: unset it")
    if flags := behaviour().flags:
        os.environ.setdefault("XLA_FLAGS", flags)
    open_cache()
    # TensorFlow would take all memory of a GPU, which cells of a sweep share.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    _keep_freed_memory()


def import_keras() -> None:
    """Import Keras and TensorFlow, without a line of theirs on standard error.

    Raises ConfigurationError where Keras cannot start with its configuration. Where the user has
    imported TensorFlow before, its logging stays as it is.
    """
    # Keras writes keras.json to the home folder. Without one it would create a folder named `~`.
    if not os.path.isabs(os.path.expanduser("~")):  # noqa: PTH111, PTH117 (pathlib would raise)
        os.environ.setdefault("KERAS_HOME", os.path.join(os.devnull, "keras"))  # noqa: PTH118
    is_ours = "tensorflow" not in sys.modules
    if is_ours:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # The level holds once TensorFlow is imported, and some lines come before.
    with quiet_stderr() if is_ours else nullcontext():
        try:
            import keras  # noqa: F401
        except (ValueError, TypeError, AttributeError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigurationError(
                f"Keras cannot start: {reason}: mend or remove its keras.json, in ~/.keras or "
                "KERAS_HOME, and unset variables KERAS_..."
            ) from error
    if is_ours:
        # Of a worker that is gone it warns in its own words; all else that matters is raised.
        logging.getLogger("tensorflow").setLevel(logging.CRITICAL)


def _keep_freed_memory() -> None:
    """Let the C library keep what is freed.

    Each call of a compiled program takes its arrays, of long sequences some hundred megabytes, and
    gives them back. Returned to the system, they would be cleared page by page at the next call: a
    quarter of its time.
    """
    if not sys.platform.startswith("linux") or any(key.startswith("MALLOC_") for key in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:  # other C libraries than glibc may have none
        for parameter, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_ARENA_MAX, 1)):
            mallopt(parameter, value)


@contextmanager
def full_memory_named() -> Iterator[None]:
    """Raise MemoryError where TensorFlow, or XLA, says in its own way that the memory is full."""
    try:
        yield
    except Exception as error:
        name, text = type(error).__name__, str(error)
        if name == "ResourceExhaustedError" or "RESOURCE_EXHAUSTED" in text:
            raise MemoryError("the memory is full") from error
        raise
