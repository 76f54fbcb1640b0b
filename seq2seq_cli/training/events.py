"""What a training tells while it runs; every figure is a plain number."""

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
    """All that can be checked beforehand is right; TensorFlow is loaded next."""

    config: RunConfig  # resolved
    report: DataReport | None  # of custom data
    stream: TrainingStream  # that is trained on
    resumed: str  # name of the run that goes on; empty for a new one
    worker: int  # from 1
    n_workers: int
    n_seeds: int = 1  # that are trained one after the other


@dataclass(frozen=True)
class SeedBegun(Event):
    """It is a seed's turn, one of several; the events that follow are of its run."""

    seed: int
    run: str  # its name
    is_complete: bool  # so that it stays as it is


@dataclass(frozen=True)
class SeedFailed(Event):
    """The training of one of several seeds has ended without a run."""

    seed: int
    problem: str


@dataclass(frozen=True)
class Resumed(Event):
    """The training goes on from a checkpoint, after `n_samples` sequences in all."""

    n_samples: int
    notes: tuple[str, ...]  # what may keep it from being bit-identical, or was amiss


@dataclass(frozen=True)
class Built(Event):
    """The model is built; these are its layers."""

    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Compiling(Event):
    """The first steps are about to be compiled and run."""


@dataclass(frozen=True)
class Advanced(Event):
    """Some more steps of an epoch are taken; the figures are theirs."""

    n_samples: int
    loss: float
    exact_match: float
    samples_per_s: float


@dataclass(frozen=True)
class Validated(Event, EpochRecord):
    """What the training has come to is validated on held-out sequences, within an epoch."""


@dataclass(frozen=True)
class EpochEnded(Validated):
    """An epoch is trained and validated; a part of it, where the training stops there."""


@dataclass(frozen=True)
class Finished(Event):
    """The training has ended after `epoch`; the saved weights are those of `best_epoch`.

    Within an epoch, it was after so many of its sequences; None: after all of them.
    """

    n_samples: int | None
    best_epoch: int
    best_n_samples: int | None
    reason: str
    shortfall: str = ""  # what was not learned, and what to try


OnEvent = Callable[[Event], None]
