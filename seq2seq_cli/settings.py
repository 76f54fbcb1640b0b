"""Resolving a configuration from TOML, `section.key=value` settings and options.

Values come from the defaults, a file, settings and named options; later ones win. All problems are
reported together. The requirements of the tasks are passed in as a check.
"""

import difflib
import inspect
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from seq2seq_cli.config import (
    DigitOrder,
    ModelConfig,
    RunConfig,
    Section,
    TaskConfig,
    TrainingConfig,
)
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.storage import read_text

SECTIONS: dict[str, type[Section]] = {
    "task": TaskConfig,
    "model": ModelConfig,
    "training": TrainingConfig,
}

MOST_TOML = 2**20
"""Maximum bytes of a file of settings."""

Check = Callable[[TaskConfig], Iterable[str]]
"""Returns a line for each problem with a task's settings."""


Function = TypeVar("Function", bound=Callable[..., object])


class Settings(TypedDict, total=False):
    """Every setting that a user makes, as keywords; `task` is the task's name."""

    task: str
    n_in: int | str
    n_out: int
    cardinality: int
    k: int | None
    digit_order: DigitOrder | None
    data: str
    validation_data: str
    end_of_sequence: bool | None
    units: int
    layers: int
    bidirectional: bool
    attention: Literal["none", "dot"]
    attention_radius: int
    embedding: int
    pretrained_embedding: str
    dropout: float
    token_dropout: float
    recurrent_dropout: float
    recurrent_dropout_in: Literal["both", "encoder", "decoder"]
    n_samples: int
    epochs: int
    batch_size: int
    learning_rate: float
    schedule: Literal["cosine", "constant"]
    clip_norm: float
    stop_at: float
    patience: int
    validate_every: int
    seed: int


def keywords() -> dict[str, str]:
    """Return the setting, `section.key`, of each keyword; hashes are filled in and have none."""
    keys = [key for key in all_settings() if not key.endswith("_sha256")]
    return {"task" if key == "task.name" else key.partition(".")[2]: key for key in keys}


def from_keywords(
    config: RunConfig | None, settings: Mapping[str, object], check: Check | None = None
) -> RunConfig:
    """Return a configuration, by default the defaults, changed by settings given as keywords.

    `check` is applied unless there is a configuration, which may be that of a saved run. Raises
    ConfigurationError with a line for each problem.
    """
    if not isinstance(config, RunConfig | None):
        raise ConfigurationError(f"config = {config!r}: should be a seq2seq_cli.config.RunConfig")
    if config and not settings:
        return config
    known = keywords()
    unknown = [_unknown(*setting, known) for setting in settings.items() if setting[0] not in known]
    if unknown:
        raise ConfigurationError("\n".join(unknown))
    changes = {known[keyword]: value for keyword, value in settings.items()}
    before = flat_settings(config.model_dump(exclude_unset=True)) if config else {}
    # A hash belongs to the file that its setting names.
    kept = {k: v for k, v in before.items() if k.removesuffix("_sha256") not in changes}
    return resolve(options=kept | changes, check=None if config else check)


def with_settings(function: Function) -> Function:
    """Show every setting, with its type and default, in a function's signature."""
    signature = inspect.signature(function)
    *parameters, _ = signature.parameters.values()
    for keyword, field in ((keyword, find_setting(key)) for keyword, key in keywords().items()):
        shown = inspect.Parameter(keyword, inspect.Parameter.KEYWORD_ONLY, default=field.default)
        parameters.append(shown.replace(annotation=field.annotation))
    vars(function)["__signature__"] = signature.replace(parameters=parameters)
    return function


def resolve(
    file: Path | None = None,
    settings: Sequence[str] = (),
    options: Mapping[str, object] | None = None,
    check: Check | None = None,
) -> RunConfig:
    """Merge defaults < `file` < `settings` < `options` and validate the result.

    `settings` are texts `section.key=value`; `options` maps `section.key` to a value, where None
    means "not set". The keys that are set are in the sections' `model_fields_set`. Raises
    ConfigurationError with a line for each problem.
    """
    problems: list[str] = []
    sections = parse_toml(read_text(file, MOST_TOML), str(file)) if file else {}
    task = sections.get("task")
    generated = dict(task) if isinstance(task, dict) and not task.get("data") else {}
    for text in settings:
        key, equals, value = text.partition("=")
        if equals:
            _assign(sections, key.strip(), parse_value(value.strip()), problems)
        else:
            problems.append(f"{text}: should be section.key=value")
    for key, option in (options or {}).items():
        if option is not None:
            _assign(sections, key, option, problems)
    task = sections.get("task")
    if isinstance(task, dict) and task.get("data"):
        # Custom data replaces the task of the file.
        for key in ("name", "n_in", "n_out"):
            if key in generated and task[key] == generated[key]:
                del task[key]
    return _merge(sections, problems, check)


