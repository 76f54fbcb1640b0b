"""Everything a training needs to know, checked before anything is written.

`prepare` reads each of the user's files once, and fits the configuration to its content.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from seq2seq_cli.config import Lengths, RunConfig, TaskConfig
from seq2seq_cli.custom_code import names_function
from seq2seq_cli.data.batches import Width, mean_width, plan_widths
from seq2seq_cli.data.files import PairsFile, read_embedding, read_pairs
from seq2seq_cli.data.pairs import Ragged
from seq2seq_cli.data.sampling import SourceSpace, Split, check_drawable, hash_ragged
from seq2seq_cli.data.streams import CustomStream, GeneratedStream, TrainingStream, split_pairs
from seq2seq_cli.data.tasks import (
    CUSTOM_DATA,
    Task,
    find_task,
    ignored_settings,
    is_custom,
    load_task,
    longest_target,
    problems,
)
from seq2seq_cli.data.vocabulary import Floats
from seq2seq_cli.errors import ConfigurationError, DataError
from seq2seq_cli.resources import Estimate, estimate


@dataclass(frozen=True)
class DataReport:
    """What a training reports about custom data before it begins."""

    pairs: int
    training: int
    validation: int
    source_lengths: Lengths
    target_lengths: Lengths
    values: tuple[int, int]
    duplicates: int  # pairs that repeat an earlier one
    in_both: int  # pairs of the validation data whose source is also in the training data


@dataclass(frozen=True)
class Plan:
    """A training that can begin: everything that can be checked in advance is right."""

    config: RunConfig  # with all settings that follow from the data and the task
    stream: TrainingStream
    widths: tuple[Width, ...]
    report: DataReport | None = None  # of custom data
    embedding: Floats | None = None  # (cardinality, size): the pretrained one

    @property
    def estimate(self) -> Estimate:
        """The memory and time that the training is expected to need."""
        return estimate(self.config, *mean_width(self.stream, self.widths), len(self.widths))

    def with_seed(self, seed: int) -> "Plan":
        """Return the plan of the same training under another seed, without reading files again."""
        config = _updated(self.config, "training", seed=seed)
        return replace(self, config=config, stream=self.stream.with_seed(seed))


def prepare(config: RunConfig, resumed: bool = False) -> Plan:
    """Return the plan of a training.

    Custom data determines the lengths and, unless they are set, the cardinality and n_samples,
    which is one pass over the file. A custom task is imported, since the configuration names it.
    The configuration of a `resumed` training is already complete: its data must be the same, and
    its pretrained embedding is in the checkpoint.

    Raises ConfigurationError for settings that are wrong or have no effect, DataError and
    StorageError for a bad file.
    """
    wrong = problems(config.task) if resumed else wrong_settings(config.task)
    if wrong:
        raise ConfigurationError("\n".join(wrong))
    stream: TrainingStream
    report: DataReport | None = None
    if config.task.data:
        config, stream, files = _open_data(config)
        if not resumed:
            report = _describe(files, stream)
    else:
        config, stream = _open_task(config, resumed)
    config = _updated(config, "task", end_of_sequence=config.task.has_end)
    embedding = None
    if config.model.pretrained_embedding and not resumed:
        embedding, sha256 = read_embedding(config)
        config = _updated(config, "model", pretrained_embedding_sha256=sha256)
    return Plan(config, stream, plan_widths(stream, config), report, embedding)


def wrong_settings(config: TaskConfig) -> list[str]:
    """Return a line for each task setting that is wrong or has no effect.

    A saved run may have settings without effect, so it is checked with `problems` alone. Raises
    ConfigurationError for sources or targets that are too long to be drawn.
    """
    if not config.data:
        check_drawable(config.lengths)
    wrong = problems(config) or ignored_settings(config)
    if not wrong and not is_custom(config):
        check_drawable(config.lengths, longest_target(config, config.lengths.longest))
    return wrong


def open_stream(config: RunConfig, task: Task | None = None) -> TrainingStream:
    """Return the stream that a run was trained on; `task` is its custom task, if it has one.

    Raises DataError and StorageError for a bad file, ConfigurationError if it is not the file that
    the run was trained on.
    """
    if config.task.data:
        return _open_data(config)[1]
    return GeneratedStream(task or find_task(config.task), config.task, config.training.seed)


def _open_task(config: RunConfig, resumed: bool) -> tuple[RunConfig, GeneratedStream]:
    settings = config.task
    is_imported = names_function(settings.name)
    task = load_task(settings.name) if is_imported else find_task(settings)
    if resumed and is_imported:
        _check_same("name", settings.name, settings.name_sha256, task.sha256)
    settings = task.settle(settings)
    if settings.name_sha256 != task.sha256:
        settings = settings.model_copy(update={"name_sha256": task.sha256})
    length = max(1, task.target_length(settings.lengths, settings))
    if is_imported and "n_out" in settings.model_fields_set and settings.n_out != length:
        raise ConfigurationError(
            f"task.n_out = {settings.n_out}: the targets of {settings.name} have {length} "
            "integers: remove it"
        )
    config = config.model_copy(update={"task": settings})
    if not task.takes_n_out:
        config = _updated(config, "task", n_out=length)
    SourceSpace.of(config.task).check_trainable()
    return config, GeneratedStream(task, config.task, config.training.seed)


def _open_data(config: RunConfig) -> tuple[RunConfig, CustomStream, list[PairsFile]]:
    """Return the configuration that fits the data, the stream, and the files of pairs."""
    task = config.task
    data = read_pairs(task.data)
    validation = read_pairs(task.validation_data) if task.validation_data else None
    _check_same("data", task.data, task.data_sha256, data.sha256)
    if validation:
        recorded = task.validation_data_sha256
        _check_same("validation_data", task.validation_data, recorded, validation.sha256)
    files = [data] if validation is None else [data, validation]
    if not any(len(file.pairs.targets.values) for file in files):
        raise DataError(f"{task.data}: all targets are empty: there is nothing to learn")
    sources = _lengths([file.pairs.sources for file in files])
    targets = _lengths([file.pairs.targets for file in files])
    largest = max(file.pairs.largest for file in files)
    settled: dict[str, object] = {
        "name": CUSTOM_DATA,
        "n_in": sources.setting,
        "n_out": targets.longest,
        "data_sha256": data.sha256,
        "validation_data_sha256": validation.sha256 if validation else "",
    }
    _check_lengths(task, settled)
    if "cardinality" not in task.model_fields_set:
        settled["cardinality"] = max(2, largest + 1)
    elif task.cardinality <= largest:
        raise ConfigurationError(
            f"task.cardinality = {task.cardinality}: the data's largest value is {largest}, so it "
            f"should be at least {largest + 1}"
        )
    config = _updated(config, "task", **settled)
    subsets = split_pairs(data.pairs, validation.pairs if validation else None, task.data)
    if "n_samples" not in config.training.model_fields_set:
        config = _updated(config, "training", n_samples=len(subsets[Split.TRAIN].rows))
    return config, CustomStream(subsets, config.task, config.training.seed), files


def _describe(files: list[PairsFile], stream: CustomStream) -> DataReport:
    """Return the report on the data file and, if there is one, on the validation file."""
    pairs, *others = (file.pairs for file in files)
    known = hash_ragged(pairs.sources)
    hashes = np.stack([known, hash_ragged(pairs.targets)], axis=1)
    n_pairs, n_training = sum(len(file.pairs) for file in files), stream.size(Split.TRAIN)
    return DataReport(
        pairs=n_pairs,
        training=n_training,
        validation=n_pairs - n_training,
        source_lengths=_lengths([file.pairs.sources for file in files]),
        target_lengths=_lengths([file.pairs.targets for file in files]),
        values=(
            int(min(file.pairs.sources.values.min() for file in files)),
            max(file.pairs.largest for file in files),
        ),
        duplicates=len(pairs) - len(np.unique(hashes, axis=0)),
        in_both=sum(int(np.isin(hash_ragged(other.sources), known).sum()) for other in others),
    )


def _check_lengths(task: TaskConfig, settled: dict[str, object]) -> None:
    """Raise ConfigurationError for a length that is set and differs from the data's."""
    wrong = [
        f"task.{name} = {getattr(task, name)!r}: that of {task.data} is {settled[name]}: remove it"
        for name in ("n_in", "n_out")
        if name in task.model_fields_set and str(getattr(task, name)) != str(settled[name])
    ]
    if wrong:
        raise ConfigurationError("\n".join(wrong))


def _check_same(name: str, path: str, recorded: str, sha256: str) -> None:
    """Raise ConfigurationError if a file is not the one that a run was started with."""
    if recorded not in ("", sha256):
        raise ConfigurationError(
            f"task.{name} = {path!r}: the file is not the one that the run was started with: "
            "restore it, or train another run"
        )


def _updated(config: RunConfig, section: str, **values: object) -> RunConfig:
    changed = getattr(config, section).model_copy(update=values)
    return config.model_copy(update={section: changed})


def _lengths(parts: Sequence[Ragged]) -> Lengths:
    lengths = np.concatenate([part.lengths for part in parts])
    return Lengths(int(lengths.min()), int(lengths.max()))
