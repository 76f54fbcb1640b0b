"""Evaluating the exact match of a trained run at many lengths, also beyond those of the training.

The sequences of each length are held out, and predicted in free running as in `evaluation`.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from seq2seq_cli.config import Lengths
from seq2seq_cli.data.sampling import Split
from seq2seq_cli.data.tasks import Task, length_problem
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.evaluation import OnProgress, evaluate_on
from seq2seq_cli.evaluation_data import NoneHeldOutError, held_out_sequences, is_trained_length
from seq2seq_cli.inference.network import LoadedRun
from seq2seq_cli.metrics import LEARNED

SAMPLES = 1_000
"""Default number of sequences of each length."""

MOST_LENGTHS = 10_000


@dataclass(frozen=True)
class LengthResult:
    """How a run predicts sources of one length; shares are from 0 to 1, or None.

    `n_possible` is the number of held-out sources of this length, if they can be counted; `exact`
    is true if all of them were predicted, so that the exact match is not an estimate.
    """

    length: int
    is_trained: bool
    n_possible: int | None
    n_samples: int
    exact: bool
    exact_match: float | None
    exact_match_low: float | None
    exact_match_high: float | None
    token_accuracy: float | None


@dataclass(frozen=True)
class LengthCurve:
    """The results at every length.

    `longest_learned` is the longest length with an exact match of at least LEARNED, `mean_beyond`
    the mean exact match of the lengths longer than the training's; None if there are none.
    """

    run: str
    longest_trained: int
    lengths: list[LengthResult]
    longest_learned: int | None
    mean_beyond: float | None
    seconds: float
    notes: list[str]


def parse_range(text: str, step: int | None = None) -> list[int]:
    """Return the lengths of a range such as "1-200", `step` apart, including the last one.

    "1-200:10" has its own step, 10; the default is 1. Raises ConfigurationError if it is not a
    range, or has two steps.
    """
    limits_text, colon, step_text = text.partition(":")
    try:
        limits = Lengths.parse(limits_text)
    except ValueError as error:
        raise ConfigurationError(f"lengths = {text!r}: {error}") from error
    if colon:
        if not re.fullmatch(r"[1-9]\d{0,17}", step_text, re.ASCII):
            raise ConfigurationError(f"lengths = {text!r}: the step should be an integer from 1 on")
        if step is not None:
            raise ConfigurationError(f"lengths = {text!r} and step = {step}: give the step once")
        step = int(step_text)
    step = 1 if step is None else step
    if step < 1:
        raise ConfigurationError(f"step = {step}: should be at least 1")
    if (limits.longest - limits.shortest) // step >= MOST_LENGTHS:
        raise ConfigurationError(
            f"lengths = {text!r}: more than {MOST_LENGTHS:,} of them: give a larger step"
        )
    lengths = list(range(limits.shortest, limits.longest + 1, step))
    return lengths if lengths[-1] == limits.longest else [*lengths, limits.longest]


def evaluate_lengths(
    loaded: LoadedRun,
    lengths: Sequence[int],
    n_samples: int = SAMPLES,
    seed: int | None = None,
    progress: OnProgress | None = None,
    task: Task | None = None,
) -> LengthCurve:
    """Evaluate a loaded run on `n_samples` held-out sources of each length.

    If there are few sources of a length, all held-out ones are evaluated; without any, the length
    has no result. Lengths without sources of the task are skipped. `seed` and `task` are those of
    `evaluate`; `progress` is called with the number of finished lengths. Raises ConfigurationError
    for a run of custom data, for sizes below 1, and if no length is left.
    """
    config = loaded.config
    if config.task.data:
        raise ConfigurationError(
            f"lengths = {lengths[0]} to {lengths[-1]}: only generated tasks have sources of other "
            "lengths"
        )
    if n_samples < 1:
        raise ConfigurationError(f"n_samples = {n_samples}: should be at least 1")
    started = time.perf_counter()
    results, notes = list[LengthResult](), list[str]()
    problems = {length: length_problem(config.task, Lengths(length, length)) for length in lengths}
    possible = [length for length in lengths if not problems[length]]
    if n_skipped := len(lengths) - len(possible):
        problem = next(filter(None, problems.values()))
        if not possible:
            raise ConfigurationError(f"lengths = {lengths[0]} to {lengths[-1]}: {problem}")
        notes.append(f"{n_skipped:,} of the lengths are skipped: {problem}")
        if progress:
            progress(n_skipped)
    for length in possible:
        result, its_notes = _evaluate_length(loaded, length, n_samples, seed, task)
        results.append(result)
        notes += [note for note in its_notes if note not in notes]
        if progress:
            progress(1)
    longest_trained = config.task.lengths.longest
    learned = [r.length for r in results if (r.exact_match or 0) >= LEARNED]
    beyond = [
        r.exact_match for r in results if r.length > longest_trained and r.exact_match is not None
    ]
    return LengthCurve(
        run=loaded.run.name,
        longest_trained=longest_trained,
        lengths=results,
        longest_learned=max(learned, default=None),
        mean_beyond=sum(beyond) / len(beyond) if beyond else None,
        seconds=time.perf_counter() - started,
        notes=notes,
    )


def _evaluate_length(
    loaded: LoadedRun, length: int, n_samples: int, seed: int | None, task: Task | None
) -> tuple[LengthResult, list[str]]:
    """Return the result of a length, and the notes on its sequences."""
    config = loaded.config
    is_trained = is_trained_length(config, length)
    try:
        sequences = held_out_sequences(config, n_samples, seed, length, task)
    except NoneHeldOutError:
        return LengthResult(length, is_trained, 0, 0, False, None, None, None, None), []
    evaluation = evaluate_on(loaded, sequences, 0)
    return LengthResult(
        length=length,
        is_trained=is_trained,
        n_possible=sequences.stream.size(Split.TEST),
        n_samples=evaluation.n_samples,
        exact=evaluation.exact,
        exact_match=evaluation.exact_match,
        exact_match_low=evaluation.exact_match_low,
        exact_match_high=evaluation.exact_match_high,
        token_accuracy=evaluation.token_accuracy,
    ), sequences.notes
