"""The settings of a run: what they are, their defaults, and TOML in and out.

A configuration has one section a concern. Values come, later ones winning, from the defaults
here, a TOML file, `section.key=value` settings and named options. All that is wrong with them
is reported together. What the tasks demand of their settings is not known here: it comes in as
a check.
"""

import difflib
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.storage import read_text


class Section(BaseModel):
    """A frozen, strictly typed group of settings that rejects unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TaskConfig(Section):
    """What is to be learned: the task and the sizes that scale its difficulty."""

    name: str = Field("reverse-prefix", description="the task; see `s2s tasks`")
    n_in: int = Field(6, ge=1, description="integers in a source")
    n_out: int = Field(3, ge=1, description="integers in a target, where the task leaves it free")
    cardinality: int = Field(
        51, ge=2, le=1_000_000, description="ids 0 to cardinality-1; 0 is reserved"
    )


class ModelConfig(Section):
    """The network that learns it."""

    units: int = Field(128, ge=1, description="width of the LSTMs' states")


class TrainingConfig(Section):
    """How it is trained."""

    n_samples: int = Field(100_000, ge=1, description="sequences an epoch")
    epochs: int = Field(1, ge=1, description="epochs, each of new sequences")
    batch_size: int = Field(64, ge=1, description="sequences an optimizer step")
    learning_rate: float = Field(0.01, gt=0, description="peak learning rate of Adam")
    schedule: Literal["cosine", "constant"] = Field(
        "cosine", description="warm-up, then cosine decay to zero; or constant"
    )
    clip_norm: float = Field(0.0, ge=0, description="limit of the gradients' norm; 0: none")
    stop_at: float = Field(
        0.0, ge=0, le=1, description="stop once held-out exact match reaches this; 0: never"
    )
    patience: int = Field(
        0, ge=0, description="epochs without improvement before stopping; 0: never"
    )
    seed: int = Field(0, ge=0, lt=2**63, description="seed of the weights and the sequences")


class RunConfig(Section):
    """All settings of a run."""

    task: TaskConfig = TaskConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()

    def to_toml(self) -> str:
        """Return the configuration as TOML text, every setting written out."""
        return tomli_w.dumps(self.model_dump())

    @classmethod
    def from_toml(cls, text: str, origin: str) -> "RunConfig":
        """Return the configuration in `text`; ConfigurationError names `origin`, its file."""
        return _merge(_parse_toml(text, origin), [], None)


SECTIONS: dict[str, type[Section]] = {
    "task": TaskConfig,
    "model": ModelConfig,
    "training": TrainingConfig,
}

Check = Callable[[TaskConfig], Iterable[str]]
"""Returns a line for each thing that is wrong with a task's settings."""


def resolve(
    file: Path | None = None,
    settings: Sequence[str] = (),
    options: Mapping[str, object] | None = None,
    check: Check | None = None,
    base: RunConfig | None = None,
) -> RunConfig:
    """Merge defaults < `base` < `file` < `settings` < `options` and validate the result.

    `settings` are texts `section.key=value`; `options` maps `section.key` to a value, where None
    means "not given". Raises ConfigurationError with a line for each thing that is wrong.
    """
    problems: list[str] = []
    given: dict[str, Any] = base.model_dump() if base else {}
    for name, values in (_parse_toml(read_text(file), str(file)) if file else {}).items():
        if isinstance(given.get(name), dict) and isinstance(values, dict):
            given[name] |= values
        else:
            given[name] = values
    for text in settings:
        key, equals, value = text.partition("=")
        if equals:
            _assign(given, key.strip(), _parse_value(value.strip()), problems)
        else:
            problems.append(f"--set {text}: should be section.key=value")
    for key, option in (options or {}).items():
        if option is not None:
            _assign(given, key, option, problems)
    return _merge(given, problems, check)


def _merge(given: dict[str, Any], problems: list[str], check: Check | None) -> RunConfig:
    """Validate the sections given; raises ConfigurationError with these problems and those."""
    sections = {name: given.pop(name, {}) for name in SECTIONS}
    problems += [_unknown(name, value, SECTIONS) for name, value in given.items()]
    valid = {name: _validate(name, sections[name], problems) for name in SECTIONS}
    task = valid["task"]
    if check and isinstance(task, TaskConfig):
        problems += check(task)
    if problems:
        raise ConfigurationError("\n".join(problems))
    return RunConfig.model_validate(valid)


def _parse_toml(text: str, origin: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{origin} is not valid TOML: {error}") from error


def _parse_value(text: str) -> object:
    """Read a TOML value; what is none is a string, so that names need no quotes."""
    try:
        values = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return values["value"] if len(values) == 1 else text


def _assign(given: dict[str, Any], key: str, value: object, problems: list[str]) -> None:
    section, dot, name = key.partition(".")
    if not dot or section not in SECTIONS:
        problems.append(_unknown(key, value, _all_keys()))
    elif isinstance(given.setdefault(section, {}), dict):
        given[section][name] = value


def _validate(name: str, values: object, problems: list[str]) -> Section | None:
    if not isinstance(values, dict):
        problems.append(f"{name} = {values!r}: should be a section, [{name}]")
        return None
    section = SECTIONS[name]
    known = {key: value for key, value in values.items() if key in section.model_fields}
    problems += [
        _unknown(f"{name}.{key}", value, _all_keys())
        for key, value in values.items()
        if key not in known
    ]
    try:
        return section.model_validate(known)
    except ValidationError as error:
        for detail in error.errors():
            accepted = detail["msg"].removeprefix("Input ")
            problems.append(f"{name}.{detail['loc'][0]} = {detail['input']!r}: {accepted}")
        return None


def _unknown(key: str, value: object, known: Iterable[str]) -> str:
    known = list(known)
    close = difflib.get_close_matches(key, known, n=1)
    meant = f"did you mean {close[0]}?" if close else f"use one of {', '.join(known)}"
    return f"{key} = {value!r}: no such setting; {meant}"


def _all_keys() -> list[str]:
    return [f"{name}.{key}" for name, section in SECTIONS.items() for key in section.model_fields]
