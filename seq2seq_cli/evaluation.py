"""A trained run and sequences -> a report of how well it predicts them.

Sequences are predicted freely: each token follows from the model's own tokens before it.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seq2seq_cli.datasets import pad, read_pairs, unpad
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.inference.decoding import BATCH, Decoded, greedy, map_batches
from seq2seq_cli.inference.network import Network
from seq2seq_cli.metrics import Tally
from seq2seq_cli.sampling import Split, draw_pairs, is_split
from seq2seq_cli.tasks import get_task
from seq2seq_cli.vocabulary import PADDING, Ids, check_ids

Progress = Callable[[int], None]
"""Called with the number of sequences evaluated since the last call."""


class Example(NamedTuple):
    """A source, what should follow from it, and what the model predicts."""

    source: list[int]
    target: list[int]
    predicted: list[int]


@dataclass(frozen=True)
class Report:
    """How a run predicts sequences; all accuracies are shares from 0 to 1."""

    run: str
    origin: str
    n_samples: int
    exact_match: float
    exact_match_low: float
    exact_match_high: float
    token_accuracy: float
    position_accuracy: list[float]
    loss: float
    seconds: float
    sequences_per_s: float
    examples: list[Example]
    notes: list[str]


class _Chunk(NamedTuple):
    sources: Ids
    targets: Ids
    decoded: Decoded


def evaluate(
    network: Network,
    n_samples: int = 10_000,
    data: Path | None = None,
    n_examples: int = 10,
    seed: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Evaluate a loaded run on held-out sequences of its task, or on the pairs in `data`.

    The sequences are the first `n_samples` of the test stream under the run's own seed, or another
    `seed`; no training, whatever its seed, sees a source that is held out. With `data` the whole
    file is evaluated. Raises ConfigurationError for sizes below 1, DataError and StorageError for
    a bad file.
    """
    for name, value, least in (("n_samples", n_samples, 1), ("examples", n_examples, 0)):
        if value < least:
            raise ConfigurationError(f"{name} = {value}: should be at least {least}")
    if seed is not None and not 0 <= seed < 2**63:
        raise ConfigurationError(f"seed = {seed}: should be from 0 to 2**63 - 1")
    config = network.config
    stream_seed = config.training.seed if seed is None else seed
    notes: list[str] = []
    if data is not None:
        pairs = read_pairs(data, config.task.cardinality)
        n_samples, origin = len(pairs[0]), str(data)
        lengths = np.unique((pairs[0] != PADDING).sum(axis=1))
        notes += length_notes(network, lengths.tolist())
    else:
        pairs = None
        origin = "held-out sequences"
        if not is_split(config.task):
            origin = "random sequences"
            notes.append(
                f"with {(config.task.cardinality - 1) ** config.task.n_in:,} possible sources none "
                "are held out: training saw these too"
            )
    started = time.perf_counter()
    tally, examples = Tally(), list[Example]()

    def decode(start: int) -> _Chunk:
        n = min(BATCH, n_samples - start)
        if pairs is None:
            sources, targets = draw_pairs(config.task, Split.TEST, stream_seed, start, n)
        else:
            sources, targets = pairs[0][start : start + n], pairs[1][start : start + n]
        return _Chunk(sources, targets, greedy(network, sources, targets.shape[1], targets))

    for sources, targets, decoded in map_batches(decode, range(0, n_samples, BATCH)):
        real = targets != PADDING
        tally.add(decoded.tokens, targets, float(decoded.likelihoods[real].sum(dtype=np.float64)))
        wanted = n_examples - len(examples)
        for source, target, tokens in zip(
            sources[:wanted], targets[:wanted], decoded.tokens[:wanted], strict=True
        ):
            steps = len(unpad(target))
            examples.append(Example(unpad(source), unpad(target), tokens[:steps].tolist()))
        if progress:
            progress(len(sources))
    seconds = time.perf_counter() - started
    low, high = tally.interval
    return Report(
        run=network.run.name,
        origin=origin,
        n_samples=n_samples,
        exact_match=tally.exact_match,
        exact_match_low=low,
        exact_match_high=high,
        token_accuracy=tally.token_accuracy,
        position_accuracy=tally.position_accuracy,
        loss=tally.loss,
        seconds=seconds,
        sequences_per_s=n_samples / seconds,
        examples=examples,
        notes=notes,
    )


class Prediction(NamedTuple):
    """A source, the target predicted for it, and the target's natural-log probability."""

    source: list[int]
    target: list[int]
    log_probability: float


def predict(network: Network, sequences: Sequence[Sequence[int]]) -> list[Prediction]:
    """Predict the targets of sequences, any lengths together, as one batch.

    How many tokens a target has follows from the run's task and the source's length. Raises
    DataError for an empty sequence and for values outside the run's vocabulary.
    """
    task, cardinality = network.config.task, network.config.task.cardinality
    for sequence in sequences:
        check_ids(sequence, cardinality)
    if not sequences:
        return []
    length = get_task(task).target_length
    steps = [length(len(sequence), task.n_out) for sequence in sequences]
    decoded = greedy(network, pad(sequences), max(steps))
    return [
        Prediction(
            list(sequence),
            tokens[:n].tolist(),
            float(log_probabilities[:n].sum(dtype=np.float64)),
        )
        for sequence, tokens, log_probabilities, n in zip(
            sequences, decoded.tokens, decoded.log_probabilities, steps, strict=True
        )
    ]


def length_notes(network: Network, lengths: Iterable[int]) -> list[str]:
    """Return a note where some of the lengths are not the one that the run was trained on."""
    n_in = network.config.task.n_in
    others = sorted(set(lengths) - {n_in})
    if not others:
        return []
    return [
        f"trained on sources of {n_in} integers, given {', '.join(map(str, others))}: "
        "expect more errors"
    ]
