"""The description of a sweep: a base configuration, the changes to it, and the seeds.

It comes from options or a TOML file, and is saved as such a file in the sweep's folder:

    seeds = 3
    design = "grid"                              # or "one-factor": one change at a time
    derive = ["task.n_out = task.n_in / 2"]
    until = { share = 0.99, setting = "task.n_in" }
    base = "../tutorial.toml"                    # or the settings themselves, in [base.task], ...

    [changes]
    task.n_in = [6, 12, 24]
    model.units = [64, 128]
"""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from seq2seq_cli.config import Section
from seq2seq_cli.custom_code import names_function, same_function
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.settings import MOST_TOML, find_setting, flat_settings, parse_toml, parse_value
from seq2seq_cli.storage import read_text
from seq2seq_cli.sweep.grid import Axis, Cell, Derivation, all_changes, is_whole, make_cell

TASK = "task.name"
FILES = ("task.data", "task.validation_data", "model.pretrained_embedding")
"""Settings that are paths; a task may be one too."""

SEEDS = 3
MOST_SEEDS = 1000
ONE_FACTOR = "one-factor"


class Until(Section):
    """A search for the largest value of a setting at which the task is learned."""

    share: float = Field(gt=0, le=1)  # the exact match that counts as learned
    setting: str


class _File(Section):
    base: str | dict[str, Any] = Field(default_factory=dict)
    changes: dict[str, Any] = Field(default_factory=dict)
    derive: list[str] = Field(default_factory=list)
    design: Literal["grid", "one-factor"] = "grid"
    seeds: int = Field(SEEDS, ge=1)
    until: Until | None = None


