"""The charts' data of a sweep: the grid of its cells, and lines with every seed."""

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from seq2seq_cli.sweep.cells.description import Sweep
from seq2seq_cli.sweep.record import RunRecord

MOST_GRIDS = 6
"""Grids, each of two settings, that are drawn of a sweep of more settings."""

BASE = "base"
"""The value of a setting where it is not changed."""


@dataclass(frozen=True)
class Grid:
    """The medians of the exact matches over two settings; None where nothing is trained."""

    row_setting: str
    column_setting: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    others: str  # the other settings' values


@dataclass(frozen=True)
class Line:
    """The exact match of every seed over a setting's values, the others being alike."""

    setting: str
    name: str  # the others' values
    at: tuple[str, ...]
    seeds: tuple[int, ...]
    share: tuple[float, ...]

    @property
    def medians(self) -> dict[str, float]:
        """Return the median of the seeds at each value."""
        pairs = list(zip(self.at, self.share, strict=True))
        return {at: median(s for a, s in pairs if a == at) for at in dict.fromkeys(self.at)}


def latest(records: Iterable[RunRecord]) -> list[RunRecord]:
    """Return the last record of each cell and seed."""
    return list({(record.cell, record.seed): record for record in records}.values())


def grids(sweep: Sweep, records: Sequence[RunRecord]) -> list[Grid]:
    """Return a grid of the first two settings that are changed, for each value of the others.

    Where one factor is changed at a time, or one alone, there is none.
    """
    keys = changed(sweep, records)
    if len(keys) < 2 or sweep.one_factor:
        return []
    column_key, row_key, *others = keys
    rows, columns = (_values(records, key) for key in (row_key, column_key))
    found = []
    for rest in itertools.product(*(_values(records, key) for key in others)):
        values = tuple(
            tuple(
                _median(records, dict(zip(keys, (column, row, *rest), strict=True)))
                for column in columns
            )
            for row in rows
        )
        if any(value is not None for line in values for value in line):
            told = ", ".join(f"{key} = {value}" for key, value in zip(others, rest, strict=True))
            found.append(Grid(row_key, column_key, rows, columns, values, told))
    return found[:MOST_GRIDS]


def lines(sweep: Sweep, records: Sequence[RunRecord]) -> list[Line]:
    """Return a line over the first setting for each value of the others.

    Where one factor is changed at a time it is one over each setting.
    """
    keys = changed(sweep, records)
    found = list[Line]()
    for key in keys if sweep.one_factor else keys[:1]:
        groups: dict[str, list[RunRecord]] = {}
        for record in records:
            others = [other for other in keys if other != key]
            if sweep.one_factor and any(_value(record, other) != BASE for other in others):
                continue
            told = ", ".join(f"{other} = {_value(record, other)}" for other in others)
            groups.setdefault("" if sweep.one_factor else told, []).append(record)
        order = _values(records, key)
        for name, group in groups.items():
            seen = [record for record in group if record.exact_match is not None]
            seen.sort(key=lambda record: (order.index(_value(record, key)), record.seed))
            rows = [(_value(r, key), r.seed, r.exact_match or 0.0) for r in seen]
            if rows:
                found.append(Line(key, name, *zip(*rows, strict=True)))
    return found


def changed(sweep: Sweep, records: Sequence[RunRecord]) -> list[str]:
    """Return the settings that are changed, and do not follow from others, in the sweep's order."""
    keys = [axis.key for axis in sweep.axes]
    if sweep.until:
        keys = [sweep.until.setting, *(key for key in keys if key != sweep.until.setting)]
    several = [key for key in keys if len(_values(records, key)) > 1]
    return several or keys[:1]


def _median(records: Sequence[RunRecord], wanted: dict[str, str]) -> float | None:
    shares = [
        record.exact_match
        for record in records
        if record.exact_match is not None
        and all(_value(record, key) == value for key, value in wanted.items())
    ]
    return median(shares) if shares else None


def _values(records: Sequence[RunRecord], key: str) -> tuple[str, ...]:
    return in_order(_value(record, key) for record in records)


def in_order(values: Iterable[str]) -> tuple[str, ...]:
    """Return each of these values once, in their order where they are numbers."""
    found = dict.fromkeys(values)
    try:
        return tuple(sorted(found, key=float))
    except ValueError:
        return tuple(found)


def _value(record: RunRecord, key: str) -> str:
    value = record.settings.get(key, BASE)
    return value if isinstance(value, str) else json.dumps(value)
