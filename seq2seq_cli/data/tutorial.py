"""The tutorial's data functions, section "Scalable Sequence-to-Sequence Problem"."""

import numpy as np

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.data.sampling import SourceSpace, Split
from seq2seq_cli.data.tasks import find_task
from seq2seq_cli.data.vocabulary import Floats, Ids, one_hot_encode, shift_right


def generate_sequence(length: int, n_unique: int, seed: int | None = None) -> Ids:
    """Return `length` random integers in 1 .. n_unique-1, int32 (length,).

    Without a seed each call draws new ones.
    """
    return np.random.default_rng(seed).integers(1, n_unique, length, np.int32)


def get_dataset(
    n_in: int, n_out: int, cardinality: int, n_samples: int, seed: int | None = None
) -> tuple[Floats, Floats, Floats]:
    """Return encoded sources, shifted targets and targets of the task "reverse-prefix".

    The sources have shape (n_samples, n_in, cardinality), both targets (n_samples, n_out,
    cardinality), all one-hot float32. The sources come from the training side of the split. Without
    a seed each call draws new ones. Raises ConfigurationError if n_out > n_in, ValueError for sizes
    below 1.
    """
    config = TaskConfig(n_in=n_in, n_out=n_out, cardinality=cardinality)
    task = find_task(config)
    entropy = int(np.random.default_rng().integers(2**63)) if seed is None else seed
    sources = SourceSpace.of(config).draw(Split.TRAIN, entropy, 0, n_samples)
    targets = task.targets(sources, config)
    shifted = shift_right(targets)
    return (
        one_hot_encode(sources, cardinality),
        one_hot_encode(shifted, cardinality),
        one_hot_encode(targets, cardinality),
    )
