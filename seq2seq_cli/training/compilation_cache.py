"""Compiled programs, cached across processes in the user's cache folder.

TensorFlow's persistent compilation cache reads and writes them, in a folder that only this process
uses. Cached programs are copied there if their content matches the hash in their names, and new
ones are copied back: no process sees what another one is writing, and nothing damaged reaches
TensorFlow, which would end the training. After any other failure, such as a full disk or a
read-only folder, programs are compiled without a cache.

A compiled program is machine code: its name includes TensorFlow's release, XLA's flags and the
hardware, and only the owner can write to the folder.
"""

import atexit
import os
import re
import secrets
import shutil
import sys
import tempfile
from contextlib import ExitStack, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

from seq2seq_cli.errors import StorageError
from seq2seq_cli.machine import cores, hardware
from seq2seq_cli.runs.lock import hold_lock, is_locked
from seq2seq_cli.storage import atomic_path, sha256_of
from seq2seq_cli.training.release import CACHE_FLAG, behaviour, cache_folder, private_folder

MOST_BYTES = 200 * 2**20
"""Maximum size of the cache; when it grows larger, it is emptied."""

ROOM_BYTES = 32 * 2**20
"""With less free space nothing is cached, since TensorFlow fails if it cannot write a program."""

FLAGS_VARIABLE = "TF_XLA_FLAGS"
OWN_FOLDER = "process-"
PROGRAMS = "programs"


class CompilationCache:
    """The programs cached for this kind of machine; TensorFlow uses the folder `own`."""

    def __init__(self, root: Path, own: Path) -> None:
        self.root, self.own = root, own
        self._programs = root / PROGRAMS
        self._machine = machine_key()
        self._known: set[str] = set()

    def size(self) -> tuple[int, int]:
        """Return the number of cached programs, for all kinds of machines, and their bytes."""
        sizes = []
        for path in self._programs.glob("*/*/*"):
            with suppress(OSError):  # another process may have removed it
                sizes.append(path.stat().st_size)
        return len(sizes), sum(sizes)

    def take(self, key: str) -> bool:
        """Let TensorFlow find the programs cached under a key; return whether there are any."""
        is_cached, folder = False, private_folder(self.root, PROGRAMS, self._machine, key)
        for path in folder.glob("[!.]*.pb") if folder else ():  # except those being written
            # Another process may have removed it, or the disk may be full.
            with suppress(OSError, StorageError):
                digest, _, name = path.name.partition("-")
                content = path.read_bytes()
                if sha256_of(content) != digest:
                    path.unlink()
                    continue
                with atomic_path(self.own / name) as temporary:
                    temporary.write_bytes(content)
                self._known.add(name)
                is_cached = True
        return is_cached

    def keep(self, key: str) -> None:
        """Cache under a key what TensorFlow has compiled since the last call."""
        folder = private_folder(self.root, PROGRAMS, self._machine, key)
        programs = [path for path in self.own.glob("*.pb") if path.name not in self._known]
        self._known |= {path.name for path in programs}
        with suppress(OSError, StorageError):
            for path in programs:
                content, name = path.read_bytes(), path.name
                if folder:
                    with atomic_path(folder / f"{sha256_of(content)}-{name}") as temporary:
                        temporary.write_bytes(content)
                        temporary.chmod(0o600)
        if self.size()[1] > MOST_BYTES:
            shutil.rmtree(self._programs, ignore_errors=True)


@cache
def open_cache() -> CompilationCache | None:
    """Return this process's cache after telling TensorFlow its folder; None if none is possible.

    TensorFlow reads the flag once per process, when it first runs something: if it has been
    imported before, nothing is cached. A cache that the user has set stays in use.
    """
    flags = os.environ.get(FLAGS_VARIABLE, "")
    # Do not inherit the folder of a parent process.
    flags = re.sub(rf"{CACHE_FLAG}=(['\"]).*?[/\\]{OWN_FOLDER}.*?\1", "", flags).strip()
    if FLAGS_VARIABLE in os.environ:
        os.environ[FLAGS_VARIABLE] = flags
    if CACHE_FLAG in flags or "tensorflow" in sys.modules or not behaviour().keeps_programs:
        return None
    with suppress(OSError, StorageError):
        root = cache_folder()
        if root and (own := _own_folder(root)):
            opened = CompilationCache(root, own)
            os.environ[FLAGS_VARIABLE] = f"{flags} {CACHE_FLAG}='{own}'".strip()
            return opened
    return None


def machine_key() -> str:
    """Return a key of everything a compiled program depends on besides what it computes."""
    names = ("XLA_FLAGS", FLAGS_VARIABLE, "TF_NUM_INTRAOP_THREADS")
    flags = [os.environ.get(name, "") for name in names]
    described = [version("tensorflow"), *flags, str(cores()), *hardware()]
    return sha256_of("\n".join(described).encode())[:16]


def _own_folder(root: Path) -> Path | None:
    """Return a new folder that is removed with this process; None if there is no space.

    A killed process leaves its folder behind without a lock; the next process removes it.
    """
    for path in root.glob(f"{OWN_FOLDER}*"):
        if not is_locked(path):
            shutil.rmtree(path, ignore_errors=True)
    with tempfile.TemporaryFile(dir=root) as file:  # fails if a quota is used up
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, ROOM_BYTES)
        elif shutil.disk_usage(root).free < ROOM_BYTES:
            return None
    own = root / f"{OWN_FOLDER}{secrets.token_hex(8)}"
    held = ExitStack()
    held.enter_context(hold_lock(own))
    held.callback(shutil.rmtree, own, ignore_errors=True)
    own.chmod(0o700)
    atexit.register(held.close)
    return own
