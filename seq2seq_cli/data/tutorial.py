"""The tutorial's data functions, section "Scalable Sequence-to-Sequence Problem"."""

import numpy as np

from seq2seq_cli.config import check_integer
from seq2seq_cli.data.sampling import SourceSpace, Split
from seq2seq_cli.data.tasks import find_task
from seq2seq_cli.data.text import MAX_CARDINALITY
from seq2seq_cli.data.vocabulary import Floats, Ids, one_hot_encode, shift_right
from seq2seq_cli.settings import resolve


def generate_sequence(length: int, n_unique: int, seed: int | None = None) -> Ids:
    """Return `length` random integers in 1 .. n_unique-1, int32 (length,).

    Without a seed each call draws new ones. Raises ConfigurationError for a negative length or
    seed, and for fewer than 2 unique integers, of which 0 is reserved.
    """
    check_integer("length", length)
    check_integer("n_unique", n_unique, 2, MAX_CARDINALITY)
    check_integer("seed", seed or 0)
    return np.random.default_rng(seed).integers(1, n_unique, length, np.int32)


def get_dataset(
    n_in: int, n_out: int, cardinality: int, n_samples: int, seed: int | None = None
) -> tuple[Floats, Floats, Floats]:
    """Return encoded sources, shifted targets and targets of the task "reverse-prefix".

    The sources have shape (n_samples, n_in, cardinality), both targets (n_samples, n_out,
    cardinality), all one-hot float32. The sources come from the training side of the split. Without
    a seed each call draws new ones. Raises ConfigurationError if n_out > n_in, and for sizes below
    1.
    """
    check_integer("n_samples", n_samples, 1)
    check_integer("seed", seed or 0)
    sizes = {"task.n_in": n_in, "task.n_out": n_out, "task.cardinality": cardinality}
    config = resolve(options=sizes).task
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
