"""What the bits of a training's weights depend on, apart from its settings."""

import os

from seq2seq_cli.runs.document import Record

PACKAGES = ("seq2seq-cli", "tensorflow", "keras", "numpy")
VARIABLES = ("XLA_FLAGS", "TF_XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS", "TF_NUM_INTRAOP_THREADS")


class Environment(Record):
    """The packages, the processor's threads and the flags under which a run was trained."""

    versions: dict[str, str]
    threads: int
    flags: dict[str, str]


def current_environment() -> Environment:
    """Return that of this process."""
    from importlib.metadata import version  # which no reader of runs has to wait for

    return Environment(
        versions={package: version(package) for package in PACKAGES},
        threads=os.cpu_count() or 1,
        flags={name: os.environ[name] for name in VARIABLES if name in os.environ},
    )


def differences(before: Environment) -> list[str]:
    """Return a note on each thing in which this process's environment is not the one before."""
    now = current_environment().model_dump()
    return [
        f"{name} is {now[name]!r} and was {value!r}: the weights will not be bit-identical to "
        "those of an uninterrupted training"
        for name, value in before.model_dump().items()
        if now[name] != value
    ]
