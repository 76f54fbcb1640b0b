"""When a training is validated, and what its validations have come to."""

from typing import NamedTuple

from seq2seq_cli.config import TrainingConfig
from seq2seq_cli.data.vocabulary import Floats
from seq2seq_cli.runs.checkpoint import TrainingStatus, TrainState
from seq2seq_cli.runs.history import EpochRecord
from seq2seq_cli.runs.manifest import Results
from seq2seq_cli.training.stopping import is_better


class Progress(NamedTuple):
    """How far a training has come, apart from the state of its steps."""

    status: TrainingStatus
    best_weights: list[Floats]  # of the best validation, wherever it was
    history: tuple[EpochRecord, ...]

    def validated(self, record: EpochRecord, results: Results, state: TrainState) -> "Progress":
        """Return the progress after a validation of this state.

        One that is at none of the validations' places, since a callback has stopped the epoch, is
        in the history until the training goes on.
        """
        status = self.status
        update: dict[str, object] = {}
        if record.is_whole:
            update |= {"epochs_done": record.epoch, "loss_sum": state.loss_sum}
        best_weights = self.best_weights
        if is_better(results, status.best):
            n_samples = None if record.is_whole else record.n_samples
            update |= {"best_epoch": record.epoch, "best_n_samples": n_samples, "best": results}
            best_weights = state.weights
        history = (*self.history, record)
        return Progress(status.model_copy(update=update), best_weights, history)

    def keep_validation(self) -> "Progress":
        """Return the progress with the last validation as one that a resumed training keeps."""
        update = {"validations_done": len(self.history)}
        return self._replace(status=self.status.model_copy(update=update))


def places(training: TrainingConfig, epoch: int) -> list[int]:
    """Return the numbers of steps after which an epoch is validated, the last one at its end."""
    end = epoch * training.epoch_steps
    within = range(end - training.epoch_steps, end, training.validation_steps)[1:]
    return [*within, end]


def places_left(
    training: TrainingConfig, epoch: int, steps_done: int, history: tuple[EpochRecord, ...]
) -> list[int]:
    """Return those that are left after `steps_done`, with this one if it is not validated yet."""
    is_validated = bool(history) and history[-1].steps_done == steps_done
    return [place for place in places(training, epoch) if place >= steps_done + is_validated]
