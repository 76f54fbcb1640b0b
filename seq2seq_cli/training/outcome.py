"""Whether a training learned its task, and what to try where it did not."""

from collections.abc import Sequence

import numpy as np

from seq2seq_cli.config import RunConfig, TrainingConfig
from seq2seq_cli.data.vocabulary import PADDING, Ids, widen
from seq2seq_cli.metrics import LEARNED
from seq2seq_cli.runs.history import EpochRecord
from seq2seq_cli.shipped import suggest

CHANCE_SHARE = 0.95
"""A loss of at least this share of the guessing loss counts as guessing."""

FALLING_SHARE = 0.9
"""A loss is still falling if in the last fifth of the steps it is below this share of the loss in
the fifth before."""


def shortfall(config: RunConfig, history: tuple[EpochRecord, ...], validated: Sequence[Ids]) -> str:
    """Return what a training did not reach, and what to try; empty if it reached everything.

    `validated` are batches of held-out targets, (n, steps) each. A training that is resumed after
    its last validation has none, and is not compared with guessing.
    """
    best = max(history, key=lambda record: (record.exact_match, -record.loss))
    if best.exact_match >= LEARNED:
        return ""
    guessing = guessing_loss(validated) if validated else float("inf")
    if best.loss >= CHANCE_SHARE * guessing:
        losses = f"the held-out loss is {best.loss:.3f}, and that of guessing is {guessing:.3f}"
        return f"nothing was learned: {losses}; {_advice(config)}"
    if _is_falling(history):
        return f"the loss was still falling at the end; {_advice(config)}"
    return _advice(config) if _has_few_steps(config) else ""


def guessing_loss(batches: Sequence[Ids]) -> float:
    """Return the loss per token, in nats, of guessing by each token's frequency at its position.

    The batches are targets (n, steps); the number of steps may differ.
    """
    width, total = max(batch.shape[1] for batch in batches), 0.0
    targets = np.concatenate([widen(batch, width) for batch in batches])
    for column in targets.T:
        _, counts = np.unique(column[column != PADDING], return_counts=True)
        total -= float((counts * np.log(counts / counts.sum())).sum())
    return total / np.count_nonzero(targets != PADDING)


def _is_falling(history: tuple[EpochRecord, ...]) -> bool:
    calls = [call for record in history for call in record.calls]
    end = calls[-1].steps_done if calls else 0
    means = []
    for low, high in ((0.6, 0.8), (0.8, 1.0)):
        part = [call for call in calls if low * end < call.steps_done <= high * end]
        if not part:
            return False
        losses, steps = [call.loss for call in part], [call.steps for call in part]
        means.append(float(np.average(losses, weights=steps)))
    return means[1] < FALLING_SHARE * means[0]


def _has_few_steps(config: RunConfig) -> bool:
    return config.training.total_steps < TrainingConfig().total_steps


def _advice(config: RunConfig) -> str:
    training, better = config.training, suggest(config)
    if _has_few_steps(config) and not better:
        epochs = -(-TrainingConfig().total_steps // training.epoch_steps)
        return (
            f"only {training.total_steps:,} optimizer steps: `--epochs {epochs}` makes as many as "
            "the seed task has"
        )
    option = f"--epochs {2 * training.epochs}"
    if not config.task.data:
        option = f"--n-samples {2 * training.n_samples}"
    advice = [f"more steps, such as {option}"]
    if better:
        advice.insert(0, f"the settings of `--config {better}`")
    elif config.model.attention == "none":
        advice.insert(0, "--attention dot")
    return f"try {' or '.join(advice)}"
