"""The data that a run is evaluated on: held-out sequences or a file's pairs, with notes on them.

This module knows what a run was trained on, and which targets it can predict.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from seq2seq_cli.config import Lengths, RunConfig, TaskConfig
from seq2seq_cli.data.files import MOST_PROBLEMS, PairsFile, data_files, read_pairs
from seq2seq_cli.data.pairs import Pairs
from seq2seq_cli.data.plan import open_stream
from seq2seq_cli.data.sampling import SourceSpace, Split, hash_ragged, split_codes
from seq2seq_cli.data.streams import GeneratedStream, GivenStream, Stream
from seq2seq_cli.data.tasks import Task, find_task, length_problem, longest_target
from seq2seq_cli.errors import ConfigurationError, DataError
from seq2seq_cli.inference.greedy import decoding_limits
from seq2seq_cli.metrics import Difference, Estimate, difference
from seq2seq_cli.settings import differing_settings

SAME_SEQUENCES = (
    "runs with the same seed or data are evaluated on the same sequences: the interval of their "
    "difference, which assumes independent ones, is usually too wide"
)


class NoneHeldOutError(ConfigurationError):
    """Raised if no source of the requested lengths is held out."""


@dataclass
class EvaluationData:
    """The sequences to evaluate, where they come from, and notes on them."""

    stream: Stream
    n_samples: int
    origin: str
    notes: list[str] = field(default_factory=list)
    exact: bool = False
    n_trained_on: int | None = None


def held_out_sequences(
    config: RunConfig,
    n_samples: int,
    seed: int | None,
    n_in: int | str | None,
    custom_task: Task | None = None,
    stream: Stream | None = None,
) -> EvaluationData:
    """Return held-out sequences of the run's task, of other lengths with `n_in`.

    They come from `stream`, that of the training, unless `seed` or `n_in` is set.
    """
    settings = config.task
    lengths = settings.lengths if n_in is None else _parse_lengths(n_in, settings)
    space = SourceSpace.of(settings, lengths)
    if stream is None or n_in is not None or seed is not None:
        task = custom_task or find_task(settings)
        entropy = config.training.seed if seed is None else seed
        stream = GeneratedStream(task, settings, entropy, space)
        _check_target_width(task, stream, settings, lengths)
    size = stream.size(Split.TEST)
    if size == 0:
        raise NoneHeldOutError(
            f"n_in = {lengths}: none of the {space.size:,} sources is held out: give other lengths"
        )
    n_samples = n_samples if size is None else min(n_samples, size)
    kind = f"{'held-out ' * space.is_split}sequence{'s' * (n_samples != 1)}"
    exact = n_samples == size
    origin = f"all {n_samples:,} {kind}" if exact else kind if space.is_split else f"random {kind}"
    notes = (
        []
        if space.is_split
        else _unsplit_notes(config, range(lengths.shortest, lengths.longest + 1))
    )
    if custom_task and settings.name_sha256 not in ("", custom_task.sha256):
        notes.append(f"the file of {custom_task.name} has changed since the training")
    return EvaluationData(stream, n_samples, origin, notes, exact)


def held_out_pairs(
    config: RunConfig, n_samples: int, stream: Stream | None = None
) -> EvaluationData:
    """Return the held-out pairs of the run's data, which is read again without a `stream`."""
    task = config.task
    if stream is None:
        for data in filter(None, (task.data, task.validation_data)):
            if not all(path.is_file() for path in data_files(data)):
                raise DataError(f"the run's data, {data}, is missing: put it back")
        stream = open_stream(config)
    size = stream.size(Split.TEST)
    n_samples = n_samples if size is None else min(n_samples, size)
    kind = f"held-out pair{'s' * (n_samples != 1)}"
    origin = f"{kind} of {task.validation_data or task.data}"
    notes = _chosen_notes(config) if _is_shared(stream) else []
    return EvaluationData(stream, n_samples, origin, notes)


def pairs_of_file(config: RunConfig, data: str | Path, n_samples: int | None) -> EvaluationData:
    """Return the pairs of a file, with notes on whether the run was trained on them.

    They are the first `n_samples` pairs, or all.
    """
    task = config.task
    file = read_pairs(data, task.cardinality)
    n = min(n_samples or len(file.pairs), len(file.pairs))
    file = replace(file, pairs=Pairs(file.pairs.sources.head(n), file.pairs.targets.head(n)))
    _check_lengths(file, task)
    kind = f"pair{'s' * (n != 1)}"
    pairs = EvaluationData(GivenStream(file.pairs, task), n, f"{kind} of {data}")
    if not task.data:
        pairs.notes = _training_side_notes(config, file)
    elif file.sha256 == task.validation_data_sha256:
        pairs.origin, pairs.notes = f"{kind} of the validation data", _chosen_notes(config)
    elif file.sha256 == task.data_sha256:
        codes = split_codes(hash_ragged(file.pairs.sources), custom=True)
        n_trained = n if task.validation_data else int((codes == 0).sum())
        pairs.n_trained_on = n_trained
        pairs.notes = [f"{n_trained:,} of {n:,} pairs were trained on"]
    return pairs


