"""The keys of programs, and names that depend on the key and not on what was traced before."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path

from tensorflow.python.framework import ops

from seq2seq_cli import architecture
from seq2seq_cli.config import RunConfig
from seq2seq_cli.storage import sha256_of
from seq2seq_cli.training.compilation_cache import open_cache
from seq2seq_cli.training.program.device import layout

FROM_FILES = {"pretrained_embedding", "pretrained_embedding_sha256"}
"""Settings of the initial weights, on which no program depends."""

_named: set[str] = set()


def program_key(config: RunConfig, n_in: int, n_out: int) -> str:
    """Return the key of the program that trains on sources and targets of these widths."""
    task, training = config.task, config.training
    depends_on = {
        "code": _code(),
        "model": config.model.model_dump(exclude=FROM_FILES),
        "task": [n_in, n_out, task.cardinality, task.has_end],
        "training": [training.batch_size, training.clip_norm],
        "layout": layout(),
    }
    return sha256_of(json.dumps(depends_on, sort_keys=True).encode())[:32]


def is_free(key: str) -> bool:
    """Return whether a key is unused: a second program of this key would not be found again."""
    return key not in _named


@contextmanager
def named_after(key: str) -> Iterator[None]:
    """Let a key number whatever is traced in this block, once per process.

    TensorFlow numbers everything it traces since the start of the process, with `ops.uid`, and
    finds compiled programs by these names: a program would be found only if exactly as much was
    traced before it. There is no public way to name a function. Without a cache nothing is named.
    """
    if open_cache() is None or not is_free(key):
        yield
        return
    _named.add(key)
    with numbered_from(int(key[:12], 16)):
        yield


@contextmanager
def numbered_from(first: int) -> Iterator[None]:
    """Let numbers from `first` on name whatever is traced in this block."""
    numbers, before = count(first), ops.uid
    ops.uid = lambda: next(numbers)
    try:
        yield
    finally:
        ops.uid = before


@cache
def _code() -> str:
    """Return a hash of the code that makes the programs."""
    files = [*sorted(Path(__file__).parent.glob("*.py")), Path(architecture.__file__)]
    return sha256_of(b"".join(path.read_bytes() for path in files))
