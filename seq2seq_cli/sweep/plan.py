"""Checking all cells of a sweep, and estimating their times, before the first one starts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.plan import prepare, wrong_settings
from seq2seq_cli.errors import ConfigurationError, S2sError
from seq2seq_cli.resources import Estimate, check_training
from seq2seq_cli.settings import resolve
from seq2seq_cli.sweep.grid import Cell

MOST_SEED = 2**63

TRUST_SECONDS = 20.0
"""Seconds of finished trainings that count as much as the estimate."""

ONE_CORE = 1.5
"""How many times as long a training takes on one core as on two."""


@dataclass(frozen=True)
class PlannedCell:
    """A cell that can be trained; `config` is the complete configuration of its first seed."""

    cell: Cell
    config: RunConfig
    seeds: range
    missing: tuple[int, ...]  # seeds that are not complete
    estimate: Estimate

    @property
    def name(self) -> str:
        """The cell's name."""
        return self.cell.name

    @property
    def steps(self) -> int:
        """Optimizer steps of the missing seeds; stopped trainings count in full."""
        return len(self.missing) * self.config.training.total_steps

    @property
    def seconds(self) -> float:
        """The estimated time of the missing seeds."""
        return self.estimate.seconds(len(self.missing))

    def with_seed(self, seed: int) -> RunConfig:
        """Return the configuration of one of its seeds."""
        training = self.config.training.model_copy(update={"seed": seed})
        return self.config.model_copy(update={"training": training})


class Pace:
    """Corrects the estimated times of trainings by the times of those that have finished."""

    def __init__(self, threads: int = 0) -> None:
        """Begin with estimates for trainings of this many threads each; 0 is all."""
        self._estimated = TRUST_SECONDS
        self._measured = TRUST_SECONDS * (ONE_CORE if threads == 1 else 1)

    def learn(self, estimated: float, measured: float) -> None:
        """Take the estimated and the measured seconds of a training into account."""
        self._estimated += estimated
        self._measured += measured

    def expected(self, estimated: float) -> float:
        """Return the corrected seconds."""
        return estimated * self._measured / self._estimated

    def left(self, estimated: Sequence[float], slots: int) -> float:
        """Return the corrected seconds of several trainings, `slots` of them at a time."""
        return self.expected(max(sum(estimated) / max(1, slots), max(estimated, default=0.0)))


def plan_cell(cell: Cell, n_seeds: int, jobs: int = 1) -> PlannedCell:
    """Return the plan of a cell; `jobs` cells run in parallel.

    Raises ConfigurationError for settings that are wrong, have no effect, or exceed the memory;
    DataError and StorageError for bad files.
    """
    plan = prepare(resolve(options=cell.settings, check=wrong_settings))
    check_training(plan.config, jobs=jobs)
    first = plan.config.training.seed
    if first + n_seeds > MOST_SEED:
        raise ConfigurationError(f"training.seed = {first}: is too large")
    seeds = range(first, first + n_seeds)
    return PlannedCell(cell, plan.config, seeds, tuple(seeds), plan.estimate)


def plan_cells(cells: Iterable[Cell], n_seeds: int, jobs: int = 1) -> list[PlannedCell]:
    """Return the plans of all cells; raises an error with all problems if any cannot be trained.

    Raises ConfigurationError if two have the same settings, written differently.
    """
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
    names: dict[str, str] = {}
    for item in planned:
        twin = names.setdefault(item.config.to_toml(), item.name)
        if twin != item.name:
            raise ConfigurationError(
                f"the cells {twin} and {item.name} have the same settings: use only one of the two"
            )
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
