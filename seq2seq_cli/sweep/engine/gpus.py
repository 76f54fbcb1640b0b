"""The GPUs of a machine, shared among the cells that are trained on it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from seq2seq_cli.machine import visible_gpus
from seq2seq_cli.runs.lock import lock_file
from seq2seq_cli.storage import sha256_of


@contextmanager
def least_used_gpu() -> Iterator[str | None]:
    """Yield the visible GPU that the fewest cells use; None without a GPU.

    Cells of other sweeps and Dask workers on this machine count too: each cell holds a lock while
    the block runs.
    """
    gpus = visible_gpus()
    if not gpus:
        yield None
        return
    for n_others in count():
        for gpu in gpus:
            name = f"s2s-gpu-{os.getuid()}-{sha256_of(gpu.encode())[:16]}-{n_others}.lock"
            if file := lock_file(Path(tempfile.gettempdir(), name)):
                with file:
                    yield gpu
                return
