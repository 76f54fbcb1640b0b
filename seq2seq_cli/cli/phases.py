"""What `s2s --debug` shows: how long each phase of a command took, and where an error came from."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from seq2seq_cli.cli import output

_begun = time.perf_counter()
_ended: list[tuple[str, float]] = []
_is_asked = False


def ask() -> None:
    """Let tracebacks and times be shown, at the command's end."""
    global _is_asked
    _is_asked = True


def end(name: str) -> None:
    """Note that a phase has ended; it began when the one before had."""
    _ended.append((name, time.perf_counter()))


@contextmanager
def shown() -> Iterator[None]:
    """Show on standard error, if that is asked for, the block's traceback and the times."""
    try:
        yield
    except BaseException as error:
        if _is_asked and not isinstance(error, SystemExit):
            from traceback import format_exception

            output.message("".join(format_exception(error)).rstrip())
        raise
    finally:
        if _is_asked:
            end("the rest")
            _show()


def _show() -> None:
    before = _begun
    for name, ended in _ended:
        output.message(f"{ended - before:9.3f} s  {name}")
        before = ended
    output.message(f"{before - _begun:9.3f} s  in all, since Python had started")
