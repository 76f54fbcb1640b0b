"""Which validation is the best, when a training is finished, and how a stopped one resumes."""

from dataclasses import replace
from pathlib import Path

from seq2seq_cli.config import RunConfig, TrainingConfig
from seq2seq_cli.errors import ConfigurationError, LossError
from seq2seq_cli.runs.checkpoint import Checkpoint, TrainingStatus, is_stopped
from seq2seq_cli.runs.manifest import MANIFEST, Results


def is_better(results: Results, best: Results | None) -> bool:
    """Return whether a validation's results beat the best: by exact match, then by loss."""
    return best is None or _rank(results) > _rank(best)


def stop_reason(status: TrainingStatus, config: TrainingConfig) -> str:
    """Return why a training ends before its last epoch; empty if it continues."""
    if status.best is None:
        return ""
    if config.stop_at and status.best.exact_match >= config.stop_at:
        return f"exact match {status.best.exact_match:.6f} has reached stop_at"
    waited = status.epochs_done - status.best_epoch
    if config.patience and waited >= config.patience:
        return f"no improvement in {waited} epochs"
    return ""


def has_enough(status: TrainingStatus, config: TrainingConfig) -> bool:
    """Return whether nothing is left to train."""
    return status.epochs_done >= config.epochs or bool(stop_reason(status, config))


def loss_error(loss: float, where: str, config: TrainingConfig) -> LossError:
    """Return the error for a loss that is not finite; the last good checkpoint stays."""
    return LossError(
        f"the loss became {loss} {where}: begin anew, with --force or another --run NAME and "
        f"with a lower training.learning_rate, which is {config.learning_rate}, or with "
        f"training.clip_norm=1.0, which is {config.clip_norm}: a resumed training keeps them"
    )


def to_go_on_from(checkpoint: Checkpoint, config: RunConfig, run: Path) -> Checkpoint:
    """Return a checkpoint with a resumed training's settings, without what is repeated.

    Raises ConfigurationError if the run is complete and there is nothing left to train.
    """
    further = (run / MANIFEST).is_file() and not is_stopped(run)
    status, history = checkpoint.status, checkpoint.history
    enough = has_enough(status, config.training)
    if further and enough:
        raise _complete(run, status, config.training)
    if further or config.training != checkpoint.config.training:
        status = status.model_copy(update={"has_ended": False})
    if not status.has_ended and not enough:
        history = history[: status.validations_done]  # without an epoch that a callback cut short
    return replace(checkpoint, config=config, status=status, history=history)


def left(steps_done: int | None, go_on: str = "") -> str:
    """Return what a stopped training has saved, and the command that resumes it.

    `steps_done` is None if nothing new was saved.
    """
    saved = "the last checkpoint is kept"
    if steps_done is not None:
        saved = f"checkpoint saved at step {steps_done:,}"
    return f"{saved}; resume with: {go_on}" if go_on else saved


def _complete(run: Path, status: TrainingStatus, config: TrainingConfig) -> ConfigurationError:
    reason = stop_reason(status, config)
    if reason and status.epochs_done < config.epochs:
        return ConfigurationError(
            f"training.stop_at = {config.stop_at}, training.patience = {config.patience}: the run "
            f"{run} is complete, {reason}; give others to train it further"
        )
    return ConfigurationError(
        f"training.epochs = {config.epochs}: the run {run} is complete after "
        f"{status.epochs_done}; give more --epochs to train it further"
    )


def _rank(results: Results) -> tuple[float, float]:
    return results.exact_match, -results.loss
