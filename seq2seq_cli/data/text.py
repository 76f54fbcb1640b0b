"""Sequences and pairs as text: the lines of a file or of standard input, and the integers in them.

A pair's line is a JSON object with both lists, or two columns of integers separated by spaces.
"""

import csv
import os
import re
import select
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from seq2seq_cli.data.vocabulary import advice_on, check_ids
from seq2seq_cli.errors import DataError

MAX_CARDINALITY = 1_000_000
"""The largest possible cardinality."""

MAX_LINE = 2**24
"""The maximum number of bytes of a line."""

HEADER = ["source", "target"]
DELIMITERS = {".csv": ",", ".tsv": "\t"}

Pair = tuple[list[int], list[int]]

_SEPARATOR = re.compile(r"[\s,]+", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_INTEGERS = re.compile(
    rf"[\s,]*{_INTEGER.pattern}(?:{_SEPARATOR.pattern}{_INTEGER.pattern})*+[\s,]*", re.ASCII
)  # possessive, since a long line would fill the memory with backtracking states
_BYTE_ORDER_MARK = "\ufeff"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_GZIP_MARK = b"\x1f\x8b"
_PART = 2**16


def parse_sequence(text: str, cardinality: int = MAX_CARDINALITY) -> list[int]:
    """Return the integers of a text, separated by spaces or commas.

    Raises DataError for an empty text, for a word that is not an integer, and for an integer
    outside 1 .. cardinality-1.
    """
    text = text.strip(" \t\r\n[]()")
    if not _INTEGERS.fullmatch(text):
        words = [word for word in _SEPARATOR.split(text) if word]
        if not words:
            raise DataError("the sequence is empty: give at least one integer")
        word = next(word for word in words if not _INTEGER.fullmatch(word))
        shown = word if len(word) <= 40 else f"{word[:40]}... ({len(word)} characters)"
        raise DataError(f"{shown!r} is not an integer: separate integers by spaces or commas")
    ids = [int(word) for word in text.replace(",", " ").split()]
    if min(ids) < 1 or max(ids) >= cardinality:
        check_ids(ids, cardinality)
    return ids


def parse_pair(source: str, target: str, cardinality: int) -> Pair:
    """Return the integers of two texts; the target may be blank."""
    ids = parse_sequence(source, cardinality)
    return ids, parse_sequence(target, cardinality) if target.strip() else []


def parse_line(line: str, suffix: str, cardinality: int) -> Pair:
    """Return the pair in a line of a file with this suffix, with values below the cardinality."""
    if suffix == ".jsonl":
        return _parse_object(line, cardinality)
    try:
        cells = next(csv.reader([line], strict=True, delimiter=DELIMITERS[suffix]))
    except csv.Error as error:
        raise DataError(f"not valid {suffix[1:].upper()} ({error})") from error
    if len(cells) != len(HEADER):
        raise DataError(f"{len(cells)} columns: should be two, the source and the target")
    return parse_pair(cells[0], cells[1], cardinality)


def _is_pair(line: str, suffix: str) -> bool:
    """Return whether a line has columns of several integers, or is the header of pairs."""
    cells = [cell.strip() for cell in line.split(DELIMITERS[suffix])]
    return is_header(line, suffix) or (len(cells) > 1 and any(" " in cell for cell in cells))


def is_header(line: str, suffix: str) -> bool:
    """Return whether a first line names the columns, ignoring case and quotes."""
    cells = line.strip().lower().split(DELIMITERS.get(suffix, ","))
    return [cell.strip().strip('"') for cell in cells] == HEADER


class PairLine(BaseModel):
    """A line of a `.jsonl` file."""

    model_config = ConfigDict(defer_build=True)  # predictions do not need it

    source: Annotated[list[StrictInt], Field(min_length=1)]
    target: list[StrictInt]


def _parse_object(line: str, cardinality: int) -> Pair:
    try:
        pair = PairLine.model_validate_json(line)
    except ValidationError as error:
        raise DataError(_json_problem(error)) from error
    for key, ids in (("source", pair.source), ("target", pair.target)):
        value = next((value for value in ids if not 1 <= value < cardinality), None)
        if value is not None:
            advice = advice_on(value, 1)
            raise DataError(f"{key} holds {value}: values go from 1 to {cardinality - 1}{advice}")
    return pair.source, pair.target


def _json_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    location, value = first["loc"], repr(first["input"])
    shown = value if len(value) <= 60 else f"{value[:60]}..."
    if first["type"] == "json_invalid":
        return f"not valid JSON ({first['msg'].removeprefix('Invalid JSON: ')})"
    if len(location) > 1:
        return f"{location[0]} holds {shown}, which is not an integer"
    if location and first["type"] != "missing":
        kind = "a list of at least one integer" if location[0] == "source" else "a list of integers"
        return f"{location[0]} = {shown}: should be {kind}"
    return 'should be {"source": [...], "target": [...]}'


class Lines(Iterator[tuple[int, str]]):
    """The number and the text, without its end, of each line of a binary file with `read1`.

    A byte-order mark is skipped. Raises DataError, with name and line, if the text is not UTF-8 or
    a line is longer than MAX_LINE bytes.
    """

    def __init__(self, file: Any, name: str) -> None:
        self._file, self._name = file, name
        self._number = 0
        self._whole: deque[bytes] = deque()  # lines that have been read
        self._begun = bytearray()  # the line after them, as far as it has been read
        self._has_ended = False

    def __next__(self) -> tuple[int, str]:
        """Return the next line, waiting for it if necessary."""
        while not self._whole:
            if self._has_ended:
                raise StopIteration
            self._read()
        self._number += 1
        return self._number, self._decode(self._whole.popleft())

    def is_ready(self) -> bool:
        """Return whether the next line, or the end, can be read without waiting.

        For a regular file this is always true.
        """
        while not self._whole and not self._has_ended:
            if not _is_readable(self._file):
                return False
            self._read()
        return True

    def _read(self) -> None:
        """Read what is available, at most one part; wait if nothing is."""
        part = self._file.read1(_PART)
        if not part:
            self._has_ended = True
            if self._begun:
                self._whole.append(bytes(self._begun))
            return
        first, *others = part.split(b"\n")
        self._begun += first
        if others:
            self._whole.append(bytes(self._begun))
            self._whole.extend(others[:-1])
            self._begun = bytearray(others[-1])
        if len(self._begun) > MAX_LINE:  # the others are shorter than a part
            self._whole.append(bytes(self._begun))

    def _decode(self, content: bytes) -> str:
        where, first = f"{self._name}, line {self._number}", self._number == 1
        if len(content) > MAX_LINE:
            raise DataError(f"{where}: longer than {MAX_LINE:,} bytes")
        if first and content.startswith(_GZIP_MARK):
            raise DataError(f"{where}: compressed with gzip: give the output of zcat")
        if (first and content.startswith(_UTF_16_MARKS)) or b"\0" in content:
            what = (
                "UTF-16 text" if content.startswith(_UTF_16_MARKS) else "a NUL byte, as in UTF-16"
            )
            raise DataError(f"{where}: {what}: save it as UTF-8")
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            wrong = content[error.start]
            raise DataError(
                f"{where}: not UTF-8 text (byte 0x{wrong:02x}): save it as UTF-8"
            ) from None
        text = text.rstrip("\r")
        if "\r" in text:
            raise DataError(f"{where}: a carriage return within it: end lines with a line feed")
        return text.removeprefix(_BYTE_ORDER_MARK) if first else text


def _is_readable(file: Any) -> bool:
    """Return whether a file can be read without waiting; False if the system does not say."""
    try:
        descriptor = file.fileno()
    except OSError:  # it is in memory
        return True
    try:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        return is_file or bool(select.select([descriptor], [], [], 0)[0])
    except (OSError, ValueError):  # a system that cannot poll pipes
        return False


def iterate_sequences(
    lines: Iterable[tuple[int, str]], name: str, cardinality: int
) -> Iterator[list[int] | None]:
    """Yield the sequence of each numbered line of `name` as it is read; None for a blank line.

    Raises DataError that names the line, also for a `.csv` or `.tsv` file of pairs.
    """
    suffix = Path(name).suffix.lower()
    for number, line in lines:
        if not line.strip():
            yield None
            continue
        try:
            if suffix in DELIMITERS and _is_pair(line, suffix):
                raise DataError("a pair: each line should have one sequence, without a target")
            yield parse_sequence(line, cardinality)
        except DataError as error:
            raise DataError(f"{name}, line {number}: {error}") from error
