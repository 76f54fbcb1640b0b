"""Ctrl-C and SIGTERM: an exception in the main thread, and an end within two seconds in any case.

The exception lets a training write its checkpoint. Where it is lost, as in an import of another
library that catches everything, or what it unwinds does not end, the process is left all the same;
only a file that is being written is finished first.
"""

import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

from seq2seq_cli.cli import streams

LIMIT_SECONDS = 1.8
"""From the first signal on."""

TOGETHER_SECONDS = 0.3
"""Signals that come together are one: a terminal's to all of its processes, passed on by one."""

_heard_at = -TOGETHER_SECONDS

REASONS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


def install() -> None:
    """Let Ctrl-C and SIGTERM raise Interrupted and Terminated; call it from the main thread."""
    for number in REASONS:
        signal.signal(number, _stop)


def leave_at_once() -> None:
    """Let both end the process without a word, since nothing is left to be undone."""
    for number in REASONS:
        signal.signal(number, lambda number, frame: os._exit(128 + number))


def leave(message: str, code: int) -> NoReturn:
    """End at once with a line on standard error, whatever is still computing on other threads."""
    for number in REASONS:
        signal.signal(number, signal.SIG_IGN)
    streams.tell(message)
    streams.flush()
    os._exit(code)


def _stop(number: int, frame: FrameType | None) -> None:
    global _heard_at
    now, before = time.monotonic(), _heard_at
    if now - before < TOGETHER_SECONDS:
        return
    _heard_at = now
    from seq2seq_cli.errors import Interrupted, Terminated

    threading.Thread(target=_limit, args=(number,), daemon=True).start()
    reason = REASONS[signal.Signals(number)]
    raise Interrupted(reason) if number == signal.SIGINT else Terminated(reason)


def _limit(number: int) -> None:
    """Leave when the time is over, and nothing is being written any more."""
    time.sleep(LIMIT_SECONDS)
    storage = sys.modules.get("seq2seq_cli.storage")
    while storage and storage.is_writing():
        time.sleep(0.05)
    streams.tell_past_all(REASONS[signal.Signals(number)])
    os._exit(128 + number)
