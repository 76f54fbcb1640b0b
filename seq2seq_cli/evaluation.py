"""Evaluating how well a trained run predicts sequences.

Sequences are predicted in free running, as in `prediction`: each token follows from the model's own
previous tokens, and the model ends them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seq2seq_cli.config import TaskConfig, check_integer
from seq2seq_cli.custom_code import same_function
from seq2seq_cli.data.sampling import Split
from seq2seq_cli.data.streams import Stream
from seq2seq_cli.data.tasks import Task, longest_target
from seq2seq_cli.data.vocabulary import PADDING, Ids, Vocabulary, lengths, unpad
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.evaluation_data import (
    EvaluationData,
    held_out_pairs,
    held_out_sequences,
    pairs_of_file,
)
from seq2seq_cli.inference.greedy import Decoded, decoding_limits, greedy
from seq2seq_cli.inference.loading import AnyRun, as_loaded
from seq2seq_cli.inference.network import LoadedRun
from seq2seq_cli.inference.threads import map_batches
from seq2seq_cli.machine import cores
from seq2seq_cli.metrics import Tally, exact_match_text, html_table, interval_text, percent_of
from seq2seq_cli.resources import check, evaluation_needs

OnProgress = Callable[[int], None]
"""Called with the number of sequences evaluated since the last call."""

Observe = Callable[[Ids, Ids, Ids], None]
"""Called with each batch's sources, targets and predicted tokens, (n, steps) each, in order."""

DEFAULT_SAMPLES = 10_000
"""Held-out sequences that are evaluated by default."""


class Example(NamedTuple):
    """A source, its target, and the model's prediction."""

    source: list[int]
    target: list[int]
    predicted: list[int]


def examples_of(task: TaskConfig, sources: Ids, targets: Ids, tokens: Ids) -> list[Example]:
    """Return an example for each row of padded arrays, (n, steps) each."""
    strip = Vocabulary.of(task).strip
    rows = zip(unpad(sources), targets, tokens, strict=True)
    return [Example(source, strip(target), strip(predicted)) for source, target, predicted in rows]


@dataclass(frozen=True)
class Evaluation:
    """How a run predicts sequences; all accuracies are shares from 0 to 1.

    The end of sequence is a token: it counts in all of them, and in the loss. An accuracy without
    tokens is None. `exact` is true if there are no other sequences of this kind: the exact match is
    then not an estimate, and both ends of its interval are equal to it.
    """

    run: str
    origin: str
    n_samples: int
    exact: bool
    exact_match: float
    exact_match_low: float
    exact_match_high: float
    token_accuracy: float | None
    position_accuracy: list[float | None]
    length_accuracy: dict[int, float]
    loss: float | None
    n_trained_on: int | None  # pairs of a file that were trained on, if known
    seconds: float
    sequences_per_s: float
    examples: list[Example]
    notes: list[str]
    tally: Tally = field(default_factory=Tally, repr=False, compare=False)  # all counts

    @property
    def evaluated(self) -> str:
        """What was evaluated, such as "100 held-out sequences"."""
        return self.origin if self.exact else f"{self.n_samples:,} {self.origin}"

    def _repr_html_(self) -> str:
        """Return the accuracies and examples as HTML for a notebook."""
        n_right, n_tokens = self.tally.tokens
        tokens = [percent_of(n_right, n_tokens, self.exact)] if n_tokens else []
        rows = [
            ("exact match", exact_match_text(self)),
            *([] if self.exact else [("95% interval", interval_text(self))]),
            *(("token accuracy", share) for share in tokens),
        ]
        checks = [
            (
                "ok" if example.target == example.predicted else "wrong",
                *(" ".join(map(str, ids)) for ids in example),
            )
            for example in self.examples
        ]
        title = f"{self.run}: {self.evaluated}, predicted freely"
        headed = [("spot check", "source", "expected", "predicted"), *checks] if checks else []
        return html_table(title, rows, self.notes) + html_table("Spot checks", headed)


