"""A trained run and sequences -> a report of how well it predicts them.

Sequences are predicted freely: each token follows from the model's own tokens before it.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seq2seq_cli.datasets import unpad, visible
from seq2seq_cli.errors import ConfigurationError, DataError
from seq2seq_cli.files import data_files, read_pairs
from seq2seq_cli.inference.decoding import Decoded, greedy, map_batches
from seq2seq_cli.inference.network import Network
from seq2seq_cli.metrics import Tally
from seq2seq_cli.sampling import Split, is_split
from seq2seq_cli.streams import GeneratedStream, GivenStream, Stream, open_stream
from seq2seq_cli.vocabulary import PADDING, Ids

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
    length_accuracy: dict[int, float]
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
    data: str | Path | None = None,
    n_examples: int = 10,
    seed: int | None = None,
    progress: Progress | None = None,
    n_in: int | str | None = None,
) -> Report:
    """Evaluate a loaded run on held-out sequences of its task, or on the pairs in `data`.

    The sequences are the first `n_samples` of the test stream under the run's own seed, or another
    `seed`; no training, whatever its seed, sees a source that is held out. With `n_in` they have
    other lengths than the training's. With `data` the whole file is evaluated. Raises
    ConfigurationError for sizes below 1, DataError and StorageError for a bad file.
    """
    for name, value, least in (("n_samples", n_samples, 1), ("examples", n_examples, 0)):
        if value < least:
            raise ConfigurationError(f"{name} = {value}: should be at least {least}")
    if seed is not None and not 0 <= seed < 2**63:
        raise ConfigurationError(f"seed = {seed}: should be from 0 to 2**63 - 1")
    task, notes = network.config.task, list[str]()
    stream, origin = _find_pairs(network, data, seed, n_in, notes)
    n_samples = min(n_samples if data is None else 2**62, stream.size(Split.TEST) or n_samples)
    started = time.perf_counter()
    tally, examples = Tally(), list[Example]()
    size = network.batch_size(stream.longest)

    def decode(start: int) -> _Chunk:
        sources, targets = stream.draw(Split.TEST, start, min(size, n_samples - start))
        return _Chunk(sources, targets, greedy(network, sources, targets.shape[1], targets))

    for sources, targets, decoded in map_batches(decode, range(0, n_samples, size)):
        real = targets != PADDING
        tally.add(decoded.tokens, targets, float(decoded.likelihoods[real].sum(dtype=np.float64)))
        tally.add_lengths(decoded.tokens, targets, sources)
        wanted = n_examples - len(examples)
        for source, target, tokens in zip(
            sources[:wanted], targets[:wanted], decoded.tokens[:wanted], strict=True
        ):
            shown = tokens if task.varies else tokens[: len(unpad(target))]
            examples.append(Example(unpad(source), visible(target, task), visible(shown, task)))
        if progress:
            progress(len(sources))
    seconds = time.perf_counter() - started
    low, high = tally.interval
    notes += length_notes(network, tally.lengths)
    return Report(
        run=network.run.name,
        origin=origin,
        n_samples=n_samples,
        exact_match=tally.exact_match,
        exact_match_low=low,
        exact_match_high=high,
        token_accuracy=tally.token_accuracy,
        position_accuracy=tally.position_accuracy,
        length_accuracy=tally.length_accuracy,
        loss=tally.loss,
        seconds=seconds,
        sequences_per_s=n_samples / seconds,
        examples=examples,
        notes=notes,
    )


def _find_pairs(
    network: Network,
    data: str | Path | None,
    seed: int | None,
    n_in: int | str | None,
    notes: list[str],
) -> tuple[Stream, str]:
    """Return what is evaluated, and its name; add what is to be said about it to the notes."""
    config, task = network.config, network.config.task
    if data is not None:
        return GivenStream(read_pairs(data, task.cardinality), task), str(data)
    if task.data:
        if n_in is not None:
            raise ConfigurationError("--n-in is for generated tasks: give --data FILE instead")
        if not all(path.is_file() for path in data_files(task.data)):
            raise DataError(f"the run's data, {task.data}, is not here: give --data FILE")
        return open_stream(config), f"held-out pairs of {task.data}"
    if n_in is not None:
        task = task.with_lengths(n_in)
    origin = "held-out sequences"
    if not is_split(task):
        origin = "random sequences"
        n = sum(
            (task.cardinality - 1) ** length for length in range(task.shortest, task.longest + 1)
        )
        notes.append(f"with {n:,} possible sources none are held out: training saw these too")
    return GeneratedStream(task, config.training.seed if seed is None else seed), origin


def length_notes(network: Network, lengths: Iterable[int]) -> list[str]:
    """Return a note where some of the lengths are not the one that the run was trained on."""
    task = network.config.task
    others = sorted(length for length in lengths if not task.shortest <= length <= task.longest)
    if not others:
        return []
    given = f"{others[0]} to {others[-1]}" if len(others) > 3 else ", ".join(map(str, others))
    return [f"trained on sources of {task.n_in} integers, given {given}: expect more errors"]
