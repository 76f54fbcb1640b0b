"""One of several workers, watched by a process of its own that never computes anything.

TensorFlow waits for the other workers with Python's lock held, so that no signal can be heard
meanwhile: the watching process hears it, and ends the worker where that does not end by itself. A
worker that fails before it has joined the others, such as for an option that is wrong, leaves them
waiting: the watching process then joins in its place, to tell them.
"""

import os
import signal
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from seq2seq_cli.cli import process

LIMIT_SECONDS = process.LIMIT_SECONDS + 0.1
"""After a signal; the worker's own limit comes before it."""

TELLING_SECONDS = 60
"""How long a worker that has failed waits for the others, to tell them."""

_joining: int | None = None
"""Where this worker says that it joins the others; None in any other process."""


class _HeardError(BaseException):
    """A signal has come."""


def is_needed() -> bool:
    """Tell whether this process is to be one of several workers."""
    if "train" not in sys.argv or "TF_CONFIG" not in os.environ or not hasattr(os, "fork"):
        return False
    from seq2seq_cli.errors import ConfigurationError
    from seq2seq_cli.training.cluster import read_cluster

    with suppress(ConfigurationError):  # which the command tells
        return read_cluster().n_workers > 1
    return False


def run_worker() -> int | None:
    """Return None in a new process, which is the worker, and in this one its exit code."""
    global _joining
    reading, writing = os.pipe()
    worker = _fork()
    if worker is None:
        os.close(reading)
        _joining = writing
        return None
    os.close(writing)
    code = _wait(worker)
    has_joined = bool(os.read(reading, 1))
    if 0 < code < 128 and not has_joined:
        teller = _fork()
        if teller is None:
            _tell()
        stopped = _wait(teller)
        code = stopped if stopped in (130, 143) else code
    return code


def joins() -> None:
    """Say that this process joins the other workers, which from then on see what becomes of it."""
    if _joining is not None:
        os.write(_joining, b"j")


def _fork() -> int | None:
    """Return the number of a new process that ends with this one, and None in itself."""
    parent = os.getpid()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    number = os.fork()
    if number:
        return number
    if sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG of sys/prctl.h
        if os.getppid() != parent:
            os._exit(128 + signal.SIGKILL)
    return None


def _wait(pid: int) -> int:
    """Return the exit code of a process, to which Ctrl-C and SIGTERM are passed on."""
    heard = []

    def hear(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        if len(heard) == 1:
            raise _HeardError

    for number in process.REASONS:
        signal.signal(number, hear)
    try:
        return _exit_code(os.waitpid(pid, 0)[1])
    except _HeardError:
        return _wait_shortly(pid, heard[0])
    finally:
        process.hear_signals()


def _wait_shortly(pid: int, number: int) -> int:
    """Return the exit code of a process that has been sent a signal, and that ends in time."""
    end = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < end:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            code = _exit_code(status)
            if (code != 1 and code < 128) or code in (130, 143):
                return code
            break  # TensorFlow has failed at what it was interrupted in
        time.sleep(0.02)
    else:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    process.tell(process.REASONS[signal.Signals(number)])
    return 128 + number


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _tell() -> NoReturn:
    """Join the other workers and tell them that this one cannot take part."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        from seq2seq_cli.errors import StorageError
        from seq2seq_cli.training.cluster import read_cluster
        from seq2seq_cli.training.exchange import Exchange

        signal.alarm(TELLING_SECONDS)  # from here on: the import may take a slow machine longer
        Exchange(read_cluster()).check_all(StorageError("this worker has failed"))
    finally:
        os._exit(0)
