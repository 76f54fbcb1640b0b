"""The events that a sweep reports."""

from collections.abc import Callable
from dataclasses import dataclass

from seq2seq_cli.sweep.cells.plan import PlannedCell
from seq2seq_cli.sweep.record import RunRecord


@dataclass(frozen=True)
class Event:
    """Something that happened; `left_seconds` is what the rest is expected to take."""

    left_seconds: float


@dataclass(frozen=True)
class CellStarted(Event):
    """A cell's process has been started; it is expected to take `seconds`."""

    planned: PlannedCell
    seconds: float


@dataclass(frozen=True)
class CellAgain(Event):
    """A cell's process ended early, and is started again."""

    planned: PlannedCell
    reason: str


@dataclass(frozen=True)
class CellEnded(Event):
    """A cell has ended; `reason` says why any of its seeds is not complete.

    `seconds` is the time of its process; 0 for a cell that was complete before.
    """

    planned: PlannedCell
    records: tuple[RunRecord, ...]
    seconds: float
    reason: str


@dataclass(frozen=True)
class Waited(Event):
    """Some time has passed; `n_workers` cells can be trained at a time."""

    n_workers: int


OnEvent = Callable[[Event], None]
