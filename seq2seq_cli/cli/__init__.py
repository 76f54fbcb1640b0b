"""The command line: the entry point, and the translation of errors into exit codes."""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import NoReturn


def main() -> NoReturn:
    """Run `s2s` with the process's arguments and exit with the documented code."""
    # Installed before anything else is imported, so that Ctrl-C never shows a traceback.
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    # Pydantic would look for plugins in the metadata of every package that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from typer import TyperException

    from seq2seq_cli.cli.output import fall_back_to_ascii
    from seq2seq_cli.errors import ConfigurationError, S2sError, Stopped, StorageError

    fall_back_to_ascii()
    try:
        from seq2seq_cli.cli.app import make_app

        # Not standalone: usage errors come here too, and are shown in one line as all others are.
        code = make_app(sys.argv[1:])(prog_name="s2s", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)
    except TyperException as error:
        _fail(str(error), ConfigurationError.exit_code)
    except S2sError as error:
        _fail(str(error), error.exit_code)
    except Stopped as error:
        _leave(str(error), error.exit_code)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}", StorageError.exit_code)
    except MemoryError:
        _fail("the memory is full: make the sizes smaller", StorageError.exit_code)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    from seq2seq_cli.errors import Interrupted, Terminated

    raise Interrupted("interrupted") if number == signal.SIGINT else Terminated("terminated")


def _leave(message: str, code: int) -> NoReturn:
    """End at once, whatever is still computing on other threads."""
    with suppress(OSError, ValueError):
        print(f"s2s: {message}", file=sys.stderr, flush=True)  # noqa: T201
        sys.stdout.flush()
    os._exit(code)


def _fail(message: str, code: int) -> NoReturn:
    for line in message.splitlines():
        print(f"s2s: {line}", file=sys.stderr)  # noqa: T201
    sys.exit(code)
