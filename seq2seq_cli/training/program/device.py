"""How the program is laid out for the device that runs it: what benchmarks found to be fastest."""

from typing import NamedTuple

import tensorflow as tf


class Layout(NamedTuple):
    """What differs between devices; sums are in another order then, so the last bits differ too."""

    shards: int
    """Independent parts of a batch."""

    block: int
    """Time steps in each iteration of an LSTM's loop."""

    scattered_rows: int
    """Tables of at least this many rows add up their gradients row by row; smaller ones by a
    product with one-hot vectors."""


CPU = Layout(shards=2, block=1, scattered_rows=0)
"""XLA runs the two parts side by side on two cores. The number does not follow the cores, or each
machine would end with other weights. A loop of single steps compiles fastest, and is as fast as
longer blocks now that it has few kernels."""

GPU = Layout(shards=1, block=16, scattered_rows=512)
"""The time goes to starting kernels: one part has half of them, and a long block saves the loop's
own. The product is deterministic; adding up row by row is not, unless XLA sorts the rows first."""


def layout() -> Layout:
    """Return the layout for the device that programs are compiled for."""
    return GPU if tf.config.list_logical_devices("GPU") else CPU