@dataclass(frozen=True)
class Sweep:
    """A sweep's description; its cells have not been checked yet."""

    base: Mapping[str, object] = field(default_factory=dict)  # section.key -> value
    axes: tuple[Axis, ...] = ()
    derivations: tuple[Derivation, ...] = ()
    one_factor: bool = False
    seeds: int = SEEDS
    until: Until | None = None

    def cells(self) -> list[Cell]:
        """Return its cells; those of a search lack the setting searched for.

        Raises ConfigurationError if parts of the description do not fit together.
        """
        if problems := self._problems():
            raise ConfigurationError("\n".join(problems))
        axes = [axis for axis in self.axes if not self.until or axis.key != self.until.setting]
        derivations = [] if self.until else self.derivations
        cells: dict[str, Cell] = {}
        for changes in all_changes(axes, self.one_factor):
            if self.one_factor and any(self.in_base(key) == v for key, v in changes.items()):
                continue  # it is the base's cell
            cell = make_cell(self.base, changes, derivations)
            if cell.name in cells:
                raise ConfigurationError(f"two cells have the same name, {cell.name}")
            cells[cell.name] = cell
        return list(cells.values())

    def searched(self, cell: Cell, value: int) -> Cell:
        """Return a cell of a search, with a value of the setting searched for."""
        assert self.until
        changes = {**cell.changes, self.until.setting: value}
        return make_cell(self.base, changes, self.derivations)

    def bounds(self) -> tuple[int, ...]:
        """Return the first value of a search, and the last one if it is bounded."""
        values = [int(str(value)) for value in self._values_searched()]
        return (min(values), max(values)) if len(values) > 1 else (values[0],)

    def custom_tasks(self) -> list[str]:
        """Return the names of the functions that are its tasks, path/to/file.py:function."""
        axes = (axis.values for axis in self.axes if axis.key == TASK)
        names = map(str, [self.base.get(TASK, ""), *itertools.chain(*axes)])
        return [name for name in names if names_function(name)]

    def with_tasks(self, names: Sequence[str]) -> "Sweep":
        """Return the sweep with the names of custom tasks as the user gives them; files may move.

        Raises ConfigurationError for a task that the user does not name: it is not imported.
        """
        for custom in self.custom_tasks():
            if not any(same_function(custom, name) for name in names):
                raise ConfigurationError(
                    f"the sweep names the custom task {custom}, which runs only if you name it",
                    "task",
                    custom,
                )
        mine = str(self.base.get(TASK))
        moved = next((name for name in names if same_function(mine, name)), None)
        return replace(self, base={**self.base, TASK: moved}) if moved else self

    def in_base(self, key: str) -> object:
        """Return the value of a setting where it is not changed."""
        return self.base.get(key, find_setting(key).default)

    def to_toml(self) -> str:
        """Return the TOML text that describes it."""
        import tomli_w  # reading a sweep does not need it

        document = {
            "seeds": self.seeds,
            **({"design": ONE_FACTOR} if self.one_factor else {}),
            **({"derive": [rule.text for rule in self.derivations]} if self.derivations else {}),
            **({"until": self.until.model_dump()} if self.until else {}),
            "base": dict(self.base),
            "changes": {axis.key: list(axis.values) for axis in self.axes},  # in this order
        }
        return re.sub(r'^"(\w+\.\w+)" =', r"\1 =", tomli_w.dumps(document), flags=re.MULTILINE)

    def _values_searched(self) -> Sequence[object]:
        assert self.until
        key = self.until.setting
        axis = next((axis for axis in self.axes if axis.key == key), None)
        return axis.values if axis else [self.in_base(key)]

    def _problems(self) -> list[str]:
        axes = [axis.key for axis in self.axes]
        targets = [item.target for item in self.derivations]
        problems = []
        for number, item in enumerate(self.derivations):
            if item.target in axes or targets.count(item.target) > 1:
                problems.append(f"{item.text}: {item.target} is changed elsewhere too")
            if item.source in targets[number:]:
                problems.append(f"{item.text}: {item.source} should be settled before it")
            if self.until and item.target == self.until.setting:
                problems.append(f"{item.text}: {item.target} is what is searched for")
        if self.seeds > MOST_SEEDS:
            problems.append(f"seeds = {self.seeds}: should be at most {MOST_SEEDS}")
        if self.until:
            problems += self._search_problems(self.until.setting)
        return problems

    def _search_problems(self, key: str) -> list[str]:
        if not is_whole(key):
            return [f"until {key}: only settings with whole numbers can be searched"]
        if self.one_factor:
            return ["until needs a grid, not one factor at a time"]
        return [
            f"{key} = {value!r}: a search needs a whole number of at least 1"
            for value in self._values_searched()
            if type(value) is not int or value < 1
        ]


def read_sweep(file: Path) -> Sweep:
    """Return the sweep that a TOML file describes; paths in it are relative to the file.

    Raises ConfigurationError with a line for each problem, StorageError if it cannot be read.
    """
    return parse_sweep(read_text(file, MOST_TOML), file, file.parent)


def parse_sweep(text: str, origin: Path, folder: Path = Path()) -> Sweep:
    """Return the sweep in the text of a file, `origin`, with paths relative to `folder`.

    Raises ConfigurationError with a line for each problem.
    """
    try:
        file = _File.model_validate(parse_toml(text, str(origin)))
    except ValidationError as error:
        lines = [
            f"{origin}: {'.'.join(map(str, item['loc']))} = {item['input']!r}: "
            f"{item['msg'].removeprefix('Input ')}"
            for item in error.errors()
        ]
        raise ConfigurationError("\n".join(lines)) from error
    if isinstance(file.base, str):
        base = read_base(folder / file.base)
    else:
        base = {key: _seen_from(folder, key, v) for key, v in flat_settings(file.base).items()}
    axes = []
    for key, values in flat_settings(file.changes).items():
        if not isinstance(values, list):
            raise ConfigurationError(f"{origin}: changes.{key} = {values!r}: should be a list")
        axes.append(Axis.of(key, [_seen_from(folder, key, value) for value in values]))
    derivations = tuple(map(Derivation.parse, file.derive))
    return Sweep(base, tuple(axes), derivations, file.design == ONE_FACTOR, file.seeds, file.until)


