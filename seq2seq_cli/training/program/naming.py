"""Names of programs: what a compiled one depends on, and not what was traced before it."""

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
"""Settings of the weights that a training begins with, on which no program depends."""

_named: set[str] = set()


def program_key(config: RunConfig, n_in: int, n_out: int) -> str:
    """Name the program that trains on sources and targets of these widths."""
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
    """Tell whether nothing is named after a key yet: another such program is found by no name."""
    return key not in _named


@contextmanager
def named_after(key: str) -> Iterator[None]:
    """Let what is traced in this block be numbered by a key, once in a process.

    TensorFlow numbers all that it traces from the process's beginning on, by `ops.uid`, and finds
    compiled programs by these names: a program would be found only where just as much was traced
    before it. There is no public way to name a function. Without a cache nothing is named.
    """
    if open_cache() is None or not is_free(key):
        yield
        return
    _named.add(key)
    with numbered_from(int(key[:12], 16)):
        yield


@contextmanager
def numbered_from(first: int) -> Iterator[None]:
    """Let what is traced in this block be numbered from here on."""
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
