"""Integer sequences and pairs of them as text: parse, write, check and pad; `files` reads pairs.

A pair is a source and its target. Formats by suffix: `.jsonl` holds an object with both lists a
line; `.csv` and `.tsv` two columns of space-separated integers, with or without the header
`source,target`; `.npz` the int32 arrays `sources` and `targets`, padded with 0. Two text files,
named with a comma between them, hold sources and targets line by line. Nothing read here can run
code.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.errors import DataError, ExistsError
from seq2seq_cli.storage import atomic_path
from seq2seq_cli.vocabulary import PADDING, Ids, check_ids

Pair = tuple[list[int], list[int]]

SUFFIXES = (".jsonl", ".csv", ".tsv", ".npz")
HEADER = ["source", "target"]
DELIMITERS = {".csv": ",", ".tsv": "\t"}
LARGEST = 1_000_000
"""The largest cardinality there may be."""

_SEPARATOR = re.compile(r"[\s,]+")


def parse_sequence(text: str, cardinality: int = LARGEST) -> list[int]:
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


def without_end(batches: Iterable[tuple[Ids, Ids]], end: int | None) -> Iterator[tuple[Ids, Ids]]:
    """Yield sources and targets without the end of sequence, where there is such an id."""
    for sources, targets in batches:
        yield sources, targets if end is None else np.where(targets == end, PADDING, targets)


def visible(tokens: Ids, task: TaskConfig) -> list[int]:
    """Return a row of tokens without its padding and its end of sequence."""
    return [token for token in unpad(tokens) if not (task.varies and token == task.end)]


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
    table = csv.writer(file, lineterminator="\n", delimiter=DELIMITERS.get(suffix, ","))
    if suffix in DELIMITERS:
        table.writerow(HEADER)
    for sources, targets in batches:
        for source, target in zip(map(unpad, sources), map(unpad, targets), strict=True):
            if suffix in DELIMITERS:
                table.writerow([" ".join(map(str, source)), " ".join(map(str, target))])
            else:
                file.write(json.dumps({"source": source, "target": target}) + "\n")
            n += 1
    return n


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
