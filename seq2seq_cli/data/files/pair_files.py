"""Files of pairs, read once and checked, and written.

Their formats are those of `formats`; two text files, named with a comma between them, hold sources
and targets line by line. What is read from a pipe, which has no suffix, tells its format by its
first bytes.
"""

import csv
import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np

from seq2seq_cli.data.files.formats import (
    DELIMITERS,
    HEADER,
    PARSERS,
    Pair,
    Parser,
    check_suffix,
    is_header,
    parse_pair,
    read_arrays,
    sniff_suffix,
)
from seq2seq_cli.data.files.hashing import HashingFile, combined, read_archive
from seq2seq_cli.data.files.text import MAX_CARDINALITY, Lines
from seq2seq_cli.data.pairs import Pairs, RaggedBuilder, from_padded
from seq2seq_cli.data.vocabulary import Ids, unpad, widen
from seq2seq_cli.errors import DataError
from seq2seq_cli.resources import Need, check
from seq2seq_cli.storage import atomic_path, check_replaceable, unreadable

MOST_PROBLEMS = 10
"""Bad lines of a file that are named before the rest are only counted."""

PART = 2**16
"""Pairs of a text that are read before it is asked again whether the memory has room."""

Parsed = tuple[int, Pair | DataError]
"""A line's number, and its pair or what is wrong with it."""


@dataclass(frozen=True)
class PairsFile:
    """The pairs of a file, or of two, and the SHA-256 of what they were read from."""

    name: str
    pairs: Pairs
    sha256: str
    lines: Sequence[int] | None  # the line that each pair stands in; None: its row, from 1

    def place(self, row: int) -> str:
        """Return where a pair stands, for an error message."""
        if self.lines is None:
            return f"{self.name}, row {row + 1}"
        return f"{self.name}, line {self.lines[row]}"


def data_files(data: str) -> list[Path]:
    """Return the file that `data` names, or the two of sources and targets."""
    if Path(data).exists() or "," not in data:
        return [Path(data)]
    names = data.split(",")
    if len(names) != len(HEADER):
        raise DataError(f"{data}: should be a file, or two text files, source,target")
    return [Path(name) for name in names]


def read_pairs(data: str | Path, cardinality: int = MAX_CARDINALITY) -> PairsFile:
    """Read the pairs of a file, or of two, once.

    Every value has to be in 1 .. cardinality-1. Raises DataError with a line for each bad line of
    the file, ten at most, and StorageError where it cannot be read.
    """
    paths = data_files(str(data))
    name = ",".join(map(str, paths))
    if len(paths) == 1 and not paths[0].is_fifo():
        check_suffix(paths[0])
    try:
        with ExitStack() as stack:
            files = [stack.enter_context(HashingFile(path)) for path in paths]
            pairs, lines = _read(paths, files, name, cardinality)
            return PairsFile(name, pairs, combined([file.hexdigest() for file in files]), lines)
    except OSError as error:
        raise unreadable(Path(error.filename or paths[0]), error) from error


def _read(
    paths: list[Path], files: list[HashingFile], name: str, cardinality: int
) -> tuple[Pairs, Sequence[int] | None]:
    """Return the pairs of one file or two, and the line of each where there are lines."""
    if len(paths) > 1:
        return _collect(name, _iterate_parallel(paths, files, cardinality))
    (path,), (file,) = paths, files
    suffix = sniff_suffix(file.peek(4096)) if path.is_fifo() else check_suffix(path)
    if suffix == ".npz":
        sources, targets = read_arrays(path, read_archive(path, file), cardinality)
        return Pairs(from_padded(sources), from_padded(targets)), None
    parsed = _iterate_pairs(path, file, suffix, PARSERS[suffix], cardinality)
    return _collect(name, parsed)


def _collect(name: str, parsed: Iterable[Parsed]) -> tuple[Pairs, Sequence[int]]:
    sources, targets = RaggedBuilder(), RaggedBuilder()
    problems: list[str] = []
    lines = array("q")
    n_problems = 0
    for number, found in parsed:
        if isinstance(found, DataError):
            n_problems += 1
            if n_problems <= MOST_PROBLEMS:
                problems.append(f"{name}, line {number}: {found}")
        else:
            lines.append(number)
            sources.append(found[0])
            targets.append(found[1])
            if len(lines) % PART == 0:
                taken = sources.n_bytes + targets.n_bytes
                check([Need("all of them", taken, {f"{name}: pairs": len(lines)})], error=DataError)
    if n_problems > MOST_PROBLEMS:
        problems.append(f"{name}: and {n_problems - MOST_PROBLEMS} more bad lines")
    if problems:
        raise DataError("\n".join(problems))
    if not lines:
        raise DataError(f"{name} holds no pairs")
    return Pairs(sources.build(), targets.build()), lines


def _iterate_pairs(
    path: Path, file: BinaryIO, suffix: str, parse: Parser, cardinality: int
) -> Iterator[Parsed]:
    for number, line in Lines(file, str(path)):
        if not line.strip() or (number == 1 and is_header(line, suffix)):
            continue
        try:
            yield number, parse(line, cardinality)
        except DataError as error:
            yield number, error


def _iterate_parallel(
    names: list[Path], files: list[HashingFile], cardinality: int
) -> Iterator[Parsed]:
    first, second = (Lines(file, str(name)) for name, file in zip(names, files, strict=True))
    for number, lines in enumerate(zip_longest(first, second), 1):
        texts = [line[1] if line else "" for line in lines]
        if not any(text.strip() for text in texts):
            continue  # blank in both, such as an end of one or two lines more
        try:
            if None in lines:
                i = lines.index(None)
                raise DataError(f"{names[1 - i]} has this line and {names[i]} does not")
            yield number, parse_pair(texts[0], texts[1], cardinality)
        except DataError as error:
            yield number, error


def write_pairs(path: Path, batches: Iterable[tuple[Ids, Ids]], force: bool = False) -> int:
    """Write batches of padded sources (n, n_in) and targets (n, n_out); return their number.

    The text formats are streamed; `.npz` is collected in memory. A file that exists is replaced
    only with `force`, and only when the new one is whole. Raises DataError for an unknown suffix,
    ExistsError, and StorageError where writing fails.
    """
    suffix = check_suffix(path)
    check_replaceable(path, force)
    with atomic_path(path) as temporary:
        if suffix == ".npz":
            parts = list(batches)
            sources, targets = (_stack([part[i] for part in parts]) for i in range(2))
            with temporary.open("wb") as binary:
                np.savez_compressed(binary, sources=sources, targets=targets)
            return len(sources)
        with temporary.open("w", encoding="utf-8", newline="") as file:
            return _write_lines(file, suffix, batches)


def _stack(parts: list[Ids]) -> Ids:
    width = max((part.shape[1] for part in parts), default=1)
    return np.concatenate([np.empty((0, width), np.int32), *(widen(part, width) for part in parts)])


def _write_lines(file: TextIO, suffix: str, batches: Iterable[tuple[Ids, Ids]]) -> int:
    n = 0
    table = csv.writer(file, lineterminator="\n", delimiter=DELIMITERS.get(suffix, ","))
    if suffix in DELIMITERS:
        table.writerow(HEADER)
    for sources, targets in batches:
        for source, target in zip(unpad(sources), unpad(targets), strict=True):
            if suffix in DELIMITERS:
                table.writerow([" ".join(map(str, source)), " ".join(map(str, target))])
            else:
                file.write(json.dumps({"source": source, "target": target}) + "\n")
            n += 1
    return n
