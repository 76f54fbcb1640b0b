"""What the bits of a training's weights depend on, apart from its settings."""

import os
import re
from collections.abc import Mapping

from seq2seq_cli.runs.document import Record

PACKAGES = ("seq2seq-cli", "tensorflow", "keras", "numpy")
VARIABLES = ("XLA_FLAGS", "TF_XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS", "TF_NUM_INTRAOP_THREADS")

CACHE_FLAG = re.compile(r"""--tf_xla_persistent_cache_directory=('[^']*'|"[^"]*"|\S*)""")
"""Where compiled programs are kept, in a folder of each process; no bit depends on it."""


class Environment(Record):
    """The packages, the device, the processor's threads and the flags a run was trained with."""

    versions: dict[str, str]
    device: str = ""  # unknown, for runs of earlier versions
    threads: int
    flags: dict[str, str]


def current_environment(device: str) -> Environment:
    """Return that of this process, which trains on a device."""
    return Environment(
        versions=installed_versions(),
        device=device,
        threads=os.cpu_count() or 1,
        flags=_that_count({name: os.environ[name] for name in VARIABLES if name in os.environ}),
    )


def installed_versions() -> dict[str, str]:
    """Return the versions of the packages that a training's bits depend on."""
    from importlib.metadata import version  # which no reader of runs has to wait for

    return {package: version(package) for package in PACKAGES}


def differences(now: Environment, before: Environment) -> list[str]:
    """Return a note on each thing in which this environment is not the one before."""
    device = now.device if before.device else ""
    new, old = _named(now.model_copy(update={"device": device})), _named(before)
    return [
        f"{name} is {new.get(name, 'unset')} and was {old.get(name, 'unset')}: the weights will "
        "not be bit-identical to those of an uninterrupted training"
        for name in {**old, **new}
        if new.get(name) != old.get(name)
    ]


def _named(environment: Environment) -> dict[str, str]:
    """Return all that there is of an environment by its name."""
    cores = {"the number of cores": str(environment.threads)}
    device = {"the device": environment.device} if environment.device else {}
    return {**environment.versions, **device, **cores, **_that_count(environment.flags)}


def _that_count(flags: Mapping[str, str]) -> dict[str, str]:
    """Return what the bits may depend on of some variables' flags."""
    kept = {name: CACHE_FLAG.sub("", value).strip() for name, value in flags.items()}
    return {name: value for name, value in kept.items() if value}
