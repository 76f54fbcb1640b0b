"""`s2s`, and `python -m seq2seq_cli`.

It imports nothing but what Python itself has imported when it starts, so that Ctrl-C shows no
traceback before the command line is there to hear it.
"""

import _signal  # type: ignore[import-not-found]  # what Python itself has of `signal`
import os


def main() -> None:
    """Run the command line; until it is imported, Ctrl-C and SIGTERM end the process at once."""
    for number in (_signal.SIGINT, _signal.SIGTERM):
        _signal.signal(number, _leave)
    from seq2seq_cli.cli import main

    main()


def _leave(number: int, frame: object) -> None:
    try:
        os.write(2, b"s2s: interrupted\n" if number == _signal.SIGINT else b"s2s: terminated\n")
    finally:
        os._exit(128 + number)


if __name__ == "__main__":
    main()
