"""A training of a few seconds, which shows that TensorFlow, the cache and the disk work."""

import time
from dataclasses import dataclass
from pathlib import Path

import keras

from seq2seq_cli.config import ModelConfig, RunConfig, TrainingConfig
from seq2seq_cli.runs.listing import Run
from seq2seq_cli.training.compilation_cache import open_cache
from seq2seq_cli.training.events import Advanced, Compiling, Event
from seq2seq_cli.training.program.device import device_name
from seq2seq_cli.training.session import train

CONFIG = RunConfig(
    model=ModelConfig(units=32),
    training=TrainingConfig(n_samples=10**8, schedule="constant"),
)
"""The default task, with more sequences than there is time for."""


@dataclass(frozen=True)
class SelfTest:
    """The result: the run, its speed, and where compiled programs are cached."""

    run: Run
    samples: int
    samples_per_s: float  # once it is compiled
    first_loss: float
    last_loss: float
    is_compiled: bool  # in this process; otherwise the program was cached by an earlier one
    cache: Path | None  # where programs are cached; None if they are not
    n_programs: int
    n_bytes: int
    device: str


class _Limit(keras.callbacks.Callback):  # type: ignore[misc]
    """Stop the training a few seconds after its first call of the program."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds, self._end = seconds, 0.0

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        self._end = self._end or time.monotonic() + self._seconds
        self.model.stop_training = time.monotonic() >= self._end


def run_self_test(folder: Path, seconds: float) -> SelfTest:
    """Train in a folder for this time, not counting compilation, and return the result."""
    events: list[Event] = []
    run = train(CONFIG, folder, "self-test", progress=events.append, callbacks=[_Limit(seconds)])
    assert run is not None  # None only in workers other than the chief
    calls = [event for event in events if isinstance(event, Advanced)]
    later = calls[1:] or calls  # the first one compiles, or loads a cached program
    spent = sum(event.n_samples / event.samples_per_s for event in later)
    cache = open_cache()
    n_programs, n_bytes = cache.size() if cache else (0, 0)
    return SelfTest(
        run=run,
        samples=sum(event.n_samples for event in calls),
        samples_per_s=sum(event.n_samples for event in later) / spent,
        first_loss=calls[0].loss,
        last_loss=calls[-1].loss,
        is_compiled=any(isinstance(event, Compiling) for event in events),
        cache=cache.root if cache else None,
        n_programs=n_programs,
        n_bytes=n_bytes,
        device=device_name(),
    )
