"""Learning rates over the steps of a training."""

from math import cos, pi

import numpy as np

from seq2seq_cli.config import TrainingConfig
from seq2seq_cli.data.vocabulary import Floats

WARM_UP = 0.05
"""Share of the steps in which the learning rate rises linearly to its peak."""


def learning_rates(config: TrainingConfig, start: int, n: int) -> Floats:
    """Return the learning rates of steps `start .. start+n-1` of a training, float32 (n,).

    "cosine" rises linearly over the first 5% of the steps, then falls to zero along half a cosine
    (Loshchilov and Hutter 2017, without restarts).
    """
    return np.array([_rate(config, step) for step in range(start, start + n)], np.float32)


def _rate(config: TrainingConfig, step: int) -> float:
    if config.schedule == "constant":
        return config.learning_rate
    total_steps = config.total_steps
    warm_up = max(1, round(WARM_UP * total_steps))
    if step < warm_up:
        return config.learning_rate * (step + 1) / warm_up
    done = (step - warm_up) / max(1, total_steps - warm_up)
    return config.learning_rate * 0.5 * (1 + cos(pi * done))
