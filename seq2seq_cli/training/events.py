"""What a training tells while it runs; every figure is a plain number."""

from collections.abc import Callable
from dataclasses import dataclass

from seq2seq_cli.manifest import LayerSummary


@dataclass(frozen=True)
class Event:
    """Something that happened; `epoch` counts from 1."""

    epoch: int
    epochs: int


@dataclass(frozen=True)
class Resumed(Event):
    """The training goes on from a checkpoint, after `n_samples` sequences in all."""

    n_samples: int
    notes: tuple[str, ...]  # what keeps it from being bit-identical, or was amiss


@dataclass(frozen=True)
class Built(Event):
    """The model is built; these are its layers."""

    layers: tuple[LayerSummary, ...]


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
class EpochEnded(Event):
    """An epoch is trained and validated on held-out sequences: a line of the history."""

    n_samples: int  # of the epoch
    training_loss: float
    loss: float
    exact_match: float
    exact_match_low: float
    exact_match_high: float
    token_accuracy: float
    learning_rate: float
    seconds: float
    samples_per_s: float


@dataclass(frozen=True)
class Finished(Event):
    """The training has ended after `epoch`; the saved weights are those of `best_epoch`."""

    best_epoch: int
    reason: str


Progress = Callable[[Event], None]
