"""A training from beginning to end: a configuration -> a complete run folder."""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import keras
import numpy as np

from seq2seq_cli.config import RunConfig
from seq2seq_cli.errors import ConfigurationError, Stopped
from seq2seq_cli.folders import create_folder, reopen_folder
from seq2seq_cli.manifest import TENSORBOARD
from seq2seq_cli.runs import Run, open_run
from seq2seq_cli.streams import open_stream
from seq2seq_cli.tasks import get_task
from seq2seq_cli.training import circumstances
from seq2seq_cli.training.callbacks import Callbacks, tensorboard
from seq2seq_cli.training.checkpoint import (
    Checkpoint,
    Progressed,
    check_resumable,
    decode,
    encode,
    load_checkpoint,
)
from seq2seq_cli.training.cluster import Cluster, read_cluster
from seq2seq_cli.training.curriculum import Stage, stages
from seq2seq_cli.training.distribution import DistributedLoop, find_strategy
from seq2seq_cli.training.events import (
    Advanced,
    Built,
    Compiling,
    EpochEnded,
    Finished,
    Progress,
    Resumed,
)
from seq2seq_cli.training.loop import ChunkResult, Loop
from seq2seq_cli.training.models import build_models, summarize
from seq2seq_cli.training.runner import Runner
from seq2seq_cli.training.schedule import learning_rates
from seq2seq_cli.training.stopping import is_better, loss_error, stop_reason
from seq2seq_cli.training.writer import RunWriter
from seq2seq_cli.vocabulary import Floats

CHECKPOINT_SECONDS = 60.0
STOP_SECONDS = 1.5
"""How long a stopped training waits for the end of a call before it leaves without it."""


