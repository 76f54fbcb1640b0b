"""What the exact bits of a training's weights depend on, apart from its settings."""

import os
import re

from seq2seq_cli.runs.record import Record

PACKAGES = ("seq2seq-cli", "tensorflow", "keras", "numpy")
VARIABLES = ("XLA_FLAGS", "TF_XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS", "TF_NUM_INTRAOP_THREADS")

CACHE_FLAG = re.compile(r"""--tf_xla_persistent_cache_directory=('[^']*'|"[^"]*"|\S*)""")
"""The flag for the cache of compiled programs, a folder per process; no bit depends on it."""


class Environment(Record):
    """The packages, the device, the processor's threads and the flags a run was trained with."""

    versions: dict[str, str]
    device: str
    threads: int
    flags: dict[str, str]


def current_environment(device: str) -> Environment:
    """Return the environment of this process, which trains on this device."""
    return Environment(
        versions=installed_versions(),
        device=device,
        threads=os.cpu_count() or 1,
        flags=_flags(),
    )


def installed_versions() -> dict[str, str]:
    """Return the versions of the packages that a training's bits depend on."""
    from importlib.metadata import version  # slow to import; reading runs does not need it

    return {package: version(package) for package in PACKAGES}


def differences(now: Environment, before: Environment) -> list[str]:
    """Return a note on each difference between this environment and the one before."""
    new, old = _named(now), _named(before)
    return [
        f"{name} is {new.get(name, 'unset')} and was {old.get(name, 'unset')}: the weights will "
        "not be bit-identical to those of an uninterrupted training"
        for name in {**old, **new}
        if new.get(name) != old.get(name)
    ]


def _named(environment: Environment) -> dict[str, str]:
    machine = {"the device": environment.device, "the number of cores": str(environment.threads)}
    return {**environment.versions, **machine, **environment.flags}


def _flags() -> dict[str, str]:
    """Return the variables that the bits may depend on, without the flag for the cache."""
    flags = {name: CACHE_FLAG.sub("", os.environ.get(name, "")).strip() for name in VARIABLES}
    return {name: value for name, value in flags.items() if value}
