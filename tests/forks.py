"""The command in processes forked from this one, which has imported what they need already.

What is left of a start is then some milliseconds, so that a harness can kill and race hundreds of
processes. Each is a process of its own in all else: its folder, streams, signals and locks.
"""

import gc
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Forked:
    """A command under way; `code` is negative where a signal has ended it."""

    arguments: list[str]
    pid: int
    files: list[Path]  # standard output, standard error, and what is told of its end
    started: float
    code: int | None = None
    seconds: float = 0.0
    processor_seconds: float = 0.0

    def has_ended(self, wait: bool = False) -> bool:
        """Tell whether it has ended, after its end if `wait`."""
        if self.code is None:
            pid, status, usage = os.wait4(self.pid, 0 if wait else os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
                self.seconds = time.monotonic() - self.started
                self.processor_seconds = usage.ru_utime + usage.ru_stime
        return self.code is not None

    def end(self, limit: float = 300) -> int:
        """Return its exit code; what takes longer than this is killed."""
        until = time.monotonic() + limit
        while not self.has_ended() and time.monotonic() < until:
            time.sleep(0.005)
        if not self.has_ended():
            self.send(signal.SIGKILL)
            self.has_ended(wait=True)
        assert self.code is not None
        return self.code

    def send(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            if not self.has_ended():
                os.kill(self.pid, number)

    @property
    def out(self) -> str:
        return self.files[0].read_text(errors="replace")

    @property
    def err(self) -> str:
        return self.files[1].read_text(errors="replace")

    @property
    def has_tensorflow(self) -> bool:
        """Whether it had imported TensorFlow by its end."""
        return self.files[2].read_text() == "tensorflow"


def fork(
    arguments: Iterable[str],
    folder: Path,
    outputs: Path,
    gate: int | None = None,
    stdin: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Forked:
    """Start the command in a folder, its output going to files in `outputs`.

    With a gate, a descriptor to be read from, it begins when that is closed at its other end. It
    reads from the descriptor `stdin`, or finds nothing to read.
    """
    arguments = list(arguments)
    place = Path(tempfile.mkdtemp(dir=outputs))
    files = [place / name for name in ("out", "err", "end")]
    sys.stdout.flush()
    started, pid = time.monotonic(), os.fork()
    if not pid:
        os.environ.update(environment or {})
        tempfile.tempdir = None
        _run(arguments, folder, files, gate, stdin)
    return Forked(arguments, pid, files, started)


@contextmanager
def gate() -> Iterator[int]:
    """Yield a gate; what is forked with it in the block begins together when the block ends."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, False)
    global _writing
    _writing = writing
    try:
        yield reading
    finally:
        _writing = None
        os.close(writing)
        os.close(reading)


_writing: int | None = None


def _run(
    arguments: list[str], folder: Path, files: list[Path], gate: int | None, stdin: int | None
) -> None:
    code = 1
    try:
        gc.freeze()  # what this process collects is not what the one before has made
        os.chdir(folder)
        opened = os.open(os.devnull, os.O_RDONLY) if stdin is None else stdin
        writing = os.O_WRONLY | os.O_CREAT
        for number, descriptor in enumerate([opened, *(os.open(f, writing) for f in files[:2])]):
            os.dup2(descriptor, number)
            os.close(descriptor)
        if gate is not None:
            assert _writing is not None
            os.close(_writing)
            os.read(gate, 1)
        sys.argv = ["s2s", *arguments]
        from seq2seq_cli.__main__ import main

        main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0
    except BaseException:
        sys.excepthook(*sys.exc_info())  # as Python itself does
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        files[2].write_text("tensorflow" if "tensorflow" in sys.modules else "no")
        os._exit(code)