def train(
    config: RunConfig,
    runs_dir: str | Path = "runs",
    run: str | None = None,
    force: bool = False,
    progress: Progress | None = None,
    *,
    resume: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    write_tensorboard: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> Run | None:
    """Train the configured model and return its complete run.

    An epoch has `n_samples` new sequences, rounded up to whole batches. The run's folder is named
    after the task unless `run` names it. `callbacks` are standard Keras ones. Checkpoints are
    written every `checkpoint_seconds` and at each epoch's end; with `resume` a training goes on
    from the last one, bit for bit, though epochs, stop_at and patience may have changed.

    Where TF_CONFIG names several workers they train together; the chief alone writes and has a run
    to return, the others return None.

    Raises ConfigurationError for bad settings and for a loss that is not finite, ExistsError for a
    named run that exists or is in use, ModelError where there is nothing to resume, and
    StorageError where writing fails or another worker is gone.
    """
    get_task(config.task)
    planned = stages(config)
    runs_dir, cluster = Path(runs_dir), read_cluster()
    if not cluster.is_chief:
        opened: AbstractContextManager[Path | None] = nullcontext()
    elif resume:
        opened = reopen_folder(runs_dir, run)
    else:
        opened = create_folder(runs_dir, run, config.task, force)
    with opened as folder:
        extra = [tensorboard(folder / TENSORBOARD)] if write_tensorboard and folder else []
        training = _Training(config, planned, folder, cluster, progress, [*callbacks, *extra])
        training.checkpoint_seconds = checkpoint_seconds
        training.begin(resume)
        training.run()
    return open_run(folder.parent, folder.name) if folder else None


class _Training:
    """A training under way.

    `behind` is replaced as a whole: whenever a signal comes, it fits the loop's state.
    """

    checkpoint_seconds = CHECKPOINT_SECONDS

    def __init__(
        self,
        config: RunConfig,
        planned: Sequence[Stage],
        folder: Path | None,
        cluster: Cluster,
        progress: Progress | None,
        callbacks: Sequence[keras.callbacks.Callback],
    ) -> None:
        strategy = find_strategy(cluster)  # before anything else is computed
        self.config = config
        self.writer = RunWriter(folder)
        self.report = progress or (lambda event: None)
        self.models = build_models(config)
        self.loop = (
            DistributedLoop(self.models[0], config, strategy, cluster)
            if strategy
            else Loop(self.models[0], config)
        )
        self.callbacks = Callbacks(callbacks, self.models[0], config.training.epochs)
        self.stages = planned
        best_weights: list[Floats] = []
        self.behind = (Progressed(), best_weights)
        self.started = self.saved_at = time.perf_counter()
        self.runner = Runner(self.loop, open_stream(config), config, self._rates)

    def begin(self, resume: bool) -> None:
        """Begin anew, or go on from the newest whole checkpoint; in all workers as in the chief."""
        folder, description, content, notes = self.writer.folder, "", b"", list[str]()
        if resume and folder:
            checkpoint, notes = load_checkpoint(folder)
            check_resumable(checkpoint.config, self.config)
            description, content = encode(checkpoint)
        description = self.loop.share(description.encode()).decode()
        content = self.loop.share(content)
        if description:
            self._restore(decode(description, content), notes)
        else:
            self.writer.begin(self.config)
            self.save()

    def run(self) -> None:
        """Train what is left, save the models and complete the folder."""
        try:
            self._train_epochs()
            self._complete()
        except (Stopped, KeyboardInterrupt) as error:
            saved = self._save_after_stop()
            raise type(error)(f"{str(error) or 'interrupted'}, {saved}") from None
        finally:
            self.runner.close()

    def save(self) -> None:
        """Write a checkpoint, unless the weights are no longer finite: the last good one stays."""
        state = self.loop.state
        if all(np.isfinite(array).all() for array in state.weights):
            update = {"seconds": self._seconds(), "rate_scale": self.callbacks.scale}
            progressed, best_weights = self.behind
            progressed = progressed.model_copy(update=update)
            now = circumstances.current()
            self.writer.save(Checkpoint(state, best_weights, progressed, self.config, now))
        self.saved_at = time.perf_counter()

    def _restore(self, checkpoint: Checkpoint, notes: list[str]) -> None:
        progressed, training = checkpoint.progressed, self.config.training
        done = progressed.epochs_done
        enough = done >= training.epochs or stop_reason(progressed, training)
        if enough and self.writer.is_complete:
            raise ConfigurationError(
                f"training.epochs = {training.epochs}: the run {self.writer.folder} is complete "
                f"after {done}; give more --epochs to train it further"
            )
        self.writer.go_on(self.config, done)
        self.loop.state = checkpoint.state
        self.behind = (progressed, checkpoint.best_weights)
        self.callbacks.scale = progressed.rate_scale
        notes += circumstances.differences(checkpoint.circumstances)
        n_samples = checkpoint.state.steps_done * training.batch_size
        epoch = min(done + 1, training.epochs)
        self.report(Resumed(epoch, training.epochs, n_samples, tuple(notes)))

    def _train_epochs(self) -> None:
        epochs = self.config.training.epochs
        self.report(Built(self.behind[0].epochs_done, epochs, summarize(self.models[0])))
        self.callbacks.begin()
        for epoch in range(self.behind[0].epochs_done + 1, epochs + 1):
            if stop_reason(self.behind[0], self.config.training) or self.callbacks.stop:
                break
            self._train_epoch(epoch)
        self.callbacks.end()

    def _train_epoch(self, epoch: int) -> None:
        started = time.perf_counter()
        training, done_before = self.config.training, self.loop.steps_done
        epochs = training.epochs
        end = epoch * training.epoch_steps
        first = end - training.epoch_steps
        self.callbacks.begin_epoch(epoch, float(self._rates(done_before, 1)[0]))
        for chunk, seconds in self._steps(epoch, end):
            if not np.isfinite(chunk.loss):
                where = f"at step {self.loop.steps_done:,}, in epoch {epoch}"
                raise loss_error(chunk.loss, where, training)
            self.callbacks.batch(self.loop.steps_done - first, chunk.loss)
            share = chunk.exact / chunk.n_samples
            speed = chunk.n_samples / seconds
            self.report(Advanced(epoch, epochs, chunk.n_samples, chunk.loss, share, speed))
            if time.perf_counter() - self.saved_at > self.checkpoint_seconds:
                self.save()
        self._end_epoch(epoch, end - done_before, time.perf_counter() - started)

    def _steps(self, epoch: int, end: int) -> Iterator[tuple[ChunkResult, float]]:
        """Take the steps before `end`, each on its stage."""
        for stage in self.stages:
            stop = min(stage.stop, end)
            if self.loop.steps_done < stop:
                if stage.task != self.runner.task:
                    self.report(Compiling(epoch, self.config.training.epochs))
                yield from self.runner.steps(stage, stop)

    def _end_epoch(self, epoch: int, steps: int, seconds: float) -> None:
        """Validate an epoch of which this process has taken `steps` in `seconds`."""
        training, state = self.config.training, self.loop.state
        results = self.runner.validate()
        progressed, best_weights = self.behind
        ended = EpochEnded(
            epoch=epoch,
            epochs=training.epochs,
            training_loss=(state.loss_sum - progressed.loss_sum) / training.epoch_steps,
            learning_rate=float(self._rates(epoch * training.epoch_steps - 1, 1)[0]),
            seconds=round(seconds, 3),
            samples_per_s=round(steps * training.batch_size / seconds, 1),
            **results.model_dump() | {"n_samples": training.epoch_steps * training.batch_size},
        )
        self.writer.add(ended)
        update: dict[str, object] = {"epochs_done": epoch, "loss_sum": state.loss_sum}
        if is_better(results, progressed.best):
            update |= {"best_epoch": epoch, "best": results}
            best_weights = state.weights
        self.behind = (progressed.model_copy(update=update), best_weights)
        self.callbacks.end_epoch(ended)
        self.save()
        self.report(ended)

    def _complete(self) -> None:
        progressed, best_weights = self.behind
        assert progressed.best is not None
        self.writer.complete(self.models, best_weights, progressed.best, self._seconds())
        reason = stop_reason(progressed, self.config.training)
        if self.callbacks.stop:
            reason = reason or "a callback stopped it"
        epoch, epochs = progressed.epochs_done, self.config.training.epochs
        self.report(Finished(epoch, epochs, progressed.best_epoch, reason))

    def _save_after_stop(self) -> str:
        """Write a checkpoint if the loop comes to rest in time; say what there is to go on from."""
        if not self.runner.comes_to_rest(STOP_SECONDS):
            return self.writer.advice(None)
        self.save()
        return self.writer.advice(self.loop.steps_done)

    def _seconds(self) -> float:
        """Return the training's seconds in all processes one after the other."""
        return self.behind[0].seconds + time.perf_counter() - self.started

    def _rates(self, start: int, n: int) -> Floats:
        """Return the learning rates of steps `start .. start+n-1`, as callbacks have them."""
        return learning_rates(self.config.training, start, n) * self.callbacks.factor
