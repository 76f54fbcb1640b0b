"""Reading, checking and writing files of pairs; reading a pretrained embedding.

`.jsonl` holds one object with both lists per line; `.csv` and `.tsv` hold two columns, with or
without the header `source,target`; `.npz` holds the arrays `sources` and `targets`. Two text files,
separated by a comma, hold sources and targets line by line. A pipe has no suffix, so its format is
detected from its content. Reading never runs code.
"""

import csv
import json
import os
import stat
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import zip_longest
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.pairs import Pairs, RaggedBuilder, parse_arrays
from seq2seq_cli.data.text import (
    DELIMITERS,
    HEADER,
    MAX_CARDINALITY,
    Lines,
    Pair,
    is_header,
    parse_line,
    parse_pair,
)
from seq2seq_cli.data.vocabulary import Floats, Ids, unpad, widen
from seq2seq_cli.errors import ConfigurationError, DataError
from seq2seq_cli.machine import available_memory
from seq2seq_cli.resources import format_bytes
from seq2seq_cli.storage import atomic_path, check_replaceable, reason, sha256_of, unreadable

SUFFIXES = (".jsonl", ".csv", ".tsv", ".npz")

MEMORY_SHARE = 8
"""A file may take at most the memory divided by this, since the checks copy its content."""

MOST_PROBLEMS = 3
"""Bad lines of a file that are listed; the rest are only counted."""

Parsed = tuple[int, Pair | DataError]
"""A line's number, and its pair or what is wrong with it."""


@dataclass(frozen=True)
class PairsFile:
    """The pairs of a file, or of two, and the SHA-256 of its content, or of both with a comma."""

    name: str
    pairs: Pairs
    sha256: str
    lines: Sequence[int] | None  # the line number of each pair; None if there are no lines

    def locate(self, row: int) -> str:
        """Return where a pair is in the file, for an error message."""
        if self.lines is None:
            return f"{self.name}, row {row + 1}"
        return f"{self.name}, line {self.lines[row]}"


def data_files(data: str) -> list[Path]:
    """Return the file that `data` names, or the two files of sources and targets."""
    if Path(data).exists() or "," not in data:
        return [Path(data)]
    names = data.split(",")
    if len(names) != len(HEADER):
        raise DataError(f"{data}: should be a file, or two text files, source,target")
    return [Path(name) for name in names]


def check_suffix(path: Path) -> str:
    """Return the path's suffix in lower case; ConfigurationError unless it names a format."""
    suffix = path.suffix.lower()
    if suffix == ".gz":
        raise ConfigurationError(
            f"{path}: compressed: give the output of zcat, as a file or by a pipe, that ends in "
            f"{', '.join(SUFFIXES)}"
        )
    if suffix not in SUFFIXES:
        raise ConfigurationError(f"{path}: the name should end in {', '.join(SUFFIXES)}")
    return suffix


def sniff_suffix(content: bytes) -> str:
    """Return the suffix of the format that the content looks like."""
    if content.startswith(b"PK"):
        return ".npz"
    if content.lstrip().startswith(b"{"):
        return ".jsonl"
    return ".tsv" if b"\t" in content.split(b"\n", 1)[0] else ".csv"


def read_pairs(data: str | Path, cardinality: int = MAX_CARDINALITY) -> PairsFile:
    """Read the pairs of a file, or of two, whose values are in 1 .. cardinality-1.

    Raises DataError with a line for each of the first bad lines, and StorageError if the file
    cannot be read.
    """
    paths = data_files(str(data))
    name = ",".join(map(str, paths))
    is_pipe = len(paths) == 1 and paths[0].is_fifo()
    suffix = "" if is_pipe or len(paths) > 1 else check_suffix(paths[0])
    contents = [_read(path) for path in paths]
    sha256 = ",".join(map(sha256_of, contents))
    if is_pipe:
        suffix = sniff_suffix(contents[0])
    if suffix == ".npz":
        return PairsFile(
            name, parse_arrays(paths[0], contents[0], cardinality, _size_limit()), sha256, None
        )
    if suffix:
        parsed = _parse_lines(paths[0], contents[0], suffix, cardinality)
    else:
        parsed = _parse_parallel(paths, contents, cardinality)
    pairs, lines = _collect(name, parsed)
    return PairsFile(name, pairs, sha256, lines)


