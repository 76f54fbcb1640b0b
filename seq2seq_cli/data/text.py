"""Sequences as text: lines of a file or of standard input, and the integers in them.

Every text that a user gives is read by `iterate_lines`, pairs and single sequences alike.
"""

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from seq2seq_cli.data.vocabulary import check_ids
from seq2seq_cli.errors import DataError

MAX_CARDINALITY = 1_000_000
"""The largest cardinality there may be."""

MAX_LINE = 2**24
"""Bytes that a line may have."""

_SEPARATOR = re.compile(r"[\s,]+", re.ASCII)
_BYTE_ORDER_MARK = "\ufeff"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def parse_sequence(text: str, cardinality: int = MAX_CARDINALITY) -> list[int]:
    """Return the integers of a text that separates them by spaces or commas.

    Raises DataError for an empty text, for what is no integer, and for one outside
    1 .. cardinality-1.
    """
    words = [word for word in _SEPARATOR.split(text.strip(" \t\r\n[]()")) if word]
    if not words:
        raise DataError("the sequence is empty: give at least one integer")
    for word in words:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", word):
            shown = word if len(word) <= 40 else f"{word[:40]}... ({len(word)} characters)"
            raise DataError(f"{shown!r} is not an integer: separate integers by spaces or commas")
    ids = [int(word) for word in words]
    check_ids(ids, cardinality)
    return ids


def iterate_lines(file: BinaryIO, name: str) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line of a file, without its end, as it is read.

    A byte-order mark is passed over. Raises DataError, with name and line, for what is not UTF-8
    text and for a line longer than MAX_LINE bytes.
    """
    number = 0
    while content := file.readline(MAX_LINE + 1):
        number += 1
        if len(content) > MAX_LINE:
            raise DataError(f"{name}, line {number}: longer than {MAX_LINE:,} bytes")
        if number == 1 and content.startswith(_UTF_16_MARKS):
            raise DataError(f"{name}, line 1: UTF-16 text: save it as UTF-8")
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            wrong = content[error.start]
            raise DataError(
                f"{name}, line {number}: not UTF-8 text (byte 0x{wrong:02x}): save it as UTF-8"
            ) from None
        if number == 1:
            text = text.removeprefix(_BYTE_ORDER_MARK)
        yield number, text.rstrip("\r\n")


def iterate_sequences(
    lines: Iterable[tuple[int, str]], name: str, cardinality: int
) -> Iterator[list[int] | None]:
    """Yield the sequence of each numbered line of `name` as it is read; None for a blank line.

    Raises DataError that names the line.
    """
    for number, line in lines:
        if not line.strip():
            yield None
            continue
        try:
            yield parse_sequence(line, cardinality)
        except DataError as error:
            raise DataError(f"{name}, line {number}: {error}") from error
