"""The sequences that a command is given: as arguments, on standard input or in a file."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seq2seq_cli.cli import output
from seq2seq_cli.data.text import iterate_lines, iterate_sequences, parse_sequence
from seq2seq_cli.errors import ConfigurationError


def check_given(sequences: list[str] | None, file: Path | None) -> None:
    """Raise ConfigurationError where there are no sequences, or two kinds of them."""
    if bool(sequences) == bool(file):
        raise ConfigurationError('give sequences, such as "22 17 23 5 29 11", or --input FILE')


@contextmanager
def read_sequences(
    sequences: list[str] | None, file: Path | None, cardinality: int
) -> Iterator[Iterator[list[int] | None]]:
    """Give the sequences one by one, each read and checked when it is asked for.

    For a blank line it is None. Raises DataError for a bad one.
    """
    if is_stream(sequences, file):
        name = str(file or "-")
        with output.open_input(file) as opened:
            yield iterate_sequences(iterate_lines(opened, name), name, cardinality)
    else:
        yield iter([parse_sequence(text, cardinality) for text in sequences or []])


def is_stream(sequences: list[str] | None, file: Path | None) -> bool:
    """Tell whether there may be any number of them."""
    return bool(file) or sequences == ["-"]


def wait_for_more(sequences: list[str] | None, file: Path | None) -> bool:
    """Tell whether a user types them, and is to be answered line by line."""
    return not file and sequences == ["-"] and sys.stdin.isatty()
