"""The process of a command: its signals, standard streams, exit code and large imports."""

import gc
import io
import json
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from importlib import import_module
from types import FrameType
from typing import NoReturn

from seq2seq_cli.errors import Interrupted, Stopped, Terminated
from seq2seq_cli.inference.threads import use_one_blas_thread

LIMIT_SECONDS = 1.8
"""How long a command may take to end after Ctrl-C or SIGTERM."""

REASONS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}

REMEDIES = {
    "replace": ": choose another name, or add --force to replace it",
    "resume": ": add --resume to continue it, choose another name, or add --force to replace it",
    "task": ": add --task {}",
    "data": ": add --data {}",
}
"""The options against errors."""

LONGEST_LINE = 1000
"""Maximum characters of a message's line; a longer one loses its middle."""

_standard_error = 2
"""A descriptor of standard error that still works while TensorFlow's output is held back."""


def main() -> NoReturn:
    """Run `s2s` with the process's arguments and exit with the documented code."""
    # Most objects created at the start are never freed; collecting garbage took 10% of its time.
    gc.set_threshold(100_000, 50, 100)
    # Otherwise pydantic looks for plugins in the metadata of every installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    use_one_blas_thread()
    try:
        hear_signals()
        _prepare_streams()
        message, code = run_command()
        for number in REASONS:  # nothing remains to be saved
            signal.signal(number, lambda number, frame: os._exit(128 + number))
        tell(message, code)
        _flush()
        sys.exit(code)
    except Stopped as error:
        ignore_signals()
        tell(str(error), error.exit_code)
        _flush()
        os._exit(error.exit_code)  # without waiting for other threads


def run_command() -> tuple[str, int]:
    """Run the command; return the final message to the user, and the exit code."""
    from typer import TyperException

    from seq2seq_cli.cli.rendering import output
    from seq2seq_cli.errors import ConfigurationError, S2sError, StorageError

    output.fall_back_to_ascii()
    try:
        with output.debugged():
            from seq2seq_cli.cli.app import app, usage_message

            output.end_phase("the command line imported")
            # Not standalone: usage errors are shown in one line, like all others.
            code = app(prog_name="s2s", standalone_mode=False)
            sys.stdout.flush()
    except TyperException as error:
        return usage_message(error), ConfigurationError.exit_code
    except S2sError as error:
        advice = REMEDIES[error.remedy].format(error.value) if error.remedy else ""
        return f"{error}{advice}", error.exit_code
    except SystemExit as error:
        if isinstance(error.__context__, OSError):  # Typer's answer to a broken pipe
            return _described(error.__context__), StorageError.exit_code
        raise
    except OSError as error:
        return _described(error), StorageError.exit_code
    except MemoryError:
        return "the memory is full: make the sizes smaller", StorageError.exit_code
    # Typer's answer to a KeyboardInterrupt; Ctrl-C raises Interrupted.
    is_raised = code == Interrupted.exit_code
    message = "interrupted: custom code raised KeyboardInterrupt" if is_raised else ""
    return message, code if isinstance(code, int) else 0


def _described(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    reason = error.strerror or str(error)
    if reason.startswith("No usable temporary directory"):  # of the module tempfile
        reason += "; set TMPDIR to a folder in which files can be written"
    return where + reason


def hear_signals() -> None:
    """Let the first Ctrl-C or SIGTERM raise Interrupted or Terminated in the main thread.

    The exception lets a training write its checkpoint. The process ends within two seconds even if
    the exception is lost, for example in a library that catches everything; only a file that is
    being written is finished first.
    """
    for number in REASONS:
        signal.signal(number, _stop)


def ignore_signals() -> None:
    """Ignore Ctrl-C and SIGTERM, since the process is about to end."""
    for number in REASONS:
        signal.signal(number, signal.SIG_IGN)


def _stop(number: int, frame: FrameType | None) -> None:
    ignore_signals()
    threading.Thread(target=_end_in_time, args=(number,), daemon=True).start()
    reason = REASONS[signal.Signals(number)]
    raise Interrupted(reason) if number == signal.SIGINT else Terminated(reason)


def _end_in_time(number: int) -> None:
    time.sleep(LIMIT_SECONDS)
    storage = sys.modules.get("seq2seq_cli.storage")
    while storage and storage.is_writing():
        time.sleep(0.05)
    with suppress(OSError):  # not through the stream, whose lock the main thread may hold
        line = _final_lines(REASONS[signal.Signals(number)], 128 + number)
        os.write(_standard_error, line.encode())
    os._exit(128 + number)


def _prepare_streams() -> None:
    global _standard_error
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed; the file gets its descriptor
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123
    _standard_error = os.dup(2)
    if isinstance(sys.stdout.buffer, io.RawIOBase):
        # With PYTHONUNBUFFERED, Python silently drops what does not fit on a full disk.
        sys.stdout = open(1, "w", 1, encoding=sys.stdout.encoding, closefd=False)  # noqa: SIM115


def _flush() -> None:
    """Flush both streams, dropping what cannot be written, or Python would exit with code 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def tell(message: str, code: int) -> None:
    """Write the final message to standard error, if possible."""
    with suppress(OSError):
        sys.stderr.write(_final_lines(message, code))
        sys.stderr.flush()


def _final_lines(message: str, code: int) -> str:
    """Return the lines of a message, or a line of JSON if the command line asks for JSON."""
    lines = [printable(line) for line in message.split("\n") if line]
    if lines and "--json" in sys.argv:
        return json.dumps({"error": "\n".join(lines), "exit_code": code}) + "\n"
    return "".join(f"s2s: {line}\n" for line in lines)


def printable(line: str) -> str:
    """Return a line without control characters, and without the middle of a long one.

    Messages contain names and values as the user typed them.
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    if len(shown) <= LONGEST_LINE:
        return shown
    return f"{shown[: LONGEST_LINE // 2]} ... {shown[-LONGEST_LINE // 2 :]}"


def import_quietly(*more: str) -> None:
    """Import the training modules, and `more`, without their messages on standard error.

    TensorFlow's objects are never freed: collecting garbage among them would take 20% of the time.
    """
    gc.disable()
    try:
        import_module("seq2seq_cli.training.process").import_keras()
        for name in ("seq2seq_cli.training.trainer", *more):
            import_module(name)
        gc.freeze()
    finally:
        gc.enable()
