"""The events that a training reports; every figure is a plain number."""

from collections.abc import Callable
from dataclasses import dataclass

from seq2seq_cli.architecture import Layer
from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.plan import DataReport
from seq2seq_cli.data.streams import TrainingStream
from seq2seq_cli.runs.history import EpochRecord


@dataclass(frozen=True)
class Event:
    """Something that happened; `epoch` counts from 1."""

    epoch: int
    epochs: int


@dataclass(frozen=True)
class Planned(Event):
    """Everything that can be checked in advance is right; TensorFlow is loaded next."""

    config: RunConfig  # resolved
    report: DataReport | None  # of custom data
    stream: TrainingStream  # that is trained on
    resumed: str = ""  # name of the run that is resumed; empty for a new one
    worker: int = 1  # from 1
    n_workers: int = 1
    n_seeds: int = 1  # trained one after the other


@dataclass(frozen=True)
class SeedBegun(Event):
    """One of several seeds begins; the following events are of its run."""

    seed: int
    run: str  # its name
    is_complete: bool  # it is complete already and is kept


@dataclass(frozen=True)
class SeedFailed(Event):
    """The training of one of several seeds has ended without a run."""

    seed: int
    problem: str


@dataclass(frozen=True)
class Resumed(Event):
    """The training resumes from a checkpoint, after `n_samples` sequences in total."""

    n_samples: int
    notes: tuple[str, ...]  # what may keep it from being bit-identical, or was wrong


@dataclass(frozen=True)
class Built(Event):
    """The model is built; these are its layers."""

    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Compiling(Event):
    """The first steps are about to be compiled and run."""


@dataclass(frozen=True)
class Advanced(Event):
    """Some steps of an epoch have been taken; the figures are of these."""

    n_samples: int
    loss: float
    exact_match: float
    samples_per_s: float


@dataclass(frozen=True)
class Validated(Event, EpochRecord):
    """The training has been validated on held-out sequences, within an epoch."""


@dataclass(frozen=True)
class EpochEnded(Validated):
    """An epoch, or its part before a stop, has been trained and validated."""


@dataclass(frozen=True)
class Finished(Event):
    """The training has ended in `epoch`; the saved weights are those of `best_epoch`.

    `n_samples` and `best_n_samples` are the numbers of sequences into these epochs; None is all.
    """

    n_samples: int | None
    best_epoch: int
    best_n_samples: int | None
    reason: str
    shortfall: str = ""  # what was not learned, and what to try


OnEvent = Callable[[Event], None]
