"""The command line: the entry point, and the translation of errors into exit codes."""

import gc
import os
import sys
from typing import NoReturn

from seq2seq_cli.cli import phases, signals, streams


def main() -> NoReturn:
    """Run `s2s` with the process's arguments and exit with the documented code."""
    # Most of what is made in a start is there to stay: a tenth of it went into looking for garbage.
    gc.set_threshold(100_000, 50, 100)
    # Pydantic would look for plugins in the metadata of every package that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from seq2seq_cli.errors import Stopped

    try:
        streams.open_closed()
        streams.write_whole_lines()
        signals.install()
        message, code = _run()
        signals.leave_at_once()
        streams.tell(message)
        streams.flush()
        sys.exit(code)
    except Stopped as error:
        signals.leave(str(error), error.exit_code)


def _run() -> tuple[str, int]:
    """Run the command; return what there is to say of its end, and the exit code."""
    from typer import TyperException

    from seq2seq_cli.cli.output import fall_back_to_ascii
    from seq2seq_cli.errors import ConfigurationError, S2sError, StorageError

    fall_back_to_ascii()
    try:
        with phases.shown():
            from seq2seq_cli.cli.app import make_app

            app = make_app(sys.argv[1:])
            phases.end("the command line imported")
            # Not standalone: usage errors come here too, and are shown in one line as others are.
            code = app(prog_name="s2s", standalone_mode=False)
            sys.stdout.flush()
    except TyperException as error:
        return _corrected(error), ConfigurationError.exit_code
    except S2sError as error:
        return str(error), error.exit_code
    except SystemExit as error:
        if isinstance(error.__context__, OSError):  # Typer ends with code 1 where a pipe is broken
            return _described(error.__context__), StorageError.exit_code
        raise
    except OSError as error:
        return _described(error), StorageError.exit_code
    except MemoryError:
        return "the memory is full: make the sizes smaller", StorageError.exit_code
    return "", code if isinstance(code, int) else 0


def _corrected(error: Exception) -> str:
    """Return a usage error's message: of which option, and what a mistyped one may stand for."""
    message = str(error).removeprefix("Value error, ")
    meant = getattr(error, "possibilities", None)
    if meant:
        return f"{message}. Did you mean {' or '.join(map(repr, meant))}?"
    names = [name for name in getattr(getattr(error, "param", None), "opts", ()) if name[0] == "-"]
    return f"{names[0]}: {message}" if names and names[0] not in message else message


def _described(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"
