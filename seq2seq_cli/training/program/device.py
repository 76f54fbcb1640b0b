"""The device that TensorFlow trains on, and the program's layout that is fastest on it."""

from functools import cache
from typing import NamedTuple

import tensorflow as tf


class Layout(NamedTuple):
    """What differs between devices; it changes the order of sums, and so the last bits."""

    shards: int
    """Independent parts of a batch."""

    block: int
    """Time steps in each iteration of an LSTM's loop."""

    scattered_rows: int
    """Gradients of tables with at least this many rows are added row by row; those of smaller
    tables by a product with one-hot vectors."""


CPU = Layout(shards=2, block=1, scattered_rows=0)
"""XLA runs the two parts in parallel on two cores. The number does not depend on the number of
cores, or each machine would end with other weights. A loop of single steps compiles fastest, and is
as fast as longer blocks, since it has few kernels."""

GPU = Layout(shards=1, block=16, scattered_rows=512)
"""Starting kernels takes most of the time: one part has half as many, and a long block saves those
of the loop. The product is deterministic; adding row by row is not, unless XLA sorts the rows."""


def layout() -> Layout:
    """Return the layout for the device that programs are compiled for."""
    return GPU if tf.config.list_logical_devices("GPU") else CPU


@cache
def device_name() -> str:
    """Return "CPU", or the models of the GPUs that this process uses, as "GPU: NVIDIA H200"."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "CPU"
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    models = dict.fromkeys(detail.get("device_name", "unknown") for detail in details)
    number = "GPU" if len(gpus) == 1 else f"{len(gpus)} GPUs"
    return f"{number}: {', '.join(models)}"
