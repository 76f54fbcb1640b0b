"""The GPUs of a machine, shared out among the cells that are trained on it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from seq2seq_cli.machine import visible_gpus
from seq2seq_cli.storage import sha256_of


@contextmanager
def least_used_gpu() -> Iterator[str | None]:
    """Yield the visible GPU that the fewest cells use while the block runs; None without a GPU.

    Cells of other sweeps and Dask workers on this machine count too: each cell holds a lock.
    """
    gpus = visible_gpus()
    if not gpus:
        yield None
        return
    from filelock import FileLock, Timeout

    user = os.getuid() if hasattr(os, "getuid") else ""
    for n_others in count():
        for gpu in gpus:
            name = f"s2s-gpu-{user}-{sha256_of(gpu.encode())[:16]}-{n_others}.lock"
            lock = FileLock(Path(tempfile.gettempdir(), name), timeout=0)
            try:
                lock.acquire()
            except Timeout:
                continue
            try:
                yield gpu
            finally:
                lock.release()
            return
