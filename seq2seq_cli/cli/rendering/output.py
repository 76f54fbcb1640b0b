"""Plain lines: data on standard output, messages and what `--debug` shows on standard error."""

import codecs
import json
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from seq2seq_cli.cli.process import printable

_started = time.perf_counter()
_ended: list[tuple[str, float]] = []
_is_debugging = False
_reserved: TextIO | None = None


@contextmanager
def reserved() -> Iterator[None]:
    """Keep standard output for this module; anything else that is printed goes to standard error.

    Otherwise a line printed by custom code would be read as data.
    """
    global _reserved
    before, _reserved = _reserved, stdout()
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout, _reserved = _reserved, before


def stdout() -> TextIO:
    """Return standard output."""
    return _reserved or sys.stdout


def write(line: str) -> None:
    """Write a line of data to standard output."""
    stdout().write(line + "\n")


def write_json(document: Any) -> None:
    """Write a value as one line of JSON to standard output."""
    write(json.dumps(document, allow_nan=False))


def flush() -> None:
    """Flush standard output, so that its reader gets everything written so far."""
    stdout().flush()


def message(text: str, quiet: bool = False) -> None:
    """Write a message for the user to standard error; a closed standard error is not an error."""
    if not quiet:
        with suppress(OSError):
            sys.stderr.write(printable(text) + "\n")
            sys.stderr.flush()


def start_debugging() -> None:
    """Let `debugged` show a traceback and times."""
    global _is_debugging
    _is_debugging = True


def end_phase(name: str) -> None:
    """Record the end of a phase of the command, which began when the previous one ended."""
    _ended.append((name, time.perf_counter()))


@contextmanager
def debugged() -> Iterator[None]:
    """Write the block's traceback and the times of its phases to standard error, if debugging."""
    try:
        yield
    except BaseException as error:
        if _is_debugging and not isinstance(error, SystemExit):
            from traceback import format_exception

            for line in "".join(format_exception(error)).splitlines():
                message(line)
        raise
    finally:
        if _is_debugging:
            end_phase("the rest")
            before = _started
            for name, ended in _ended:
                message(f"{ended - before:9.3f} s  {name}")
                before = ended
            message(f"{before - _started:9.3f} s  in all, since Python had started")


def end_with_reader() -> None:
    """End quietly when the reader of standard output is gone, as Unix tools do."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)


_DOTS = dict.fromkeys(map(chr, range(0x2801, 0x2900)), "*")
"""The Braille characters that plotille draws with, as asterisks."""

_IN_ASCII = _DOTS | dict(zip("→…░▒▓█▁▂▃▄▅▆▇▏▎▍▌▋▊▉\u2800", ">~.:+#_.-=+*%   #### ", strict=True))


def fall_back_to_ascii() -> None:
    """Let both streams replace characters missing in their encoding with ASCII ones or `?`."""

    def replace(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeEncodeError)
        part = error.object[error.start : error.end]
        return "".join(_IN_ASCII.get(character, "?") for character in part), error.end

    codecs.register_error("s2s-ascii", replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="s2s-ascii")


@contextmanager
def open_input(file: Path | None) -> Iterator[BinaryIO]:
    """Open a file for reading, or standard input for None."""
    if file is None:
        yield sys.stdin.buffer
        return
    with file.open("rb") as opened:
        yield opened


def format_ids(ids: Iterable[int]) -> str:
    """Return integers as text, separated by spaces."""
    return " ".join(map(str, ids))


def duration(seconds: float) -> str:
    """Return a time to two digits, such as 0.5 s, 45 s, 12 min, 3.5 h or 2.3 days."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{float(f'{seconds / size:.2g}'):g} {unit}"
    return f"{float(f'{seconds:.2g}'):g} s"