def _parse_lengths(n_in: int | str, task: TaskConfig) -> Lengths:
    """Return the requested lengths; ConfigurationError if they are not valid for the run."""
    try:
        lengths = Lengths.parse(n_in)
    except ValueError as error:
        raise ConfigurationError(f"n_in = {n_in!r}: {error}") from error
    if lengths.vary and not task.has_end:
        raise ConfigurationError(
            f"n_in = {n_in!r}: the run's lengths do not vary, so its targets have no end of "
            f"sequence: give one length, such as {lengths.longest}"
        )
    if problem := length_problem(task, lengths):
        raise ConfigurationError(f"n_in = {n_in!r}: {problem}")
    return lengths


def _check_target_width(
    task: Task, stream: GeneratedStream, settings: TaskConfig, lengths: Lengths
) -> None:
    """Raise ConfigurationError if a custom task's targets have lengths that are not decoded."""
    limit, width = longest_target(settings, lengths.longest), stream.target_width
    possible = width + 1 <= limit if settings.has_end else width == limit
    if not possible:
        raise ConfigurationError(
            f"n_in = {lengths}: targets of {task.name} have {width} integers there, and the run "
            f"predicts {_predicted(settings, limit)}"
        )


def _check_lengths(file: PairsFile, task: TaskConfig) -> None:
    """Raise DataError with a line for each of the first pairs whose target the run cannot predict.

    Targets must have the run's fixed length or, if lengths vary, respect its limit.
    """
    n_in, n_out = file.pairs.sources.lengths, file.pairs.targets.lengths
    limits = decoding_limits(task, n_in)
    wrong = np.flatnonzero(n_out + 1 > limits if task.has_end else n_out != limits)
    problems = [
        f"{file.locate(int(row))}: a target of {n_out[row]} integers, and for a source of "
        f"{n_in[row]} the run predicts {_predicted(task, int(limits[row]))}"
        for row in wrong[:MOST_PROBLEMS]
    ]
    if len(wrong) > MOST_PROBLEMS:
        problems.append(f"{file.name}: and {len(wrong) - MOST_PROBLEMS} more such targets")
    if problems:
        raise DataError("\n".join(problems))


def _predicted(task: TaskConfig, limit: int) -> str:
    return f"at most {limit - 1}" if task.has_end else str(limit)


def compare_runs(
    configs: Sequence[RunConfig], results: Sequence[Estimate]
) -> tuple[list[Difference | None], list[str]]:
    """Return the difference of each run to the first, and notes on how far they are comparable.

    It is None for the first run itself, and for all runs if their tasks differ.
    """
    files = "task.data", "task.validation_data"  # may have moved; their content has a hash
    settings = [key for key in differing_settings(configs) if key not in files]
    if tasks := [key for key in settings if key.startswith("task.")]:
        note = f"the tasks differ ({', '.join(tasks)}): their results are not comparable"
        return [None] * len(results), [note]
    streams = {0 if config.task.data else config.training.seed for config in configs}
    differences = [difference(result, results[0]) for result in results[1:]]
    return [None, *differences], [SAME_SEQUENCES] * (len(streams) < len(configs))


def is_trained_length(config: RunConfig, length: int) -> bool:
    """Return whether sources of this length may have been trained on."""
    shortest, longest = config.task.lengths
    return shortest <= length <= longest


def _unsplit_notes(config: RunConfig, lengths: Iterable[int]) -> list[str]:
    """Return a note if nothing is held out and training saw sources of these lengths."""
    trained = [is_trained_length(config, length) for length in lengths]
    if not any(trained):
        return []
    these = "these too" if all(trained) else "those of the lengths that it was trained on"
    n = SourceSpace.of(config.task).size
    return [f"with {n:,} possible sources none are held out: training saw {these}"]


def _training_side_notes(config: RunConfig, file: PairsFile) -> list[str]:
    """Return a note on the sources of a file that a generated run may have been trained on."""
    n_in = file.pairs.sources.lengths
    if not SourceSpace.of(config.task).is_split:
        return _unsplit_notes(config, n_in.tolist())
    codes = split_codes(hash_ragged(file.pairs.sources))
    shortest, longest = config.task.lengths
    n = int(((codes == 0) & (n_in >= shortest) & (n_in <= longest)).sum())
    note = (
        f"{n:,} of {len(n_in):,} sources are on the training side of the split: training may have "
        "seen them"
    )
    return [note] if n else []


def _is_shared(stream: Stream) -> bool:
    """Return whether the report on custom data uses the same pairs as the validations.

    Both use all held-out pairs, or halves that share no source.
    """
    if stream.size(Split.VALIDATION) != stream.size(Split.TEST):
        return False
    validated, tested = (stream.draw(split, 0, 1)[0] for split in (Split.VALIDATION, Split.TEST))
    return np.array_equal(validated, tested)


def _chosen_notes(config: RunConfig) -> list[str]:
    """Return a note that the reported pairs also selected the weights, if there was a choice."""
    training = config.training
    if training.validation_steps == training.total_steps:
        return []
    return ["these pairs also chose the best weights: others may be predicted a little worse"]
