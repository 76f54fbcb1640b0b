"""When a training is validated, and the results of its validations."""

from typing import NamedTuple

from seq2seq_cli.config import TrainingConfig
from seq2seq_cli.data.vocabulary import Floats
from seq2seq_cli.runs.checkpoint import TrainingStatus, TrainState
from seq2seq_cli.runs.history import MOST_CALLS, Call, EpochRecord, with_call
from seq2seq_cli.runs.manifest import Results
from seq2seq_cli.training.stopping import is_better


class Progress(NamedTuple):
    """The progress of a training, apart from the state of its steps."""

    status: TrainingStatus
    best_weights: list[Floats]  # of the best validation
    history: tuple[EpochRecord, ...]

    def advanced(self, training: TrainingConfig, call: Call) -> "Progress":
        """Return the progress with the figures of a call; a long training merges them."""
        n_validations = training.epochs * len(places(training, 1))
        calls = with_call(self.status.calls, call, max(4, MOST_CALLS // n_validations))
        return self._replace(status=self.status.model_copy(update={"calls": calls}))

    def validated(
        self,
        training: TrainingConfig,
        epoch: int,
        state: TrainState,
        results: Results,
        learning_rate: float,
        seconds: float,
        speed: float,
    ) -> "Progress":
        """Return the progress after a validation of this state, which is in this epoch.

        An unscheduled validation, after a callback stopped the epoch, is in the history until the
        training resumes. `seconds` and `speed` are the epoch's.
        """
        status = self.status
        steps = state.steps_done - (epoch - 1) * training.epoch_steps
        record = EpochRecord(
            epoch=epoch,
            epochs=training.epochs,
            training_loss=(state.loss_sum - status.loss_sum) / steps,
            learning_rate=learning_rate,
            seconds=round(seconds, 3),
            samples_per_s=round(speed, 1),
            steps_done=state.steps_done,
            is_whole=steps == training.epoch_steps,
            calls=status.calls,
            **results.model_dump() | {"n_samples": steps * training.batch_size},
        )
        history, best_weights = (*self.history, record), self.best_weights
        update: dict[str, object] = {"calls": ()}
        if record.is_whole:
            update |= {"epochs_done": epoch, "loss_sum": state.loss_sum}
        if state.steps_done in places(training, epoch):
            update |= {"validations_done": len(history)}
        if is_better(results, status.best):
            n_samples = None if record.is_whole else record.n_samples
            update |= {"best_epoch": epoch, "best_n_samples": n_samples, "best": results}
            best_weights = state.weights
        return Progress(status.model_copy(update=update), best_weights, history)


def places(training: TrainingConfig, epoch: int) -> list[int]:
    """Return the numbers of steps after which an epoch is validated; the last is its end."""
    end = epoch * training.epoch_steps
    within = range(end - training.epoch_steps, end, training.validation_steps)[1:]
    return [*within, end]


def places_left(
    training: TrainingConfig, epoch: int, steps_done: int, history: tuple[EpochRecord, ...]
) -> list[int]:
    """Return the places from `steps_done` on, including it unless it is validated already."""
    is_validated = bool(history) and history[-1].steps_done == steps_done
    return [place for place in places(training, epoch) if place >= steps_done + is_validated]
