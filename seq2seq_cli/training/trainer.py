"""A running training: its epochs, validations and checkpoints, and what happens when it stops."""

import time
from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np

from seq2seq_cli.architecture import Architecture
from seq2seq_cli.errors import LossError, Stopped
from seq2seq_cli.runs.checkpoint import Checkpoint, TrainingStatus, TrainState, mark_diverged
from seq2seq_cli.runs.history import Call
from seq2seq_cli.runs.manifest import current_environment, differences
from seq2seq_cli.runs.progress import Progress, stop_reason
from seq2seq_cli.training.callbacks import STATE_NOTE, Callbacks, load_callbacks, tensorboard
from seq2seq_cli.training.distribution import LostWorkerError
from seq2seq_cli.training.events import (
    Advanced,
    Built,
    Compiling,
    EpochEnded,
    Finished,
    Resumed,
    Validated,
)
from seq2seq_cli.training.models import models_to_save
from seq2seq_cli.training.outcome import shortfall
from seq2seq_cli.training.program.device import device_name
from seq2seq_cli.training.program.loop import ChunkResult, Loop
from seq2seq_cli.training.program.optimizer import learning_rates
from seq2seq_cli.training.runner import Chunk, Runner
from seq2seq_cli.training.start import Options, Start

STOP_SECONDS = 1.5
"""How long a stopped training waits for the current call before it ends without it."""


