"""What a user's own pairs are like, and the configuration that fits them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from seq2seq_cli.config import RunConfig
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.files import hash_data, read_pairs
from seq2seq_cli.pairs import Ragged
from seq2seq_cli.sampling import Hashes, Split, hash_sequences
from seq2seq_cli.streams import split_pairs


@dataclass(frozen=True)
class DataReport:
    """What is told of own data before a training."""

    pairs: int
    training: int
    validation: int
    source_lengths: tuple[int, int]
    target_lengths: tuple[int, int]
    values: tuple[int, int]
    duplicates: int  # pairs that stand in the data a second time
    in_both: int  # pairs of the validation data whose source stands in the training data too


def describe(config: RunConfig, given: Iterable[str]) -> tuple[RunConfig, DataReport]:
    """Return the configuration with what its data file settles, and a report of the file.

    The lengths are those found. The cardinality, and n_samples, which is one pass over the file,
    are so too unless `given`, the settings made by the user, holds them. Raises ConfigurationError
    for a cardinality that is too small, DataError and StorageError for a bad file.
    """
    given, task = set(given), config.task
    pairs = read_pairs(task.data)
    validation = read_pairs(task.validation_data) if task.validation_data else None
    parts = [pairs] if validation is None else [pairs, validation]
    largest = max(part.largest for part in parts)
    if "task.cardinality" not in given:
        task = task.model_copy(update={"cardinality": max(2, largest + 1)})
    elif task.cardinality <= largest:
        raise ConfigurationError(
            f"task.cardinality = {task.cardinality}: the data's largest value is {largest}, so it "
            f"should be at least {largest + 1}"
        )
    sources = _range([part.sources for part in parts])
    targets = _range([part.targets for part in parts])
    update = {
        "name": "own-data",
        "n_in": sources[0] if sources[0] == sources[1] else f"{sources[0]}-{sources[1]}",
        "n_out": targets[1],
        "data_sha256": hash_data(task.data),
    }
    task = task.model_copy(update=update)
    split = split_pairs(pairs, validation, task.data)
    n_training, n_validation = len(split[Split.TRAIN].rows), len(split[Split.VALIDATION].rows)
    training = config.training
    if "training.n_samples" not in given:
        training = training.model_copy(update={"n_samples": n_training})
    known = _hashes(pairs.sources)
    whole = np.stack([known, _hashes(pairs.targets)], axis=1)
    in_both = 0
    if validation is not None:
        in_both = int(np.isin(_hashes(validation.sources), known).sum())
    report = DataReport(
        pairs=sum(map(len, parts)),
        training=n_training,
        validation=n_validation,
        source_lengths=sources,
        target_lengths=targets,
        values=(int(min(p.sources.values.min() for p in parts)), largest),
        duplicates=len(pairs) - len(np.unique(whole, axis=0)),
        in_both=in_both,
    )
    return config.model_copy(update={"task": task, "training": training}), report


def _range(parts: list[Ragged]) -> tuple[int, int]:
    lengths = np.concatenate([part.lengths for part in parts])
    return int(lengths.min()), int(lengths.max())


def _hashes(sequences: Ragged) -> Hashes:
    """Return each sequence's hash, (n,): 8 bytes, however long it is."""
    return np.concatenate([hash_sequences(part) for part in sequences.parts()])
