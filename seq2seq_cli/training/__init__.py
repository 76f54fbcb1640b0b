"""Training: the only home of TensorFlow and Keras.

Importing it sets what the two read as they start, unless the user has set it.
"""

import ctypes
import os
import sys
from importlib.metadata import version

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

# XLA ends the process on a flag that it does not know, so they are given to the releases with which
# they were measured, and others run without. Two parts of a program are compiled at once (a quarter
# off the compilation), and products go to the YNN kernels (40 % off it, 15 % off each step).
MEASURED_RELEASES = ("2.21",)
XLA_FLAGS = "--xla_cpu_parallel_codegen_split_count=2 --xla_cpu_experimental_ynn_fusion_type=dot"
if version("tensorflow").startswith(MEASURED_RELEASES):
    os.environ.setdefault("XLA_FLAGS", XLA_FLAGS)


# glibc's malloc.h: parameters of mallopt.
M_TRIM_THRESHOLD, M_MMAP_MAX, M_ARENA_MAX = -1, -4, -8


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


_keep_freed_memory()