class Trainer:
    """A training from its start, by a loop that is at the beginning of the plan.

    Of several workers only the chief has a folder. `_progress` is replaced as a whole, so that it
    fits the loop's state whenever a signal comes.
    """

    def __init__(self, start: Start, loop: Loop, options: Options) -> None:
        config, training, folder = start.plan.config, start.plan.config.training, start.folder
        self._config, self._training = config, training
        self._folder, self._report = folder, options.report
        callbacks = list(options.callbacks)
        if options.callback:
            callbacks += load_callbacks(options.callback, config, folder.run.name if folder else "")
        self._has_state_note = bool(callbacks)
        if options.write_tensorboard and folder:
            callbacks.append(tensorboard(folder.tensorboard))
        self._callbacks = Callbacks(callbacks, loop.model, training, options.callback)
        self._checkpoint_seconds = options.checkpoint_seconds
        self._started = self._saved_at = self._recorded_at = time.perf_counter()
        self._loop, self._runner = loop, Runner(loop, start.plan)
        self._progress = Progress(TrainingStatus(), [], ())
        self._last_state: TrainState | None = None  # once the last step is taken
        if start.checkpoint:
            self._resume(start.checkpoint, start.notes)
        elif folder:
            folder.begin(config)
        self._save()

    def run(self, resume_command: str = "") -> None:
        """Train what is left, save the models and complete the folder.

        If it is stopped, or another worker is lost, the error says what is saved and shows the
        command that resumes it, if there is one.
        """
        try:
            if self._last_state is None:
                self._train_epochs()
            self._complete()
        except LossError:
            if self._folder:
                mark_diverged(self._folder.run)
            raise
        except (Stopped, KeyboardInterrupt, LostWorkerError) as error:
            saved = self._stop(resume_command)
            raise type(error)(f"{str(error) or 'interrupted'}, {saved}") from None
        finally:
            self._runner.close()

    def _resume(self, checkpoint: Checkpoint, notes: tuple[str, ...]) -> None:
        status, state = checkpoint.status, checkpoint.state
        if self._folder:
            self._folder.resume(checkpoint)
        self._loop.state = state
        self._progress = Progress(status, checkpoint.best_weights, checkpoint.history)
        if status.has_ended:
            self._last_state = state
        environment = current_environment(device_name())
        warnings = [*notes, *differences(environment, checkpoint.environment)]
        if self._has_state_note:
            warnings.append(STATE_NOTE)
        epoch = min(status.epochs_done + 1, self._training.epochs)
        n_samples = state.steps_done * self._training.batch_size
        self._report(Resumed(epoch, self._training.epochs, n_samples, tuple(warnings)))

    def _train_epochs(self) -> None:
        epochs, done = self._training.epochs, self._progress.status.epochs_done
        layers = Architecture.of(self._config).all_layers
        self._report(Built(min(done + 1, epochs), epochs, layers))
        if done < epochs and not stop_reason(self._progress.status, self._training):
            self._callbacks.begin(self._rate(self._loop.steps_done))
            for epoch in range(done + 1, epochs + 1):
                self._train_epoch(epoch)
                if self._is_over:
                    break
            self._last_state = self._loop.state  # callbacks may set other weights
            self._callbacks.end(self._rate(self._loop.steps_done - 1))
        self._last_state = self._last_state or self._loop.state

    @property
    def _is_over(self) -> bool:
        """Whether the training stops here, by a callback or by the results of its validations."""
        return self._callbacks.stop or bool(stop_reason(self._progress.status, self._training))

    def _train_epoch(self, epoch: int) -> None:
        """Train an epoch, or the rest of it, and validate it at its scheduled steps."""
        first = (epoch - 1) * self._training.epoch_steps
        self._callbacks.begin_epoch(epoch, self._rate(first))
        steps_done = self._loop.steps_done
        for end in self._progress.validations_left(self._training, epoch, steps_done):
            self._train_until(end, epoch, first)
            self._validate(epoch)
            if self._is_over:
                break

    def _train_until(self, end: int, epoch: int, first: int) -> None:
        """Take the steps before `end` unless a callback stops; the epoch begins at `first`."""
        self._recorded_at = time.perf_counter()
        for chunk in self._runner.chunks(end):
            self._train_chunk(epoch, chunk, chunk.start - first)
            if time.perf_counter() - self._saved_at > self._checkpoint_seconds:
                self._save()
            if self._callbacks.stop:
                break

    def _train_chunk(self, epoch: int, chunk: Chunk, batch: int) -> None:
        """Take the steps of a chunk, the first of which is number `batch` of the epoch, from 0."""
        epochs, n_samples = self._training.epochs, chunk.steps * self._training.batch_size
        if self._runner.compiles(chunk):
            self._report(Compiling(epoch, epochs))
        self._callbacks.begin_batch(batch, float(chunk.rates[0]))
        result, seconds = self._runner.train(chunk)
        self._check_finite(result.loss, epoch)
        call = self._record(chunk, result)
        self._callbacks.end_batch(batch + chunk.steps - 1, call.learning_rate, call.loss)
        speed = n_samples / seconds
        self._report(Advanced(epoch, epochs, n_samples, result.loss, call.exact_match, speed))

    def _record(self, chunk: Chunk, result: ChunkResult) -> Call:
        """Add a trained chunk to the progress; return its figures."""
        share, rate = result.exact / result.n_samples, float(chunk.rates[-1])
        call = Call(chunk.start + chunk.steps, chunk.steps, result.loss, share, rate)
        now = time.perf_counter()
        self._progress = self._progress.with_call(self._training, call, now - self._recorded_at)
        self._recorded_at = now
        return call

    def _validate(self, epoch: int) -> None:
        """Validate an epoch at one of its scheduled steps, or where a callback stopped it."""
        state, results = self._loop.state, self._runner.validate()
        self._check_finite(results.loss, epoch, state)
        rate = self._rate(state.steps_done - 1)
        progress = self._progress.with_validation(self._training, epoch, state, results, rate)
        record = progress.history[-1]
        if self._folder:
            self._folder.add_record(record)
        self._progress = progress
        is_over = record.is_whole or self._is_over
        if is_over:
            self._callbacks.end_epoch(record)
        if self._is_over or progress.status.epochs_done == self._training.epochs:
            self._end()
        self._save()
        self._report((EpochEnded if is_over else Validated)(**asdict(record)))

    def _end(self) -> None:
        status = self._progress.status.model_copy(update={"has_ended": True})
        self._progress = self._progress._replace(status=status)

    def _complete(self) -> None:
        training, history = self._training, self._progress.history
        self._check_finite(history[-1].loss, history[-1].epoch, self._last_state)
        self._end()
        status = self._progress.status
        if self._folder:
            assert status.best is not None
            models = models_to_save(self._config, self._progress.best_weights)
            now = datetime.now(UTC).isoformat()
            self._folder.complete(self._checkpoint(), status.best, models, now)
        last = history[-1]
        reason = stop_reason(status, training)
        if status.epochs_done < training.epochs:
            reason = reason or "a callback stopped it"
        n_samples = None if last.is_whole else last.n_samples
        best = status.best_epoch, status.best_n_samples
        missing = shortfall(self._config, history, self._runner.validated)
        self._report(Finished(last.epoch, training.epochs, n_samples, *best, reason, missing))

    def _checkpoint(self) -> Checkpoint:
        status, best_weights, history = self._progress
        seconds = status.seconds + time.perf_counter() - self._started
        return Checkpoint(
            state=self._last_state or self._loop.state,
            best_weights=best_weights,
            status=status.model_copy(update={"seconds": seconds, "has_diverged": False}),
            config=self._config,
            environment=current_environment(device_name()),
            written_at=datetime.now(UTC).isoformat(),
            history=history,
        )

    def _save(self) -> bool:
        """Write a checkpoint, unless weights are not finite: then the last good one stays."""
        checkpoint = self._checkpoint()
        is_saved = self._folder is not None and _is_finite(checkpoint.state)
        if self._folder and is_saved:
            self._folder.save_checkpoint(checkpoint)
        self._saved_at = time.perf_counter()
        return is_saved

    def _stop(self, resume_command: str) -> str:
        """Write a checkpoint if the current call ends in time; return what is saved."""
        if self._folder is None:
            return "worker 0 has the checkpoint: start all workers again with --resume"
        if self._folder.is_complete:
            return f"the run {self._folder.run} is complete"
        saved = "the last checkpoint is kept"
        if self._runner.wait(STOP_SECONDS):
            chunk, result = self._runner.trained or (None, None)
            if chunk and result and self._progress.steps_done <= chunk.start:
                self._record(chunk, result)
            if self._save():
                saved = f"checkpoint saved at step {self._loop.steps_done:,}"
        return f"{saved}; resume with: {resume_command}" if resume_command else saved

    def _check_finite(self, loss: float, epoch: int, state: TrainState | None = None) -> None:
        """Raise LossError for a loss or weights that are not finite; the last checkpoint stays."""
        problem = f"the loss became {loss}"
        if np.isfinite(loss):
            if state is None or _is_finite(state):
                return
            problem = "the weights became infinite or NaN"
        training = self._training
        raise LossError(
            f"{problem} at step {self._loop.steps_done:,}, in epoch {epoch}: start again, with "
            "--force or another --run NAME and with a lower training.learning_rate, which is "
            f"{training.learning_rate}, or with training.clip_norm=1.0, which is "
            f"{training.clip_norm}: a resumed training keeps them"
        )

    def _rate(self, step: int) -> float:
        return float(learning_rates(self._training, step, 1)[0])


def _is_finite(state: TrainState) -> bool:
    return all(np.isfinite(array).all() for array in state.weights)
