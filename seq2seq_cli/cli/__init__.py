"""The command line: the entry point, and the translation of errors into exit codes."""

import signal
import sys
from types import FrameType
from typing import NoReturn


def main() -> NoReturn:
    """Run `s2s` with the process's arguments and exit with the documented code."""
    # Installed before anything else is imported, so that Ctrl-C never shows a traceback.
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    from seq2seq_cli.errors import S2sError, Stopped

    try:
        from seq2seq_cli.cli.app import app

        app(prog_name="s2s")
    except (S2sError, Stopped) as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}", 6)
    except MemoryError:
        _fail("the memory is full: make the sizes smaller", 6)
    sys.exit(0)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    from seq2seq_cli.errors import Interrupted, Terminated

    raise Interrupted("interrupted") if number == signal.SIGINT else Terminated("terminated")


def _fail(message: str, code: int) -> NoReturn:
    for line in message.splitlines():
        print(f"s2s: {line}", file=sys.stderr)  # noqa: T201
    sys.exit(code)
