"""What a training sets in its process before TensorFlow computes anything.

Only `train` does this, and never overrides the user: importing this package changes nothing.
"""

import ctypes
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import IO

from seq2seq_cli.errors import ConfigurationError, S2sError
from seq2seq_cli.training.compilation_cache import open_cache
from seq2seq_cli.training.release import behaviour

# glibc's malloc.h: parameters of mallopt.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8


def configure_process() -> None:
    """Set flags, allocator and the cache of compiled programs for the training.

    Raises ConfigurationError if Keras does not run on TensorFlow. XLA reads its flags when it
    compiles its first program; after that these flags have no effect.
    """
    os.environ["KERAS_BACKEND"] = os.environ.get("KERAS_BACKEND") or "tensorflow"
    loaded = sys.modules.get("keras")
    backend = loaded.backend.backend() if loaded else os.environ["KERAS_BACKEND"]
    if backend != "tensorflow":
        raise ConfigurationError(f"KERAS_BACKEND = {backend}: training needs tensorflow: unset it")
    if flags := behaviour().flags:
        os.environ.setdefault("XLA_FLAGS", flags)
    open_cache()
    # TensorFlow would take all the memory of a GPU, which cells of a sweep share.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    _keep_freed_memory()


def import_keras() -> None:
    """Import Keras and TensorFlow without their messages on standard error.

    Raises ConfigurationError if Keras cannot start with its configuration. If the user has imported
    TensorFlow before, its logging is not changed.
    """
    # Keras writes keras.json to the home folder. Without one it would create a folder named `~`.
    if not os.path.isabs(os.path.expanduser("~")):  # noqa: PTH111, PTH117 (pathlib would raise)
        os.environ.setdefault("KERAS_HOME", os.path.join(os.devnull, "keras"))  # noqa: PTH118
    is_ours = "tensorflow" not in sys.modules
    if is_ours:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # The log level applies once TensorFlow is imported, and some lines come before.
    with quiet_stderr() if is_ours else nullcontext():
        try:
            import keras  # noqa: F401
        except (ValueError, TypeError, AttributeError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigurationError(
                f"Keras cannot start: {reason}: fix or remove its keras.json, in ~/.keras or "
                "KERAS_HOME, and unset variables KERAS_..."
            ) from error
    if is_ours:
        # It logs its own warnings about a lost worker; everything that matters is raised.
        logging.getLogger("tensorflow").setLevel(logging.CRITICAL)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what the process writes to standard error; show it only after a failure.

    A user's mistake is not such a failure: its message is enough.
    """
    with _unnamed_file() as held_back:
        standard_error = os.dup(2)
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except S2sError:
            raise
        except Exception:
            held_back.seek(0)
            os.write(standard_error, held_back.read())
            raise
        finally:
            os.dup2(standard_error, 2)
            os.close(standard_error)


def _unnamed_file() -> IO[bytes]:
    """Return a file in memory if the system supports it, since the disk may be full."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    return tempfile.TemporaryFile()


def _keep_freed_memory() -> None:
    """Let the C library keep freed memory.

    Each call of a compiled program allocates and frees its arrays, several hundred megabytes for
    long sequences. If they were returned to the system, clearing their pages again would take a
    quarter of the next call's time.
    """
    if not sys.platform.startswith("linux") or any(key.startswith("MALLOC_") for key in os.environ):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:  # only glibc has it
        for parameter, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_ARENA_MAX, 1)):
            mallopt(parameter, value)


@contextmanager
def full_memory_named() -> Iterator[None]:
    """Raise MemoryError in place of TensorFlow's and XLA's own errors for full memory."""
    try:
        yield
    except Exception as error:
        name, text = type(error).__name__, str(error)
        if name == "ResourceExhaustedError" or "RESOURCE_EXHAUSTED" in text:
            raise MemoryError("the memory is full") from error
        raise
