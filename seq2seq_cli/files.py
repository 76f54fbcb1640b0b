"""Files of pairs, read line by line and checked; see `datasets` for their formats."""

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path

import numpy as np

from seq2seq_cli.datasets import (
    DELIMITERS,
    HEADER,
    LARGEST,
    Pair,
    check_suffix,
    parse_sequence,
    unpad,
)
from seq2seq_cli.errors import DataError, StorageError
from seq2seq_cli.pairs import Pairs, RaggedBuilder, ragged
from seq2seq_cli.storage import sha256, unreadable
from seq2seq_cli.vocabulary import PADDING, Ids, check_ids

MOST_PROBLEMS = 10
"""Bad lines of a file that are named before the rest are only counted."""


def data_files(data: str) -> list[Path]:
    """Return the file that `data` names, or the two of sources and targets."""
    if Path(data).exists() or "," not in data:
        return [Path(data)]
    names = data.split(",")
    if len(names) != len(HEADER):
        raise DataError(f"{data}: should be a file, or two text files, source,target")
    return [Path(name) for name in names]


def hash_data(data: str) -> str:
    """Return the SHA-256 of the files' contents; raises StorageError where one cannot be read."""
    digest = hashlib.sha256()
    for path in data_files(data):
        try:
            digest.update(bytes.fromhex(sha256(path)))
        except OSError as error:
            raise unreadable(path, error) from error
    return digest.hexdigest()


def read_pairs(data: str | Path, cardinality: int | None = None) -> Pairs:
    """Read the pairs of a file, or of two.

    Every value has to be in 1 .. cardinality-1. Raises DataError with a line for each bad line of
    the file, ten at most, and StorageError where it cannot be read.
    """
    paths = data_files(str(data))
    limit = cardinality or LARGEST
    path = paths[0]
    try:
        if len(paths) > 1:
            return _read_parallel(paths[0], paths[1], limit)
        check_suffix(path)
        if path.suffix == ".npz":
            sources, targets = _read_arrays(path, limit)
            return Pairs(
                ragged([unpad(row) for row in sources]), ragged([unpad(r) for r in targets])
            )
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _collect(path, _iterate_pairs(file, path.suffix, limit))
    except OSError as error:
        raise unreadable(Path(error.filename or path), error) from error
    except UnicodeDecodeError as error:
        raise StorageError(f"cannot read {path}: it is not UTF-8 text") from error


Parsed = tuple[int, Pair | DataError]
"""A line's number, and its pair or what is wrong with it."""


def _collect(path: Path, lines: Iterable[Parsed]) -> Pairs:
    sources, targets = RaggedBuilder(), RaggedBuilder()
    problems: list[str] = []
    n_problems = n_pairs = 0
    for number, parsed in lines:
        if isinstance(parsed, DataError):
            n_problems += 1
            if n_problems <= MOST_PROBLEMS:
                problems.append(f"{path}, line {number}: {parsed}")
        else:
            n_pairs += 1
            sources.append(parsed[0])
            targets.append(parsed[1])
    if n_problems > MOST_PROBLEMS:
        problems.append(f"{path}: and {n_problems - MOST_PROBLEMS} more bad lines")
    if problems:
        raise DataError("\n".join(problems))
    if not n_pairs:
        raise DataError(f"{path} holds no pairs")
    return Pairs(sources.build(), targets.build())


def _iterate_pairs(file: Iterable[str], suffix: str, cardinality: int) -> Iterator[Parsed]:
    header = DELIMITERS.get(suffix, ",").join(HEADER)
    for number, line in enumerate(file, 1):
        if not line.strip() or (number == 1 and line.strip() == header):
            continue
        try:
            yield number, _parse_pair(line, suffix, cardinality)
        except DataError as error:
            yield number, error


def _read_parallel(source: Path, target: Path, cardinality: int) -> Pairs:
    def parse(lines: tuple[str | None, str | None]) -> Pair:
        if lines[0] is None or lines[1] is None:
            longer, shorter = (target, source) if lines[0] is None else (source, target)
            raise DataError(f"{longer} has this line and {shorter} does not")
        return parse_sequence(lines[0], cardinality), parse_sequence(lines[1], cardinality)

    def pairs(both: Iterable[tuple[str | None, str | None]]) -> Iterator[Parsed]:
        for number, lines in enumerate(both, 1):
            try:
                yield number, parse(lines)
            except DataError as error:
                yield number, error

    with source.open(encoding="utf-8-sig") as first, target.open(encoding="utf-8-sig") as second:
        return _collect(Path(f"{source},{target}"), pairs(zip_longest(first, second)))


def _parse_pair(line: str, suffix: str, cardinality: int) -> Pair:
    if suffix in DELIMITERS:
        try:
            cells = next(csv.reader([line], strict=True, delimiter=DELIMITERS[suffix]))
        except csv.Error as error:
            raise DataError(f"not valid {suffix[1:].upper()} ({error})") from error
        if len(cells) != len(HEADER):
            raise DataError(f"{len(cells)} columns: should be two, the source and the target")
        return parse_sequence(cells[0], cardinality), parse_sequence(cells[1], cardinality)
    try:
        pair = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"not valid JSON ({error})") from error
    if not isinstance(pair, dict) or not set(HEADER) <= set(pair):
        raise DataError('should be {"source": [...], "target": [...]}')
    return _check_list(pair, "source", cardinality), _check_list(pair, "target", cardinality)


def _check_list(pair: dict[str, object], key: str, cardinality: int) -> list[int]:
    ids = pair[key]
    if not isinstance(ids, list) or not ids:
        raise DataError(f"{key} = {ids!r}: should be a list of at least one integer")
    for value in ids:
        if type(value) is not int:
            raise DataError(f"{key} holds {value!r}, which is not an integer")
        if not 1 <= value < cardinality:
            raise DataError(f"{key} holds {value}: values go from 1 to {cardinality - 1}")
    return ids


def _read_arrays(path: Path, cardinality: int) -> tuple[Ids, Ids]:
    try:
        with path.open("rb") as binary, np.load(binary, allow_pickle=False) as file:
            arrays = [np.asarray(file["sources"]), np.asarray(file["targets"])]
    except OSError:
        raise
    except Exception as error:  # a damaged archive fails in many ways, all of them the file's fault
        raise DataError(f"{path}: should hold the arrays sources and targets ({error})") from error
    for array, name in zip(arrays, ("sources", "targets"), strict=True):
        if array.ndim != 2 or array.dtype.kind not in "iu" or not array.size:
            raise DataError(f"{path}: {name} should be integers of shape (n, steps)")
        real = array != PADDING
        if not real[:, 0].all() or (real[:, 1:] > real[:, :-1]).any():
            raise DataError(f"{path}: {name} has {PADDING} elsewhere than at the end of a row")
    if len(arrays[0]) != len(arrays[1]):
        raise DataError(f"{path}: {len(arrays[0])} sources but {len(arrays[1])} targets")
    try:
        return check_ids(arrays[0], cardinality, 0), check_ids(arrays[1], cardinality, 0)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
