"""The exceptions that a user can cause, and the exit code of each.

    S2sError                    1  (never raised itself)
    ├── ConfigurationError      2  a setting or an option is wrong
    │   ├── LossError           2  the loss of a training is not finite
    │   └── PackageError        2  a package of one of the extras is missing
    ├── DataError               3  input data is wrong
    ├── ModelError              4  no run, or a bad, corrupt or incompatible one
    ├── ExistsError             5  the run folder or output file exists, or is in use
    ├── StorageError            6  input/output failed, or the disk is full
    └── AccuracyError           7  accuracy below the demanded one

    Stopped                   130  (never raised itself; no `except Exception` swallows it)
    ├── Interrupted           130  by Ctrl-C
    └── Terminated            143  by SIGTERM

Each message is for the user: it names the thing, the value, and what to do. The command line
prints it on standard error and ends with the code; no other layer exits or prints.
"""

from typing import Literal

Remedy = Literal["replace", "resume", "task", "data"]
"""What to do about an error, for which the command line knows the option."""


class S2sError(Exception):
    """Base of all errors with a message for the user.

    If there is a `remedy`, `value` is the value of its option.
    """

    exit_code = 1

    def __init__(self, message: str = "", remedy: Remedy | None = None, value: str = "") -> None:
        super().__init__(message)
        self.remedy, self.value = remedy, value


class ConfigurationError(S2sError):
    """One or more settings are wrong; the message has a line for each."""

    exit_code = 2


class LossError(ConfigurationError):
    """The loss is not finite; the message says at which step, and which settings to change."""


class PackageError(ConfigurationError):
    """A package of one of the extras is missing; there is no distribution to install it from."""

    def __init__(self, need: str, extra: str) -> None:
        super().__init__(f"{need}: pip install '.[{extra}]' in the source folder of s2s")


class DataError(S2sError):
    """A sequence or a data file is wrong; the message has a line for each problem."""

    exit_code = 3


class ModelError(S2sError):
    """There is no such run, or its files are incomplete, corrupt or incompatible."""

    exit_code = 4


class ExistsError(S2sError):
    """The run folder or output file exists already, or another process uses it."""

    exit_code = 5


class StorageError(S2sError):
    """Reading or writing failed: no such file, no permission, or a full disk."""

    exit_code = 6


class AccuracyError(S2sError):
    """The exact match is below the demanded accuracy."""

    exit_code = 7


class Stopped(BaseException):
    """Base of the ways in which a process is asked to stop."""

    exit_code = 130


class Interrupted(Stopped):
    """The user pressed Ctrl-C."""

    exit_code = 130


class Terminated(Stopped):
    """The process was asked to end (SIGTERM)."""

    exit_code = 143
