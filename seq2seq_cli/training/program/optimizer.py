"""The optimizer: the learning rate of each step, and the arithmetic of a step of Adam."""

from math import cos, pi
from typing import Any

import numpy as np
import tensorflow as tf

from seq2seq_cli.config import TrainingConfig
from seq2seq_cli.data.vocabulary import Floats

WARM_UP = 0.05
"""Share of the steps in which the learning rate rises linearly to its peak."""

BETA_1 = 0.9
BETA_2 = 0.999
EPSILON = 1e-7


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


def adam_step(
    weights: list[Any],
    first: list[Any],
    second: list[Any],
    gradients: list[Any],
    rate: Any,
    count: Any,
) -> tuple[list[Any], list[Any], list[Any]]:
    """Return weights and first and second moments after a step (Kingma and Ba 2015, section 2).

    It is that of `keras.optimizers.Adam`, which works only on variables: a compiled loop would read
    and write them in each step. Each list holds one tensor per weight; `rate` is the learning rate
    and `count` the number of this step, from 1.
    """
    step = tf.cast(count, tf.float32)
    rate *= tf.sqrt(1.0 - BETA_2**step) / (1.0 - BETA_1**step)
    first = [m + (g - m) * (1.0 - BETA_1) for m, g in zip(first, gradients, strict=True)]
    second = [v + (g * g - v) * (1.0 - BETA_2) for v, g in zip(second, gradients, strict=True)]
    moved = zip(weights, first, second, strict=True)
    return [w - rate * m / (tf.sqrt(v) + EPSILON) for w, m, v in moved], first, second