def evaluate(
    run: AnyRun,
    n_samples: int | None = None,
    data: str | Path | None = None,
    n_examples: int = 10,
    seed: int | None = None,
    progress: OnProgress | None = None,
    n_in: int | str | None = None,
    task: Task | None = None,
    stream: Stream | None = None,
    observe: Observe | None = None,
) -> Evaluation:
    """Evaluate a run on held-out sequences of its task, or on the pairs in `data`.

    The sequences are the first `n_samples`, by default 10,000, of the test stream under the run's
    seed, or another `seed`; no training, whatever its seed, sees a held-out source. In a small
    space they are all held-out sources, each once. With `n_in` they have other lengths than the
    training's. With `data` they are the file's first `n_samples` pairs, by default all. `task` is
    the run's task if it is a custom one. `stream` is the one that the run was trained on, if it is
    open already. `observe` is called with each batch.

    Raises ConfigurationError for sizes below 1 or beyond the memory, for `seed` or `n_in` with
    custom data, and if there is nothing to evaluate; DataError and StorageError for a bad file, and
    DataError for targets of lengths that the run cannot predict.
    """
    loaded = as_loaded(run)
    n_drawn = DEFAULT_SAMPLES if n_samples is None else n_samples
    check_integer("n_samples", n_drawn, 1)
    check_integer("examples", n_examples)
    check_integer("seed", seed or 0)
    config = loaded.config
    if task and not same_function(task.name, config.task.name):
        raise ConfigurationError(f"task {task.name}: the run's task is {config.task.name}")
    if data is not None or config.task.data:
        for name, value in {"seed": seed, "n_in": n_in}.items():
            if value is not None:
                raise ConfigurationError(
                    f"{name} = {value}: only generated tasks have other sequences: remove it"
                )
        if data is None:
            pairs = held_out_pairs(config, n_drawn, stream)
        else:
            pairs = pairs_of_file(config, data, n_samples)
    else:
        pairs = held_out_sequences(config, n_drawn, seed, n_in, task, stream)
    return evaluate_on(loaded, pairs, n_examples, progress, observe)


def evaluate_on(
    loaded: LoadedRun,
    pairs: EvaluationData,
    n_examples: int,
    progress: OnProgress | None = None,
    observe: Observe | None = None,
) -> Evaluation:
    """Predict the targets of pairs of sequences and count the right ones."""
    task, stream, n_samples = loaded.config.task, pairs.stream, pairs.n_samples
    started = time.perf_counter()
    tally, examples = Tally(Vocabulary.of(task).end or PADDING), list[Example]()
    size = min(n_samples, loaded.batch_size(stream.longest))
    n_out = longest_target(task, stream.longest)
    shown = min(n_examples, n_samples)
    check(evaluation_needs(loaded.config, stream.longest, n_out, size, shown, cores()))

    def decode(start: int) -> tuple[Ids, Ids, Decoded]:
        sources, targets = stream.draw(Split.TEST, start, min(size, n_samples - start))
        limits = decoding_limits(task, lengths(sources))
        return sources, targets, greedy(loaded, sources, limits, targets)

    for sources, targets, decoded in map_batches(decode, range(0, n_samples, size)):
        real = targets != PADDING
        log_likelihood = float(decoded.likelihoods[real].sum(dtype=np.float64))
        tally.add(decoded.tokens, targets, log_likelihood, sources)
        if observe:
            observe(sources, targets, decoded.tokens)
        first = slice(n_examples - len(examples))
        examples += examples_of(task, sources[first], targets[first], decoded.tokens[first])
        if progress:
            progress(len(sources))
    seconds = time.perf_counter() - started
    share = tally.exact_match
    low, high = (share, share) if pairs.exact else tally.interval
    return Evaluation(
        run=loaded.run.name,
        origin=pairs.origin,
        n_samples=n_samples,
        exact=pairs.exact,
        exact_match=share,
        exact_match_low=low,
        exact_match_high=high,
        token_accuracy=tally.token_accuracy,
        position_accuracy=tally.position_accuracy,
        length_accuracy=tally.length_accuracy,
        loss=tally.loss,
        n_trained_on=pairs.n_trained_on,
        seconds=seconds,
        sequences_per_s=n_samples / seconds,
        examples=examples,
        notes=pairs.notes + loaded.length_notes(tally.lengths),
        tally=tally,
    )
