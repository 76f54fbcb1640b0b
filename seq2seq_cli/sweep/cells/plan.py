"""Checking all cells of a sweep, and estimating their times, before the first one starts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.plan import prepare, wrong_settings
from seq2seq_cli.errors import ConfigurationError, S2sError
from seq2seq_cli.resources import Estimate, check_training
from seq2seq_cli.settings import resolve
from seq2seq_cli.sweep.cells.grid import Cell

MOST_SEED = 2**63


@dataclass(frozen=True)
class PlannedCell:
    """A cell that can be trained; `config` is the complete configuration of its first seed."""

    cell: Cell
    config: RunConfig
    n_seeds: int
    estimate: Estimate

    @property
    def name(self) -> str:
        """The cell's name."""
        return self.cell.name

    @cached_property
    def seeds(self) -> range:
        """The seeds that it is trained under."""
        first = self.config.training.seed
        return range(first, first + self.n_seeds)

    @property
    def steps(self) -> int:
        """Optimizer steps of all its seeds together."""
        return self.n_seeds * self.config.training.total_steps

    def with_seed(self, seed: int) -> RunConfig:
        """Return the configuration of one of its seeds."""
        training = self.config.training.model_copy(update={"seed": seed})
        return self.config.model_copy(update={"training": training})


def plan_cell(cell: Cell, n_seeds: int, jobs: int = 1) -> PlannedCell:
    """Return the plan of a cell; `jobs` cells run in parallel.

    Raises ConfigurationError for settings that are wrong, have no effect, or exceed the memory;
    DataError and StorageError for bad files.
    """
    config = resolve(options=cell.given, check=wrong_settings)
    plan = prepare(config)
    check_training(plan.config, jobs=jobs)
    if plan.config.training.seed + n_seeds > MOST_SEED:
        raise ConfigurationError(f"training.seed = {plan.config.training.seed}: is too large")
    return PlannedCell(cell, plan.config, n_seeds, plan.estimate)


def plan_cells(cells: Iterable[Cell], n_seeds: int, jobs: int = 1) -> list[PlannedCell]:
    """Return the plans of all cells; raises an error with all problems if any cannot be trained."""
    planned, failures = list[PlannedCell](), list[tuple[str, S2sError]]()
    for cell in cells:
        try:
            planned.append(plan_cell(cell, n_seeds, jobs))
        except S2sError as error:
            failures.append((cell.name, error))
    if failures:
        kinds = {type(error) for _, error in failures}
        kind = kinds.pop() if len(kinds) == 1 else ConfigurationError
        raise kind("\n".join(_grouped(failures, len(planned) + len(failures))))
    return planned


def _grouped(failures: Sequence[tuple[str, S2sError]], n_cells: int) -> list[str]:
    """Return a line for each problem, with the cells that have it."""
    cells: dict[str, list[str]] = {}
    for name, error in failures:
        for line in str(error).splitlines():
            cells.setdefault(line, []).append(name)
    return [
        line if len(names) == n_cells else f"{line} (in {_listed(names)})"
        for line, names in cells.items()
    ]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more cells" if len(names) > 3 else shown