def parse_config(text: str, origin: str) -> RunConfig:
    """Return the configuration in TOML text; ConfigurationError names `origin`, its file."""
    return _merge(parse_toml(text, origin), [], None)


def flat_settings(sections: Mapping[str, Any]) -> dict[str, object]:
    """Return sections as `section.key` and their values; other entries keep their names."""
    flat: dict[str, object] = {}
    for name, values in sections.items():
        if isinstance(values, dict):
            flat |= {f"{name}.{key}": value for key, value in values.items()}
        else:
            flat[name] = values
    return flat


def differing_settings(configs: Sequence[RunConfig]) -> dict[str, tuple[str, ...]]:
    """Return the settings, `section.key`, that differ, with the value in each configuration."""
    flat = [flat_settings(config.model_dump()) for config in configs]
    rows = {key: tuple(str(settings[key]) for settings in flat) for key in flat[0]}
    return {key: values for key, values in rows.items() if len(set(values)) > 1}


def find_setting(key: str, value: object = "") -> FieldInfo:
    """Return the declaration of a setting; ConfigurationError if it does not exist."""
    section, _, name = key.partition(".")
    if section not in SECTIONS or name not in SECTIONS[section].model_fields:
        raise ConfigurationError(_unknown(key, value, all_settings()))
    return SECTIONS[section].model_fields[name]


def setting_title(name: str) -> str:
    """Return the quantity that a setting is, for an axis; another name is returned unchanged."""
    described = find_setting(name).description if name in all_settings() else None
    return str(re.split("[,;:]", described)[0]) if described else name


def laid_over(base: RunConfig, changes: RunConfig) -> RunConfig:
    """Return `base` with the settings in the `model_fields_set` of `changes`, not validated."""
    sections = {}
    for name in RunConfig.model_fields:
        before, override = getattr(base, name), getattr(changes, name)
        update = {key: getattr(override, key) for key in override.model_fields_set}
        sections[name] = before.model_copy(update=update)
    return base.model_copy(update=sections)


def validated(config: RunConfig) -> RunConfig:
    """Return the configuration; ConfigurationError if its settings do not fit together."""
    return _merge(config.model_dump(exclude_unset=True), [], None)


def _merge(values: dict[str, Any], problems: list[str], check: Check | None) -> RunConfig:
    """Validate the sections; raises ConfigurationError with `problems` and those found here."""
    sections = {name: values.pop(name, {}) for name in SECTIONS}
    problems += [_unknown(name, value, SECTIONS) for name, value in values.items()]
    valid = {name: _validate(name, sections[name], problems) for name in SECTIONS}
    task = valid["task"]
    if check and isinstance(task, TaskConfig):
        problems += check(task)
    if problems:
        raise ConfigurationError("\n".join(problems))
    return RunConfig.model_validate(valid)


def parse_toml(text: str, origin: str) -> dict[str, Any]:
    """Return the content of TOML text; ConfigurationError names `origin`, its file."""
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))  # the mark that some editors write
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{origin} is not valid TOML: {error}") from error


def parse_value(text: str) -> object:
    """Read a TOML value or a number such as .5; anything else is a string, without quotes."""
    try:
        values = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return _number(text)
    return values["value"] if len(values) == 1 else text


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def _assign(sections: dict[str, Any], key: str, value: object, problems: list[str]) -> None:
    section, dot, name = key.partition(".")
    if not dot or section not in SECTIONS:
        problems.append(_unknown(key, value, all_settings()))
    elif isinstance(sections.setdefault(section, {}), dict):
        sections[section][name] = value


def _validate(name: str, values: object, problems: list[str]) -> Section | None:
    if not isinstance(values, dict):
        problems.append(f"{name} = {_shown(values)}: should be a section, [{name}]")
        return None
    section = SECTIONS[name]
    known = {key: value for key, value in values.items() if key in section.model_fields}
    problems += [
        _unknown(f"{name}.{key}", value, all_settings())
        for key, value in values.items()
        if key not in known
    ]
    try:
        return section.model_validate(known)
    except ValidationError as error:
        for detail in error.errors():
            accepted = detail["msg"].removeprefix("Input ").removeprefix("Value error, ")
            key = ".".join([name, *map(str, detail["loc"])])
            value = f" = {_shown(detail['input'])}: " if detail["loc"] else "."
            problems.append(f"{key}{value}{accepted}")
        return None


def _unknown(key: str, value: object, known: Iterable[str]) -> str:
    known = list(known)
    close = difflib.get_close_matches(key, known, n=1)
    meant = f"did you mean {close[0]}?" if close else f"use one of {', '.join(known)}"
    return f"{key} = {_shown(value)}: no such setting; {meant}"


def _shown(value: object) -> str:
    try:
        return repr(value)
    except ValueError:  # Python does not print integers with thousands of digits
        return "a number of thousands of digits"


def all_settings() -> list[str]:
    """Return the names of all settings, `section.key`."""
    return [f"{name}.{key}" for name, section in SECTIONS.items() for key in section.model_fields]
