"""A pretrained embedding: the file that a configuration names."""

from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli.archive import reason
from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.files.arrays import MOST_HEADER, read_header
from seq2seq_cli.data.vocabulary import Floats
from seq2seq_cli.errors import ConfigurationError, DataError
from seq2seq_cli.resources import Need, check
from seq2seq_cli.storage import sha256_of, unreadable


def read_embedding(config: RunConfig) -> tuple[Floats, str]:
    """Return the pretrained embedding, (cardinality, size), and the SHA-256 of its file.

    Raises DataError unless it is a `.npy` file of finite numbers of that shape, ConfigurationError
    where it is not the one that a run was begun with, StorageError where it cannot be read.
    """
    path = Path(config.model.pretrained_embedding)
    try:
        with path.open("rb") as file:
            content, table = _read_table(file, path, config)
    except OSError as error:
        raise unreadable(path, error) from error
    if not np.isfinite(table).all():
        raise DataError(f"{path} holds values that are not finite")
    recorded, found = config.model.pretrained_embedding_sha256, sha256_of(content)
    if recorded not in ("", found):
        raise ConfigurationError(
            f"model.pretrained_embedding = '{path}': the file is not the one that the run was "
            f"begun with (SHA-256 {found[:12]}..., and it was {recorded[:12]}...)"
        )
    return table.astype(np.float32), found


def _read_table(file: BinaryIO, path: Path, config: RunConfig) -> tuple[bytes, NDArray[np.generic]]:
    """Return the content of a file with an embedding, and the array in it."""
    content = file.read(MOST_HEADER)
    start = BytesIO(content)
    try:
        header = read_header(start)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} is no .npy file of numbers: {reason(error)}") from error
    if header.dtype.kind not in "fiu":
        raise DataError(f"{path} is no .npy file of numbers")
    sizes = {"task.cardinality": config.task.cardinality, "model.embedding": config.model.embedding}
    if header.shape != tuple(sizes.values()):
        raise DataError(
            f"{path} has shape {header.shape}: should be ({', '.join(sizes)}), "
            f"which is {tuple(sizes.values())}"
        )
    check([Need(f"{path}, which is read,", header.n_bytes, sizes)])
    end = start.tell() + header.n_bytes
    content = (content + file.read(max(0, end + 1 - len(content))))[: end + 1]
    try:
        return content, header.array(content[start.tell() :])
    except ValueError as error:
        raise DataError(f"{path} is no .npy file of numbers: {error}") from error
