"""What `s2s --debug` shows: how long each phase of a command took, and an error's traceback."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from seq2seq_cli.cli.rendering.output import message

_started = time.perf_counter()
_ended: list[tuple[str, float]] = []
_is_debugging = False


def ask() -> None:
    """Enable times, and an error's traceback, at the end of the command."""
    global _is_debugging
    _is_debugging = True


def end(name: str) -> None:
    """Record the end of a phase, which began when the previous one ended."""
    _ended.append((name, time.perf_counter()))


@contextmanager
def shown() -> Iterator[None]:
    """Write the block's traceback and times to standard error, when debugging."""
    try:
        yield
    except BaseException as error:
        if _is_debugging and not isinstance(error, SystemExit):
            from traceback import format_exception

            message("".join(format_exception(error)).rstrip())
        raise
    finally:
        if _is_debugging:
            end("the rest")
            before = _started
            for name, ended in _ended:
                message(f"{ended - before:9.3f} s  {name}")
                before = ended
            message(f"{before - _started:9.3f} s  in all, since Python had started")
