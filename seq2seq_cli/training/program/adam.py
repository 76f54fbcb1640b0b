"""Adam on plain tensors: the arithmetic of one step of `keras.optimizers.Adam`.

The stock optimizer works only on variables, which a compiled loop would read and write in each
step.
"""

from typing import Any

import tensorflow as tf

BETA_1 = 0.9
BETA_2 = 0.999
EPSILON = 1e-7


def adam_step(
    weights: list[Any],
    first: list[Any],
    second: list[Any],
    gradients: list[Any],
    rate: Any,
    count: Any,
) -> tuple[list[Any], list[Any], list[Any]]:
    """Return weights and first and second moments after a step (Kingma and Ba 2015, section 2).

    Each list holds one tensor per weight; `rate` is the learning rate and `count` the number of
    this step, from 1.
    """
    step = tf.cast(count, tf.float32)
    rate *= tf.sqrt(1.0 - BETA_2**step) / (1.0 - BETA_1**step)
    first = [m + (g - m) * (1.0 - BETA_1) for m, g in zip(first, gradients, strict=True)]
    second = [v + (g * g - v) * (1.0 - BETA_2) for v, g in zip(second, gradients, strict=True)]
    moved = zip(weights, first, second, strict=True)
    return [w - rate * m / (tf.sqrt(v) + EPSILON) for w, m, v in moved], first, second
