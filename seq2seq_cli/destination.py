"""What a user's file may be written over."""

import re
from pathlib import Path

from seq2seq_cli.errors import ConfigurationError, ExistsError, StorageError
from seq2seq_cli.storage import unwritable

OWN_FILES = ("run.json", "sweep.jsonl")
"""One of which is in the folder of every complete run, and of every sweep with a result."""

OWN_NAMES = re.compile(r"(run|sweep.*|history)\.jsonl?|(config|sweep)\.toml|.*\.keras")
"""What the other files there are called."""


def check_replaceable(path: Path, is_replaced: bool, other: str = "another name") -> None:
    """Raise an error unless a file can be written here; over another one if it `is_replaced`.

    A folder, a device or a pipe is never replaced, nor is a file of a run or a sweep.
    ConfigurationError for what is no file's name, ExistsError for what stays, StorageError where
    there is no folder to write in. `other` is what to give instead.
    """
    if not path.name:
        raise ConfigurationError(f"{str(path)!r}: is no file's name: give {other}")
    folder = path.absolute().parent
    try:
        if path.is_dir():
            raise ExistsError(f"{path} is a folder: give {other}")
        if path.exists() and not path.is_file():
            raise ExistsError(f"{path} is no file, and is left as it is: give {other}")
        if path.exists() and not is_replaced:
            raise ExistsError(f"{path} exists: give {other}, or --force to replace it")
        if not folder.is_dir():
            raise StorageError(f"cannot write {path}: there is no folder {path.parent}")
        is_own = OWN_NAMES.fullmatch(path.name) and path.exists()
        if is_own and any((folder / name).is_file() for name in OWN_FILES):
            raise ExistsError(f"{path} is a file of a run or a sweep: give {other}")
    except OSError as error:
        raise unwritable(path, error) from error
