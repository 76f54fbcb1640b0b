"""The formats of files of pairs, by suffix: parsing a line of text, or the arrays of an archive.

`.jsonl` holds one object with both lists per line; `.csv` and `.tsv` hold two columns of integers
separated by spaces, with or without the header `source,target`; `.npz` holds the integer arrays
`sources` and `targets`, padded with 0.
"""

import csv
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, StrictInt, ValidationError

from seq2seq_cli.archive import reason
from seq2seq_cli.data.pairs import Pairs, Ragged, from_padded
from seq2seq_cli.data.text import parse_sequence, parse_target
from seq2seq_cli.data.vocabulary import PADDING, advice_on, check_ids
from seq2seq_cli.errors import DataError
from seq2seq_cli.machine import available_memory
from seq2seq_cli.resources import format_bytes

SUFFIXES = (".jsonl", ".csv", ".tsv", ".npz")
HEADER = ["source", "target"]
DELIMITERS = {".csv": ",", ".tsv": "\t"}

MEMORY_SHARE = 8
"""A file may take at most the memory divided by this, since the checks copy its content."""

Pair = tuple[list[int], list[int]]
Parser = Callable[[str, int], Pair]
"""Parses the pair in a line, with values below a cardinality; DataError says what is wrong."""


class PairLine(BaseModel):
    """A line of a `.jsonl` file."""

    source: Annotated[list[StrictInt], Field(min_length=1)]
    target: list[StrictInt]


def check_suffix(path: Path) -> str:
    """Return the path's suffix in lower case; DataError unless it names a format."""
    suffix = path.suffix.lower()
    if suffix == ".gz":
        raise DataError(
            f"{path}: compressed: give the output of zcat, as a file or by a pipe, that ends in "
            f"{', '.join(SUFFIXES)}"
        )
    if suffix not in SUFFIXES:
        raise DataError(f"{path}: the name should end in {', '.join(SUFFIXES)}")
    return suffix


def sniff_suffix(content: bytes) -> str:
    """Return the suffix of the format that the content looks like."""
    if content.startswith(b"PK"):
        return ".npz"
    if content.lstrip().startswith(b"{"):
        return ".jsonl"
    return ".tsv" if b"\t" in content.split(b"\n", 1)[0] else ".csv"


def is_header(line: str, suffix: str) -> bool:
    """Return whether a first line names the columns, ignoring case and quotes."""
    cells = line.strip().lower().split(DELIMITERS.get(suffix, ","))
    return [cell.strip().strip('"') for cell in cells] == HEADER


def parse_pair(source: str, target: str, cardinality: int) -> Pair:
    """Return the integers of two texts; the target may be empty."""
    return parse_sequence(source, cardinality), parse_target(target, cardinality)


def _parse_row(line: str, suffix: str, cardinality: int) -> Pair:
    try:
        cells = next(csv.reader([line], strict=True, delimiter=DELIMITERS[suffix]))
    except csv.Error as error:
        raise DataError(f"not valid {suffix[1:].upper()} ({error})") from error
    if len(cells) != len(HEADER):
        raise DataError(f"{len(cells)} columns: should be two, the source and the target")
    return parse_pair(cells[0], cells[1], cardinality)


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


PARSERS: dict[str, Parser] = {
    ".jsonl": _parse_object,
    ".csv": lambda line, cardinality: _parse_row(line, ".csv", cardinality),
    ".tsv": lambda line, cardinality: _parse_row(line, ".tsv", cardinality),
}


def size_limit() -> int:
    """Return the maximum number of bytes of a file, or of an archive's unpacked content."""
    return (available_memory() or sys.maxsize) // MEMORY_SHARE


def parse_arrays(path: Path, content: bytes, cardinality: int) -> Pairs:
    """Return the pairs in the content of an `.npz` file; DataError if they are not as above."""
    try:
        with ZipFile(BytesIO(content)) as archive:
            size, limit = sum(member.file_size for member in archive.infolist()), size_limit()
            if size > limit:
                raise ValueError(
                    f"unpacked they have {format_bytes(size)}, more than {format_bytes(limit)}"
                )
            arrays = {name: _load_array(archive, name) for name in ("sources", "targets")}
    except Exception as error:  # a damaged archive fails in many ways
        raise DataError(
            f"{path}: should hold the arrays sources and targets ({reason(error)})"
        ) from error
    sources, targets = (
        _from_array(path, name, array, cardinality) for name, array in arrays.items()
    )
    if len(sources) != len(targets):
        raise DataError(f"{path}: {len(sources)} sources but {len(targets)} targets")
    return Pairs(sources, targets)


def _load_array(archive: ZipFile, name: str) -> NDArray[Any]:
    with archive.open(f"{name}.npy") as member:
        array: NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
    return array


def _from_array(path: Path, name: str, array: NDArray[Any], cardinality: int) -> Ragged:
    may_be_empty = name == "targets"
    if array.ndim != 2 or array.dtype.kind not in "iu" or not (array.size or may_be_empty):
        raise DataError(f"{path}: {name} should be integers of shape (n, steps)")
    is_value = array != PADDING
    begins = may_be_empty or is_value[:, 0].all()
    if not begins or (is_value[:, 1:] > is_value[:, :-1]).any():
        raise DataError(
            f"{path}: {name} has {PADDING} before the end of a row: it is reserved; add 1 to every "
            "value"
        )
    try:
        return from_padded(check_ids(array, cardinality, lowest=0))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
