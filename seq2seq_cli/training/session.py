"""A training from beginning to end: a configuration -> a complete run folder."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import keras
import numpy as np

from seq2seq_cli.config import RunConfig
from seq2seq_cli.errors import ConfigurationError, Stopped
from seq2seq_cli.manifest import (
    CONFIG,
    HISTORY,
    MANIFEST,
    TENSORBOARD,
    Results,
    write_manifest,
)
from seq2seq_cli.runs import Run, create_folder, open_run, reopen_folder
from seq2seq_cli.storage import append_line, write_text
from seq2seq_cli.tasks import get_task
from seq2seq_cli.training import circumstances
from seq2seq_cli.training.callbacks import Callbacks, tensorboard
from seq2seq_cli.training.checkpoint import (
    Checkpoint,
    Progressed,
    check_resumable,
    load_checkpoint,
    save_checkpoint,
)
from seq2seq_cli.training.events import (
    Advanced,
    Compiling,
    EpochEnded,
    Finished,
    Progress,
    Resumed,
)
from seq2seq_cli.training.loop import Loop
from seq2seq_cli.training.models import define_models, save_models
from seq2seq_cli.training.runner import Runner
from seq2seq_cli.training.schedule import learning_rates
from seq2seq_cli.training.stopping import is_better, stop_reason
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
) -> Run:
    """Train the configured model and return its complete run.

    An epoch has `n_samples` new sequences, rounded up to whole batches. The run's folder is named
    after the task unless `run` names it. `callbacks` are standard Keras ones. Checkpoints are
    written every `checkpoint_seconds` and at each epoch's end; with `resume` a training goes on
    from the last one, bit for bit, though epochs, stop_at and patience may have changed.

    Raises ConfigurationError for bad settings and for a loss that is not finite, ExistsError for a
    named run that exists or is in use, ModelError where there is nothing to resume, and
    StorageError where writing fails.
    """
    get_task(config.task)
    runs_dir = Path(runs_dir)
    opened = (
        reopen_folder(runs_dir, run) if resume else create_folder(runs_dir, run, config.task, force)
    )
    with opened as folder:
        extra = [tensorboard(folder / TENSORBOARD)] if write_tensorboard else []
        training = _Training(config, folder, progress, [*callbacks, *extra], checkpoint_seconds)
        if resume:
            training.restore()
        else:
            write_text(folder / CONFIG, config.to_toml())
            write_text(folder / HISTORY, "")
            training.save()
        training.run()
    return open_run(folder.parent, folder.name)


class _Training:
    """A training under way.

    `behind` is replaced as a whole: whenever a signal comes, it fits the loop's state.
    """

    def __init__(
        self,
        config: RunConfig,
        folder: Path,
        progress: Progress | None,
        callbacks: Sequence[keras.callbacks.Callback],
        checkpoint_seconds: float,
    ) -> None:
        self.config = config
        self.folder = folder
        self.report = progress or (lambda event: None)
        self.checkpoint_seconds = checkpoint_seconds
        cardinality = config.task.cardinality
        self.models = define_models(
            cardinality, cardinality, config.model.units, config.training.seed
        )
        self.loop = Loop(self.models[0], config.training)
        self.callbacks = Callbacks(callbacks, self.models[0], config.training.epochs)
        self.steps = -(-config.training.n_samples // config.training.batch_size)  # an epoch
        best_weights: list[Floats] = []
        self.behind = (Progressed(), best_weights)
        self.started = self.saved_at = time.perf_counter()
        self.runner = Runner(self.loop, config, self._rates)

    def run(self) -> None:
        """Train what is left, save the models and complete the folder."""
        try:
            self._train_epochs()
            self._complete()
        except (Stopped, KeyboardInterrupt) as error:
            saved = self._save_after_stop()
            where = (
                "" if self.folder.parent == Path("runs") else f" --runs-dir {self.folder.parent}"
            )
            raise type(error)(
                f"{str(error) or 'interrupted'}, {saved}; go on with: "
                f"s2s train --resume --run {self.folder.name}{where}"
            ) from None
        finally:
            self.runner.close()

    def save(self) -> None:
        """Write a checkpoint, unless the weights are no longer finite: the last good one stays."""
        state = self.loop.state
        if not all(np.isfinite(array).all() for array in state.weights):
            return
        progressed, best_weights = self.behind
        seconds = progressed.seconds + time.perf_counter() - self.started
        update = {"seconds": seconds, "rate_scale": self.callbacks.scale}
        checkpoint = Checkpoint(
            state,
            best_weights,
            progressed.model_copy(update=update),
            self.config,
            circumstances.current(),
        )
        save_checkpoint(self.folder, checkpoint)
        self.saved_at = time.perf_counter()

    def restore(self) -> None:
        """Go on from the newest whole checkpoint."""
        checkpoint, notes = load_checkpoint(self.folder)
        check_resumable(checkpoint.config, self.config)
        progressed, training = checkpoint.progressed, self.config.training
        if (self.folder / MANIFEST).exists():
            if progressed.epochs_done >= training.epochs or stop_reason(progressed, training):
                raise ConfigurationError(
                    f"training.epochs = {training.epochs}: the run {self.folder} is complete after "
                    f"{progressed.epochs_done}; give more --epochs to train it further"
                )
            (self.folder / MANIFEST).unlink()
        write_text(self.folder / CONFIG, self.config.to_toml())
        lines = (self.folder / HISTORY).read_text(encoding="utf-8").splitlines(keepends=True)
        write_text(self.folder / HISTORY, "".join(lines[: progressed.epochs_done]))
        self.loop.state = checkpoint.state
        self.behind = (progressed, checkpoint.best_weights)
        self.callbacks.scale = progressed.rate_scale
        notes += circumstances.differences(checkpoint.circumstances)
        n_samples = checkpoint.state.steps_done * training.batch_size
        epoch = min(progressed.epochs_done + 1, training.epochs)
        self.report(Resumed(epoch, training.epochs, n_samples, tuple(notes)))

    def _train_epochs(self) -> None:
        epochs = self.config.training.epochs
        self.callbacks.begin()
        for epoch in range(self.behind[0].epochs_done + 1, epochs + 1):
            if stop_reason(self.behind[0], self.config.training) or self.callbacks.stop:
                break
            if not self.loop.traces:
                self.report(Compiling(epoch, epochs))
            self._train_epoch(epoch)
        self.callbacks.end()

    def _train_epoch(self, epoch: int) -> None:
        started = time.perf_counter()
        first, end = (epoch - 1) * self.steps, epoch * self.steps
        done_before = self.loop.steps_done
        self.callbacks.begin_epoch(epoch, float(self._rates(done_before, 1)[0]))
        for chunk, seconds in self.runner.steps(end):
            if not np.isfinite(chunk.loss):
                self._refuse(chunk.loss, epoch)
            self.callbacks.batch(self.loop.steps_done - first, chunk.loss)
            share = chunk.exact / chunk.n_samples
            speed = chunk.n_samples / seconds
            epochs = self.config.training.epochs
            self.report(Advanced(epoch, epochs, chunk.n_samples, chunk.loss, share, speed))
            if time.perf_counter() - self.saved_at > self.checkpoint_seconds:
                self.save()
        self._end_epoch(epoch, end - done_before, time.perf_counter() - started)

    def _end_epoch(self, epoch: int, steps: int, seconds: float) -> None:
        """Validate an epoch of which this process has taken `steps` in `seconds`."""
        state, tally = self.loop.state, self.runner.validate()
        low, high = tally.interval
        results = Results(
            exact_match=tally.exact_match,
            exact_match_low=low,
            exact_match_high=high,
            token_accuracy=tally.token_accuracy,
            loss=tally.loss,
            n_samples=tally.n_samples,
        )
        progressed, best_weights = self.behind
        ended = EpochEnded(
            epoch=epoch,
            epochs=self.config.training.epochs,
            training_loss=(state.loss_sum - progressed.loss_sum) / self.steps,
            learning_rate=float(self._rates(epoch * self.steps - 1, 1)[0]),
            seconds=round(seconds, 3),
            samples_per_s=round(steps * self.config.training.batch_size / max(seconds, 1e-9), 1),
            **results.model_dump() | {"n_samples": self.steps * self.config.training.batch_size},
        )
        append_line(self.folder / HISTORY, json.dumps(asdict(ended)))
        update: dict[str, object] = {"epochs_done": epoch, "loss_sum": state.loss_sum}
        if is_better(results, progressed.best):
            update |= {"best_epoch": epoch, "best": results}
            best_weights = state.weights
        self.behind = (progressed.model_copy(update=update), best_weights)
        self.callbacks.end_epoch(ended)
        self.save()
        self.report(ended)

    def _complete(self) -> None:
        """Save the models with the best epoch's weights, and the manifest after them."""
        progressed, best_weights = self.behind
        assert progressed.best is not None
        save_models(self.folder, self.models, best_weights)
        write_manifest(
            self.folder,
            progressed.best,
            circumstances.current(),
            seconds=round(progressed.seconds + time.perf_counter() - self.started, 3),
            now=datetime.now(UTC).isoformat(),
        )
        reason = stop_reason(progressed, self.config.training)
        if self.callbacks.stop:
            reason = reason or "a callback stopped it"
        epoch, epochs = progressed.epochs_done, self.config.training.epochs
        self.report(Finished(epoch, epochs, progressed.best_epoch, reason))

    def _save_after_stop(self) -> str:
        """Write a checkpoint if the loop comes to rest in time; say what there is to go on from."""
        if not self.runner.comes_to_rest(STOP_SECONDS):
            return "the last checkpoint stands"
        self.save()
        return f"checkpoint saved at step {self.loop.steps_done:,}"

    def _refuse(self, loss: float, epoch: int) -> None:
        config = self.config.training
        raise ConfigurationError(
            f"the loss became {loss} at step {self.loop.steps_done:,}, in epoch {epoch}: lower "
            f"training.learning_rate, which is {config.learning_rate}, or set "
            f"training.clip_norm=1.0, which is {config.clip_norm}; the last checkpoint before it "
            f"stays in {self.folder}"
        )

    def _rates(self, start: int, n: int) -> Floats:
        """Return the learning rates of steps `start .. start+n-1`, as callbacks have them."""
        total = self.config.training.epochs * self.steps
        return learning_rates(self.config.training, total, start, n) * self.callbacks.factor