def with_options(
    sweep: Sweep,
    config_file: Path | None,
    settings: Sequence[str],
    grid: Sequence[str],
    derive: Sequence[str],
    one_factor: bool,
    seeds: int | None,
    until: tuple[float, str] | None,
) -> Sweep:
    """Return a sweep with options added; an option overrides the same setting of the sweep.

    Raises ConfigurationError if an option is wrong, or if the sweep changes nothing.
    """
    file = read_base(config_file) if config_file else {}
    fixed = parse_settings(settings)
    base = {**sweep.base, **file, **fixed}
    added = [Axis.parse(text) for text in grid]
    keys = [axis.key for axis in added]
    if twice := next((key for key in keys if keys.count(key) > 1), None):
        raise ConfigurationError(f"{twice}: is given twice: give all its values at once")
    axes = {axis.key: axis for axis in (*sweep.axes, *added)}
    rules = [*sweep.derivations, *map(Derivation.parse, derive)]
    if changed := fixed.keys() & {*axes, *(rule.target for rule in rules)}:
        raise ConfigurationError(f"{min(changed)}: the sweep changes it, so --set cannot fix it")
    search = sweep.until
    if until:
        if not 0 < until[0] <= 1:
            raise ConfigurationError(f"until {until[0]:g}: should be a share above 0, up to 1")
        find_setting(until[1])
        search = Until(share=until[0], setting=until[1])
    if not axes and not search:
        raise ConfigurationError("a sweep changes settings: give a file, a grid or until")
    return Sweep(
        base,
        tuple(axes.values()),
        tuple({rule.target: rule for rule in rules}.values()),
        one_factor or sweep.one_factor,
        seeds or sweep.seeds,
        search,
    )


def parse_settings(texts: Sequence[str]) -> dict[str, object]:
    """Return the settings written as `section.key=value`; ConfigurationError for other texts."""
    settings = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigurationError(f"{text}: should be section.key=value")
        settings[key.strip()] = parse_value(value.strip())
    return settings


def extend(saved: Sweep, described: Sweep | None, grid: Sequence[str], seeds: int | None) -> Sweep:
    """Return a saved sweep, or the described one in its place, with values and seeds added.

    Raises ConfigurationError for an unknown axis or fewer seeds.
    """
    sweep = described or saved
    axes = {axis.key: axis for axis in sweep.axes}
    for axis in map(Axis.parse, grid):
        if axis.key not in axes:
            raise ConfigurationError(
                f"{axis.key}: is not an axis of this sweep, which has "
                f"{', '.join(axes) or 'none'}: begin another sweep"
            )
        axes[axis.key] = axes[axis.key].with_values(axis.values)
    if seeds is not None and seeds < saved.seeds:
        raise ConfigurationError(f"seeds = {seeds}: the sweep already has {saved.seeds}")
    n_seeds = seeds or max(sweep.seeds, saved.seeds)
    return replace(sweep, axes=tuple(axes.values()), seeds=n_seeds)


def default_name(sweep: Sweep) -> str:
    """Return the default name of a sweep, such as sweep-n_in-units."""
    keys = [axis.key for axis in sweep.axes]
    if sweep.until and sweep.until.setting not in keys:
        keys.append(sweep.until.setting)
    return "-".join(["sweep", *(key.partition(".")[2] for key in keys)])


def read_base(path: Path) -> dict[str, object]:
    """Return the settings in a configuration file, `section.key` and value."""
    return flat_settings(parse_toml(read_text(path, MOST_TOML), str(path)))


def _seen_from(folder: Path, key: str, value: object) -> object:
    """Return a value of a setting; paths in it are relative to a folder."""
    is_path = key in FILES or (key == TASK and names_function(str(value)))
    if not is_path or not isinstance(value, str) or not value:
        return value
    parts = [value] if (folder / value).exists() else value.split(",")
    return ",".join(str(folder / part) for part in parts)


def toml_value(value: object) -> str:
    """Return a setting's value as TOML on one line, which for such values is almost JSON."""
    return json.dumps(value, ensure_ascii=False, default=str).replace("\x7f", "\\u007f")
