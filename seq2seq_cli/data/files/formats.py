"""The formats of files of pairs: what a line or an array of each holds, and how it is checked.

By suffix: `.jsonl` holds an object with both lists a line; `.csv` and `.tsv` two columns of
integers separated by spaces, with or without the header `source,target`; `.npz` the int32 arrays
`sources` and `targets`, padded with 0. Nothing read here can run code.
"""

import csv
from collections.abc import Callable
from functools import partial
from math import prod
from pathlib import Path
from typing import Annotated, BinaryIO
from zipfile import ZipFile

from pydantic import BaseModel, Field, StrictInt, ValidationError

from seq2seq_cli.archive import reason
from seq2seq_cli.data.files.arrays import Header, read_member_array
from seq2seq_cli.data.files.text import parse_sequence, parse_target
from seq2seq_cli.data.vocabulary import PADDING, Ids, advice_on, check_ids
from seq2seq_cli.errors import DataError
from seq2seq_cli.resources import Need, check

SUFFIXES = (".jsonl", ".csv", ".tsv", ".npz")
HEADER = ["source", "target"]
ARCHIVE_MARK = b"PK"
DELIMITERS = {".csv": ",", ".tsv": "\t"}

CHECKED_BYTES = 9
"""That an integer of an array takes while it is checked: two marks, and itself as an id."""

Pair = tuple[list[int], list[int]]
Parser = Callable[[str, int], Pair]
"""Makes a pair of a line, with values below a cardinality; DataError says what is wrong."""


class PairLine(BaseModel):
    """A line of a `.jsonl` file."""

    source: Annotated[list[StrictInt], Field(min_length=1)]
    target: list[StrictInt]


def check_suffix(path: Path) -> str:
    """Return the path's suffix in small letters; DataError unless it names a format."""
    suffix = path.suffix.lower()
    if suffix == ".gz":
        raise DataError(
            f"{path}: compressed: give what zcat makes of it, as a file or by a pipe, that ends in "
            f"{', '.join(SUFFIXES)}"
        )
    if suffix not in SUFFIXES:
        raise DataError(f"{path}: the name should end in {', '.join(SUFFIXES)}")
    return suffix


def sniff_suffix(start: bytes) -> str:
    """Return the suffix of the format that a file's first bytes look like."""
    if start.startswith(ARCHIVE_MARK):
        return ".npz"
    if start.lstrip().startswith(b"{"):
        return ".jsonl"
    return ".tsv" if b"\t" in start.split(b"\n")[0] else ".csv"


def is_header(line: str, suffix: str) -> bool:
    """Tell whether a first line names the columns, in whatever case and quotes."""
    cells = line.strip().lower().split(DELIMITERS.get(suffix, ","))
    return [cell.strip().strip('"') for cell in cells] == HEADER


def _parse_row(line: str, suffix: str, cardinality: int) -> Pair:
    try:
        cells = next(csv.reader([line], strict=True, delimiter=DELIMITERS[suffix]))
    except csv.Error as error:
        raise DataError(f"not valid {suffix[1:].upper()} ({error})") from error
    if len(cells) != len(HEADER):
        raise DataError(f"{len(cells)} columns: should be two, the source and the target")
    return parse_pair(cells[0], cells[1], cardinality)


def parse_pair(source: str, target: str, cardinality: int) -> Pair:
    """Return the integers of two texts; those of a target may be none."""
    return parse_sequence(source, cardinality), parse_target(target, cardinality)


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
    """Say in this project's words what is wrong with a line of a `.jsonl` file."""
    first = error.errors(include_url=False)[0]
    place, given = first["loc"], first["input"]
    shown = repr(given)
    shown = shown if len(shown) <= 60 else f"{shown[:60]}..."
    if first["type"] == "json_invalid":
        return f"not valid JSON ({first['msg'].removeprefix('Invalid JSON: ')})"
    if len(place) > 1:
        return f"{place[0]} holds {shown}, which is not an integer"
    if place and first["type"] != "missing":
        wanted = "a list of at least one integer" if place[0] == "source" else "a list of integers"
        return f"{place[0]} = {shown}: should be {wanted}"
    return 'should be {"source": [...], "target": [...]}'


PARSERS: dict[str, Parser] = {
    ".jsonl": _parse_object,
    ".csv": lambda line, cardinality: _parse_row(line, ".csv", cardinality),
    ".tsv": lambda line, cardinality: _parse_row(line, ".tsv", cardinality),
}


def read_arrays(path: Path, content: BinaryIO, cardinality: int) -> tuple[Ids, Ids]:
    """Return padded sources (n, n_in) and targets (n, n_out) of an `.npz` file's content.

    Raises DataError, naming `path`, for what is not as documented, and for more than the memory has
    room for.
    """
    names = ("sources", "targets")
    try:
        with ZipFile(content) as archive:
            arrays = [
                read_member_array(archive, name, partial(_judge_ids, path, name)) for name in names
            ]
    except (DataError, MemoryError):
        raise
    except Exception as error:  # a damaged archive fails in many ways, all of them the file's fault
        why = reason(error)
        raise DataError(f"{path}: should hold the arrays sources and targets ({why})") from error
    for array, name in zip(arrays, names, strict=True):
        real = array != PADDING
        is_whole = name == "targets" or real[:, 0].all()
        if not is_whole or (real[:, 1:] > real[:, :-1]).any():
            raise DataError(
                f"{path}: {name} has {PADDING} elsewhere than at the end of a row: it is reserved; "
                "add 1 to every value"
            )
    if len(arrays[0]) != len(arrays[1]):
        raise DataError(f"{path}: {len(arrays[0])} sources but {len(arrays[1])} targets")
    try:
        return check_ids(arrays[0], cardinality, 0), check_ids(arrays[1], cardinality, 0)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _judge_ids(path: Path, name: str, header: Header) -> None:
    """Raise DataError for an array that holds no padded sequences, or too many of them."""
    shape = header.shape
    may_be_empty = name == "targets"
    if len(shape) != 2 or header.dtype.kind not in "iu" or not (prod(shape) or may_be_empty):
        raise DataError(f"{path}: {name} should be integers of shape (n, steps)")
    taken = (header.dtype.itemsize + CHECKED_BYTES) * prod(shape)
    sizes = {f"{path}: rows of {name}": shape[0], f"{path}: columns of {name}": shape[1]}
    check([Need("all of them", taken, sizes)], error=DataError)
