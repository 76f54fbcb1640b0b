"""Compiled programs, kept from one process to the next in the user's cache folder.

TensorFlow's own persistent compilation cache reads and writes them, in a folder that only this
process has. There it finds the kept programs whose content is what their names say, and what it
adds is kept for others: no process sees what another one is writing, and nothing that is damaged
reaches TensorFlow, which would end the training. Whatever else fails, a full disk or a folder that
cannot be written, means compiling as before.

A compiled program is machine code: it is kept under a name made of TensorFlow's release, XLA's
flags and the hardware, in a folder that none but its owner may write.
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
from seq2seq_cli.machine import hardware
from seq2seq_cli.runs.lock import hold_lock, is_locked
from seq2seq_cli.storage import atomic_path, sha256_of
from seq2seq_cli.training.cache_folder import cache_folder
from seq2seq_cli.training.release import CACHE_FLAG, behaviour

MOST_BYTES = 200 * 2**20
"""Of all that is kept; if it were more, keeping starts afresh."""

ROOM_BYTES = 32 * 2**20
"""TensorFlow fails where it cannot write a program: with less room than this nothing is kept."""

FLAGS_VARIABLE = "TF_XLA_FLAGS"
OWN_FOLDER = "process-"
PROGRAMS = "programs"


class CompilationCache:
    """The programs kept for this kind of machine, and the `own` folder that TensorFlow looks in."""

    def __init__(self, root: Path, own: Path) -> None:
        self.root, self.own = root, own
        self._programs = root / PROGRAMS
        self._kept = self._programs / machine_key()
        self._known: set[str] = set()

    def size(self) -> tuple[int, int]:
        """Return how many programs are kept, of every kind of machine, and their bytes."""
        sizes = []
        for path in self._programs.glob("*/*/*"):
            with suppress(OSError):  # another process may have removed it
                sizes.append(path.stat().st_size)
        return len(sizes), sum(sizes)

    def take(self, key: str) -> bool:
        """Let TensorFlow find what is kept under a key; tell whether there is anything."""
        found = False
        for path in (self._kept / key).glob("[!.]*.pb"):  # none that is being written
            # Another process may have removed it, and there may be no room.
            with suppress(OSError, StorageError):
                digest, _, name = path.name.partition("-")
                content = path.read_bytes()
                if sha256_of(content) != digest:
                    path.unlink()
                    continue
                with atomic_path(self.own / name) as temporary:
                    temporary.write_bytes(content)
                self._known.add(name)
                found = True
        return found

    def keep(self, key: str) -> None:
        """Keep under a key what TensorFlow has compiled since the last time."""
        with suppress(OSError, StorageError):
            for path in self.own.glob("*.pb"):
                if path.name not in self._known:
                    self._known.add(path.name)
                    content = path.read_bytes()
                    folder = self._kept / key
                    folder.mkdir(parents=True, exist_ok=True)
                    with atomic_path(folder / f"{sha256_of(content)}-{path.name}") as temporary:
                        temporary.write_bytes(content)
                        temporary.chmod(0o600)
        if self.size()[1] > MOST_BYTES:
            shutil.rmtree(self._programs, ignore_errors=True)


@cache
def open_cache() -> CompilationCache | None:
    """Return this process's cache, after naming it to TensorFlow; None where none is possible.

    TensorFlow reads the flag once in a process, when it first runs something: where it has been
    imported before, nothing is kept. A cache that the user has named to it stays.
    """
    flags = os.environ.get(FLAGS_VARIABLE, "")
    # A parent process's own folder is not this one's.
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
    """Name what a compiled program depends on besides what it computes."""
    names = ("XLA_FLAGS", FLAGS_VARIABLE, "TF_NUM_INTRAOP_THREADS")
    flags = [os.environ.get(name, "") for name in names]
    described = [version("tensorflow"), *flags, str(os.cpu_count()), *hardware()]
    return sha256_of("\n".join(described).encode())[:16]


def _own_folder(root: Path) -> Path | None:
    """Return a new folder of this process, which goes with it; None if there is no room.

    A killed process leaves its folder behind, and gives up the lock on it: the next one removes it.
    """
    for path in root.glob(f"{OWN_FOLDER}*"):
        if not is_locked(path):
            shutil.rmtree(path, ignore_errors=True)
    with tempfile.TemporaryFile(dir=root) as file:  # a quota too may leave no room
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
