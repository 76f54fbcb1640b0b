"""What the scripts share: their arguments and verdict, and the command in forked processes.

A fork has imported what the command needs already and starts within milliseconds, so a script can
race and kill hundreds of them. Each has its own folder, streams, signals and locks.
"""

import argparse
import gc
import os
import pkgutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import seq2seq_cli
from seq2seq_cli.training.release import FOLDER_VARIABLE


def parse(description: str | None, n: int, **options: str | int) -> argparse.Namespace:
    """Return the number of tries, the seed and a script's other options, with these defaults."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("n", type=int, nargs="?", default=n)
    for name, default in {"seed": 0, **options}.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    return parser.parse_args()


def finish(summary: str, wrong: list[str]) -> None:
    """Print what is wrong and the summary, and end the script: with 1 if anything is wrong."""
    for line in wrong[:40]:
        print(f"WRONG: {line}")
    print(f"{summary}: {len(wrong)} wrong")
    sys.exit(bool(wrong))


@contextmanager
def work_folder() -> Iterator[Path]:
    """Yield an empty folder, which also holds the forks' output and their compiled programs."""
    with tempfile.TemporaryDirectory() as name:
        os.environ.setdefault(FOLDER_VARIABLE, f"{name}/programs")
        tempfile.tempdir = name
        yield Path(name).resolve()


def import_package(with_training: bool) -> None:
    """Import the package's modules for all forks, with TensorFlow only where they train."""
    if with_training:
        from seq2seq_cli.cli.process import import_quietly
        from seq2seq_cli.training.process import configure_process

        configure_process()
        import_quietly()
    for module in pkgutil.walk_packages(seq2seq_cli.__path__, "seq2seq_cli."):
        if with_training or not module.name.startswith("seq2seq_cli.training"):
            import_module(module.name)
    assert with_training or "tensorflow" not in sys.modules


@dataclass
class Forked:
    """A command's process. `code` is negative if a signal ended it, and None before its end."""

    arguments: list[str]
    pid: int
    outputs: Path
    started: float
    code: int | None = None
    seconds: float = 0.0
    processor_seconds: float = 0.0

    def has_ended(self, wait: bool = False) -> bool:
        if self.code is None:
            pid, status, usage = os.wait4(self.pid, 0 if wait else os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
                self.seconds = time.monotonic() - self.started
                self.processor_seconds = usage.ru_utime + usage.ru_stime
        return self.code is not None

    def end(self, limit: float = 600) -> int:
        """Return its exit code. It is killed if it takes longer than `limit` seconds."""
        until = time.monotonic() + limit
        while not self.has_ended() and time.monotonic() < until:
            time.sleep(0.005)
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
        return (self.outputs / "out").read_text(errors="replace")

    @property
    def err(self) -> str:
        return (self.outputs / "err").read_text(errors="replace")

    @property
    def has_tensorflow(self) -> bool:
        """Whether it had imported TensorFlow by its end."""
        return (self.outputs / "tensorflow").exists()


def fork(
    arguments: Iterable[str],
    folder: Path,
    gate: int | None = None,
    stdin: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> Forked:
    """Start the command in a folder. With a gate it begins when that is opened."""
    arguments, outputs = list(arguments), Path(tempfile.mkdtemp())
    sys.stdout.flush()
    started, pid = time.monotonic(), os.fork()
    if not pid:
        os.environ.update(environment or {})
        tempfile.tempdir = None
        _run(arguments, folder, outputs, gate, stdin)
    return Forked(arguments, pid, outputs, started)


@contextmanager
def gate() -> Iterator[int]:
    """Yield a gate, which opens when the block ends."""
    global _opener
    reading, _opener = os.pipe()
    try:
        yield reading
    finally:
        os.close(_opener)
        os.close(reading)
        _opener = None


_opener: int | None = None


def _run(
    arguments: list[str], folder: Path, outputs: Path, gate: int | None, stdin: int | None
) -> None:
    code = 1
    try:
        gc.freeze()  # leaves alone what the parent process made
        os.chdir(folder)
        streams = [os.open(os.devnull, os.O_RDONLY) if stdin is None else stdin]
        streams += [os.open(outputs / name, os.O_WRONLY | os.O_CREAT) for name in ("out", "err")]
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
            os.close(descriptor)
        if gate is not None:
            assert _opener is not None
            os.close(_opener)
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
        if "tensorflow" in sys.modules:
            (outputs / "tensorflow").touch()
        os._exit(code)
