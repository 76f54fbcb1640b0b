"""A training from beginning to end: a configuration -> a complete run folder."""

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TextIO

import keras
import numpy as np

from seq2seq_cli.config import RunConfig
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.manifest import (
    CONFIG,
    DECODER_MODEL,
    ENCODER_MODEL,
    HISTORY,
    TRAIN_MODEL,
    Results,
    write_manifest,
)
from seq2seq_cli.metrics import Tally
from seq2seq_cli.runs import Run, create_folder, open_run
from seq2seq_cli.sampling import Split, draw_pairs
from seq2seq_cli.storage import atomic_path, write_text
from seq2seq_cli.tasks import get_task
from seq2seq_cli.training.loop import CHUNK, Loop
from seq2seq_cli.training.models import define_models
from seq2seq_cli.training.schedule import learning_rates
from seq2seq_cli.vocabulary import Floats, Ids

VALIDATION_SAMPLES = 10_000
VALIDATION_BATCH = 1024


@dataclass(frozen=True)
class Event:
    """What a training tells while it runs; `epoch` counts from 1."""

    epoch: int
    epochs: int


@dataclass(frozen=True)
class Compiling(Event):
    """The first chunk is about to be compiled and run."""


@dataclass(frozen=True)
class Advanced(Event):
    """Another chunk of an epoch is trained; the figures are the chunk's own."""

    n_samples: int
    loss: float
    exact_match: float
    samples_per_s: float


@dataclass(frozen=True)
class EpochEnded(Event):
    """An epoch is trained and validated on held-out sequences."""

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


Progress = Callable[[Event], None]


def train(
    config: RunConfig,
    runs_dir: str | Path = "runs",
    run: str | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Train the configured model and return its complete run.

    An epoch has `n_samples` new sequences, rounded up to whole batches. The run's folder is named
    after the task unless `run` names it. Nothing is left behind when the training fails. Raises
    ConfigurationError for bad settings, ExistsError for a named run that exists or is in use, and
    OSError where writing fails.
    """
    get_task(config.task)
    started = time.perf_counter()
    with create_folder(Path(runs_dir), run, config.task, force) as folder:
        write_text(folder / CONFIG, config.to_toml())
        models = _define(config)
        with (folder / HISTORY).open("w", encoding="utf-8") as history:
            results = _run_epochs(config, models[0], history, progress)
        for name, model in zip((TRAIN_MODEL, ENCODER_MODEL, DECODER_MODEL), models, strict=True):
            with atomic_path(folder / name) as path:
                model.save(path)
        write_manifest(
            folder,
            results,
            seconds=round(time.perf_counter() - started, 3),
            versions={
                package: version(package)
                for package in ("seq2seq-cli", "tensorflow", "keras", "numpy")
            },
            threads=os.cpu_count() or 1,
            now=datetime.now(UTC).isoformat(),
        )
    return open_run(folder.parent, folder.name)


def _define(config: RunConfig) -> tuple[keras.Model, keras.Model, keras.Model]:
    cardinality = config.task.cardinality
    return define_models(cardinality, cardinality, config.model.units, config.training.seed)


def _run_epochs(
    config: RunConfig, model: keras.Model, history: TextIO, progress: Progress | None
) -> Results:
    """Train all epochs, write a line of history for each, and return the last one's results."""
    loop = Loop(model, config.training)
    epochs = config.training.epochs
    steps = -(-config.training.n_samples // config.training.batch_size)
    report = progress or (lambda event: None)
    for epoch in range(1, epochs + 1):
        started = time.perf_counter()
        loss_sum = 0.0
        if epoch == 1:
            report(Compiling(epoch, epochs))
        rates = np.zeros(0, np.float32)
        for sources, targets, rates in _chunks(config, (epoch - 1) * steps, epoch * steps):
            chunk_started = time.perf_counter()
            chunk = loop.train(sources, targets, rates)
            chunk_seconds = time.perf_counter() - chunk_started
            if not np.isfinite(chunk.loss):
                raise ConfigurationError(
                    f"the loss became {chunk.loss} in epoch {epoch}: lower training.learning_rate, "
                    f"which is {config.training.learning_rate}, or set training.clip_norm=1.0"
                )
            loss_sum += chunk.loss * len(rates)
            report(
                Advanced(
                    epoch,
                    epochs,
                    n_samples=chunk.n_samples,
                    loss=chunk.loss,
                    exact_match=chunk.exact / chunk.n_samples,
                    samples_per_s=chunk.n_samples / chunk_seconds,
                )
            )
        seconds = time.perf_counter() - started
        tally = _validate(config, loop)
        low, high = tally.interval
        ended = EpochEnded(
            epoch=epoch,
            epochs=epochs,
            n_samples=steps * config.training.batch_size,
            training_loss=loss_sum / steps,
            loss=tally.loss,
            exact_match=tally.exact_match,
            exact_match_low=low,
            exact_match_high=high,
            token_accuracy=tally.token_accuracy,
            learning_rate=float(rates[-1]),
            seconds=round(seconds, 3),
            samples_per_s=round(steps * config.training.batch_size / seconds, 1),
        )
        history.write(json.dumps(asdict(ended)) + "\n")
        history.flush()
        report(ended)
    return Results(
        exact_match=tally.exact_match,
        exact_match_low=low,
        exact_match_high=high,
        token_accuracy=tally.token_accuracy,
        loss=tally.loss,
        n_samples=tally.n_samples,
    )


def _chunks(config: RunConfig, start: int, stop: int) -> Iterator[tuple[Ids, Ids, Floats]]:
    """Yield sequences and learning rates of steps `start .. stop-1`, CHUNK steps at a time.

    The next chunk is drawn while the one before is trained on.
    """
    size = config.training.batch_size
    total = config.training.epochs * -(-config.training.n_samples // size)

    def draw(step: int) -> tuple[Ids, Ids, Floats]:
        n = min(CHUNK, stop - step)
        pairs = draw_pairs(config.task, Split.TRAIN, config.training.seed, step * size, n * size)
        return *pairs, learning_rates(config.training, total, step, n)

    with ThreadPoolExecutor(1) as pool:
        upcoming = pool.submit(draw, start)
        for step in range(start, stop, CHUNK):
            current = upcoming.result()
            if step + CHUNK < stop:
                upcoming = pool.submit(draw, step + CHUNK)
            yield current


def _validate(config: RunConfig, loop: Loop) -> Tally:
    tally = Tally()
    for start in range(0, VALIDATION_SAMPLES, VALIDATION_BATCH):
        n = min(VALIDATION_BATCH, VALIDATION_SAMPLES - start)
        pairs = draw_pairs(config.task, Split.VALIDATION, config.training.seed, start, n)
        tokens, log_likelihood = loop.validate(*pairs)
        tally.add(tokens, pairs[1], log_likelihood)
    return tally
