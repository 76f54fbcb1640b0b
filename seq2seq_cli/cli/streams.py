"""The standard streams where they are closed, full, or nobody reads them any more."""

import io
import os
import sys
from contextlib import suppress

LONGEST_LINE = 1000
"""Characters of a line of a message that are shown; of a longer one, its ends."""

_standard_error = 2
"""Where it is, whatever stands in its place while TensorFlow is loaded."""


def open_closed() -> None:
    """Give each standard stream that is closed a file that nothing can be read from or written to.

    Otherwise the next file to be opened would take its number, and what is meant for the stream
    would be written into that. Messages to a closed standard error vanish.
    """
    for number, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)
    global _standard_error
    _standard_error = os.dup(2)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def write_whole_lines() -> None:
    """Let standard output write all of each line, or fail, where Python was told not to buffer it.

    Without a buffer Python drops, without a word, what is left where a full disk takes but a part.
    """
    if isinstance(sys.stdout.buffer, io.RawIOBase):
        encoding, errors = sys.stdout.encoding, sys.stdout.errors
        sys.stdout = open(  # noqa: SIM115
            sys.stdout.fileno(), "w", 1, encoding=encoding, errors=errors, closefd=False
        )


def tell(message: str) -> None:
    """Write each line of a message to standard error; who has closed it is told nothing."""
    with suppress(OSError, ValueError):
        for line in filter(None, message.split("\n")):
            print(f"s2s: {printable(line)}", file=sys.stderr)  # noqa: T201
        sys.stderr.flush()


def printable(line: str) -> str:
    """Return a line without the characters that a terminal obeys, and the middle of a long one.

    Names and values that a user has given stand in messages as they are.
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    if len(shown) <= LONGEST_LINE:
        return shown
    return f"{shown[: LONGEST_LINE // 2]} ... {shown[-LONGEST_LINE // 2 :]}"


def tell_past_all(line: str) -> None:
    """Write a line to standard error without its lock, which the main thread may have."""
    with suppress(OSError):
        os.write(_standard_error, f"s2s: {line}\n".encode())


def flush() -> None:
    """Flush both streams; what cannot be written is dropped, or Python would end with code 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