def _read(path: Path) -> bytes:
    """Return the content of a file or a pipe; DataError if it exceeds the memory."""
    limit, content = _size_limit(), bytearray()
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not (stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode)):
                raise DataError(f"{path} is neither a file nor a pipe")
            size = status.st_size
            while size <= limit and (part := file.read(2**20)):
                content += part
                size = max(size, len(content))
    except OSError as error:
        raise unreadable(path, error) from error
    if size > limit:
        raise DataError(f"{path} is too large: it has more than {format_bytes(limit)}")
    return bytes(content)


def _size_limit() -> int:
    """Return the maximum number of bytes of a file, or of an archive's unpacked content."""
    return (available_memory() or sys.maxsize) // MEMORY_SHARE


def _parse_lines(path: Path, content: bytes, suffix: str, cardinality: int) -> Iterator[Parsed]:
    for number, line in Lines(BytesIO(content), str(path)):
        if not line.strip() or (number == 1 and is_header(line, suffix)):
            continue
        try:
            yield number, parse_line(line, suffix, cardinality)
        except DataError as error:
            yield number, error


def _parse_parallel(paths: list[Path], contents: list[bytes], cardinality: int) -> Iterator[Parsed]:
    first, second = (
        Lines(BytesIO(content), str(path)) for path, content in zip(paths, contents, strict=True)
    )
    for number, lines in enumerate(zip_longest(first, second), 1):
        texts = [line[1] if line else "" for line in lines]
        if not any(text.strip() for text in texts):
            continue  # blank in both, such as extra lines at the end
        try:
            if None in lines:
                i = lines.index(None)
                raise DataError(f"{paths[1 - i]} has this line and {paths[i]} does not")
            yield number, parse_pair(texts[0], texts[1], cardinality)
        except DataError as error:
            yield number, error


def _collect(name: str, parsed: Iterable[Parsed]) -> tuple[Pairs, Sequence[int]]:
    sources, targets = RaggedBuilder(), RaggedBuilder()
    problems: list[str] = []
    lines = array("q")
    n_problems = 0
    for number, pair in parsed:
        if isinstance(pair, DataError):
            n_problems += 1
            if n_problems <= MOST_PROBLEMS:
                problems.append(f"{name}, line {number}: {pair}")
        else:
            lines.append(number)
            sources.append(pair[0])
            targets.append(pair[1])
    if n_problems > MOST_PROBLEMS:
        problems.append(f"{name}: and {n_problems - MOST_PROBLEMS} more bad lines")
    if problems:
        raise DataError("\n".join(problems))
    if not lines:
        raise DataError(f"{name} holds no pairs")
    return Pairs(sources.build(), targets.build()), lines


def write_pairs(path: Path, batches: Iterable[tuple[Ids, Ids]], force: bool = False) -> int:
    """Write batches of padded sources (n, n_in) and targets (n, n_out); return their number.

    The text formats are streamed; `.npz` is collected in memory. An existing file is replaced only
    with `force`, and only when the new one is complete. Raises ConfigurationError for an unknown
    suffix, ExistsError if the file exists, and StorageError if writing fails.
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


def read_embedding(config: RunConfig) -> tuple[Floats, str]:
    """Return the pretrained embedding, (cardinality, size), and the SHA-256 of its file.

    Raises DataError unless it is a `.npy` file of finite numbers of that shape, ConfigurationError
    if it is not the one that the run was started with, StorageError if it cannot be read.
    """
    path = Path(config.model.pretrained_embedding)
    content = _read(path)
    try:
        table: NDArray[Any] = np.lib.format.read_array(BytesIO(content), allow_pickle=False)
    except Exception as error:  # a damaged file fails in many ways
        raise DataError(f"{path} is not a .npy file of numbers: {reason(error)}") from error
    if table.dtype.kind not in "fiu":
        raise DataError(f"{path} is not a .npy file of numbers: it has {table.dtype}")
    shape = (config.task.cardinality, config.model.embedding)
    if table.shape != shape:
        raise DataError(
            f"{path} has shape {table.shape}: should be (task.cardinality, model.embedding), which "
            f"is {shape}"
        )
    if not np.isfinite(table).all():
        raise DataError(f"{path} holds values that are not finite")
    sha256 = sha256_of(content)
    if config.model.pretrained_embedding_sha256 not in ("", sha256):
        raise ConfigurationError(
            f"model.pretrained_embedding = '{path}': the file is not the one that the run was "
            "started with"
        )
    return table.astype(np.float32), sha256
