"""The progress of a training: when it is validated, which validation is the best, when it ends."""

from typing import NamedTuple

from seq2seq_cli.config import TrainingConfig
from seq2seq_cli.data.vocabulary import Floats
from seq2seq_cli.runs.checkpoint import TrainingStatus, TrainState
from seq2seq_cli.runs.history import MOST_CALLS, Call, EpochRecord, with_call
from seq2seq_cli.runs.manifest import Results


class Progress(NamedTuple):
    """The progress of a training, apart from the state of its steps."""

    status: TrainingStatus
    best_weights: list[Floats]  # of the best validation
    history: tuple[EpochRecord, ...]

    @property
    def steps_done(self) -> int:
        """The number of steps whose figures are included."""
        figures = self.status.calls or self.history
        return figures[-1].steps_done if figures else 0

    def with_call(self, training: TrainingConfig, call: Call, seconds: float) -> "Progress":
        """Return the progress with the figures of a call; a long training merges them.

        `seconds` is the time since the previous call.
        """
        n_validations = training.epochs * len(scheduled_validations(training, 1))
        calls = with_call(self.status.calls, call, max(4, MOST_CALLS // n_validations))
        update = {"calls": calls, "epoch_seconds": self.status.epoch_seconds + seconds}
        return self._replace(status=self.status.model_copy(update=update))

    def with_validation(
        self,
        training: TrainingConfig,
        epoch: int,
        state: TrainState,
        results: Results,
        learning_rate: float,
    ) -> "Progress":
        """Return the progress after a validation of this state, which is in this epoch.

        An unscheduled validation, after a callback stopped the epoch, is in the history until the
        training resumes.
        """
        status = self.status
        steps = state.steps_done - (epoch - 1) * training.epoch_steps
        n_samples = steps * training.batch_size
        record = EpochRecord(
            epoch=epoch,
            epochs=training.epochs,
            training_loss=(state.loss_sum - status.loss_sum) / steps,
            learning_rate=learning_rate,
            seconds=round(status.epoch_seconds, 3),
            samples_per_s=round(n_samples / max(1e-9, status.epoch_seconds), 1),
            steps_done=state.steps_done,
            is_whole=steps == training.epoch_steps,
            calls=status.calls,
            **results.model_dump() | {"n_samples": n_samples},
        )
        history, best_weights = (*self.history, record), self.best_weights
        update: dict[str, object] = {"calls": ()}
        if record.is_whole:
            update |= {"epochs_done": epoch, "loss_sum": state.loss_sum, "epoch_seconds": 0.0}
        if state.steps_done in scheduled_validations(training, epoch):
            update |= {"validations_done": len(history)}
        if is_better(results, status.best):
            best_n_samples = None if record.is_whole else n_samples
            update |= {"best_epoch": epoch, "best_n_samples": best_n_samples, "best": results}
            best_weights = state.weights
        return Progress(status.model_copy(update=update), best_weights, history)

    def validations_left(self, training: TrainingConfig, epoch: int, steps_done: int) -> list[int]:
        """Return the steps of the epoch's validations that are left after `steps_done` steps."""
        is_validated = bool(self.history) and self.history[-1].steps_done == steps_done
        first = steps_done + is_validated
        return [step for step in scheduled_validations(training, epoch) if step >= first]


def scheduled_validations(training: TrainingConfig, epoch: int) -> list[int]:
    """Return the numbers of steps after which an epoch is validated; the last is its end."""
    end = epoch * training.epoch_steps
    within = range(end - training.epoch_steps, end, training.validation_steps)[1:]
    return [*within, end]


def is_better(results: Results, best: Results | None) -> bool:
    """Return whether a validation's results beat the best: by exact match, then by loss."""
    return best is None or _rank(results) > _rank(best)


def stop_reason(status: TrainingStatus, training: TrainingConfig) -> str:
    """Return why a training ends before its last epoch; empty if it continues."""
    if status.best is None:
        return ""
    if training.stop_at and status.best.exact_match >= training.stop_at:
        return f"exact match {status.best.exact_match:.6f} has reached stop_at"
    waited = status.epochs_done - status.best_epoch
    if training.patience and waited >= training.patience:
        return f"no improvement in {waited} epochs"
    return ""


def is_finished(status: TrainingStatus, training: TrainingConfig) -> bool:
    """Return whether nothing is left to train."""
    return status.epochs_done >= training.epochs or bool(stop_reason(status, training))


def _rank(results: Results) -> tuple[float, float]:
    return results.exact_match, -results.loss
