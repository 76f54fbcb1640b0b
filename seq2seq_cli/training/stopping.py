"""Which epoch is the best, and when a training has trained enough."""

from seq2seq_cli.config import TrainingConfig
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.manifest import Results
from seq2seq_cli.training.checkpoint import Progressed


def is_better(results: Results, best: Results | None) -> bool:
    """Tell whether an epoch's results beat the best: by exact match, then by loss."""
    return best is None or _rank(results) > _rank(best)


def stop_reason(progressed: Progressed, config: TrainingConfig) -> str:
    """Return why a training ends before its last epoch; empty where it goes on."""
    if progressed.best is None:
        return ""
    if config.stop_at and progressed.best.exact_match >= config.stop_at:
        return f"exact match {progressed.best.exact_match:.6f} has reached stop_at"
    waited = progressed.epochs_done - progressed.best_epoch
    if config.patience and waited >= config.patience:
        return f"no improvement in {waited} epochs"
    return ""


def loss_error(loss: float, where: str, config: TrainingConfig) -> ConfigurationError:
    """Return the error for a loss that is not finite; the last checkpoint before it stays."""
    return ConfigurationError(
        f"the loss became {loss} {where}: lower training.learning_rate, which is "
        f"{config.learning_rate}, or set training.clip_norm=1.0, which is {config.clip_norm}; "
        "the last checkpoint before it stays"
    )


def _rank(results: Results) -> tuple[float, float]:
    return results.exact_match, -results.loss
