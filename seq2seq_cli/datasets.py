"""Integer sequences and pairs of them as text and files: read, write, check and pad.

A pair is a source and its target. Formats by suffix: `.jsonl` holds an object with both lists a
line; `.csv` two columns of space-separated integers under the header `source,target`; `.npz` the
int32 arrays `sources` and `targets`, padded with 0. Nothing read here can run code.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from seq2seq_cli.errors import DataError, ExistsError, StorageError
from seq2seq_cli.storage import atomic_path, unreadable
from seq2seq_cli.vocabulary import PADDING, Ids, check_ids

Pair = tuple[list[int], list[int]]

SUFFIXES = (".jsonl", ".csv", ".npz")
HEADER = ["source", "target"]
MOST_PROBLEMS = 10
"""Bad lines of a file that are named before the rest are only counted."""

_SEPARATOR = re.compile(r"[\s,]+")


def parse_sequence(text: str, cardinality: int) -> list[int]:
    """Return the integers of a text that separates them by spaces or commas.

    Raises DataError for an empty text, for what is no integer, and for one outside
    1 .. cardinality-1.
    """
    words = [word for word in _SEPARATOR.split(text.strip(" \t\r\n[]()")) if word]
    if not words:
        raise DataError("the sequence is empty: give at least one integer")
    for word in words:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", word):
            raise DataError(f"{word!r} is not an integer: separate integers by spaces or commas")
    ids = [int(word) for word in words]
    check_ids(ids, cardinality)
    return ids


def pad(sequences: Sequence[Sequence[int]]) -> Ids:
    """Return the sequences as int32 (n, longest), each filled up with PADDING at its end."""
    longest = max(len(sequence) for sequence in sequences)
    padded = np.full((len(sequences), longest), PADDING, np.int32)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
    return padded


def unpad(row: Ids) -> list[int]:
    """Return a padded row (steps,) as a list without its padding."""
    ids: list[int] = row[row != PADDING].tolist()
    return ids


def check_suffix(path: Path) -> None:
    """Raise DataError unless the path's suffix names a format."""
    if path.suffix not in SUFFIXES:
        raise DataError(f"{path}: the name should end in {', '.join(SUFFIXES)}")


def write_pairs(path: Path, batches: Iterable[tuple[Ids, Ids]], force: bool = False) -> int:
    """Write batches of sources (n, n_in) and targets (n, n_out) to `path`; return their number.

    The text formats are streamed; `.npz` is collected in memory. A file that exists is replaced
    only with `force`, and only when the new one is whole. Raises DataError for an unknown suffix,
    ExistsError, and OSError where writing fails.
    """
    check_suffix(path)
    if path.exists() and not force:
        raise ExistsError(f"{path} exists: give another name, or --force to replace it")
    with atomic_path(path) as temporary:
        if path.suffix == ".npz":
            sources, targets = zip(*batches, strict=True)
            rows = np.concatenate(sources)
            with temporary.open("wb") as binary:
                np.savez_compressed(binary, sources=rows, targets=np.concatenate(targets))
            return len(rows)
        with temporary.open("w", encoding="utf-8", newline="") as file:
            return _write_lines(file, path.suffix, batches)


def _write_lines(file: TextIO, suffix: str, batches: Iterable[tuple[Ids, Ids]]) -> int:
    n = 0
    table = csv.writer(file, lineterminator="\n")
    if suffix == ".csv":
        table.writerow(HEADER)
    for sources, targets in batches:
        for source, target in zip(sources.tolist(), targets.tolist(), strict=True):
            if suffix == ".csv":
                table.writerow([" ".join(map(str, source)), " ".join(map(str, target))])
            else:
                file.write(json.dumps({"source": source, "target": target}) + "\n")
            n += 1
    return n


def read_pairs(path: Path, cardinality: int) -> tuple[Ids, Ids]:
    """Read the file's pairs as padded sources (n, longest) and targets (n, longest), int32.

    Every value has to be in 1 .. cardinality-1. Raises DataError with a line for each bad line of
    the file, ten at most, and StorageError where it cannot be read.
    """
    check_suffix(path)
    try:
        if path.suffix == ".npz":
            return _read_arrays(path, cardinality)
        return _read_lines(path, cardinality)
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise StorageError(f"cannot read {path}: it is not UTF-8 text") from error


def _read_lines(path: Path, cardinality: int) -> tuple[Ids, Ids]:
    sources: list[list[int]] = []
    targets: list[list[int]] = []
    problems: list[str] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, line in enumerate(file, 1):
            if not line.strip() or (number == 1 and line.strip().split(",") == HEADER):
                continue
            try:
                source, target = _parse_pair(line, path.suffix, cardinality)
            except DataError as error:
                problems.append(f"{path}, line {number}: {error}")
            else:
                sources.append(source)
                targets.append(target)
    if problems:
        rest = len(problems) - MOST_PROBLEMS
        more = [f"{path}: and {rest} more bad lines"] if rest > 0 else []
        raise DataError("\n".join(problems[:MOST_PROBLEMS] + more))
    if not sources:
        raise DataError(f"{path} holds no pairs")
    return pad(sources), pad(targets)


def _parse_pair(line: str, suffix: str, cardinality: int) -> Pair:
    if suffix == ".csv":
        try:
            cells = next(csv.reader([line], strict=True))
        except csv.Error as error:
            raise DataError(f"not valid CSV ({error})") from error
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


def iterate_sequences(lines: Iterable[str], name: str, cardinality: int) -> Iterator[list[int]]:
    """Yield the sequence of each line of `name` as it is read; blank lines are skipped.

    Raises DataError that names the line.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield parse_sequence(line, cardinality)
            except DataError as error:
                raise DataError(f"{name}, line {number}: {error}") from error
