"""Lengths grown in stages: what is too long to be learned from the start is learned short first.

A stage is the lengths of its sequences and the optimizer steps that are taken on them. The stages
are the first part of a training; what is left of its steps is taken at full length.
"""

from collections.abc import Iterator
from typing import NamedTuple

from seq2seq_cli.config import Lengths, RunConfig, StageConfig, TaskConfig
from seq2seq_cli.data.streams import Stream, TrainingStream
from seq2seq_cli.data.tasks import TASKS, is_own, length_problem, takes_n_out
from seq2seq_cli.errors import ConfigurationError

SHORTEST = 16
"""Sources of up to this length need no curriculum; the automatic one begins with it."""

GROWTH = 2.5
"""By how much the automatic curriculum's stages grow, about."""


class Stage(NamedTuple):
    """The steps before `stop` that are not an earlier stage's are taken on this stream."""

    stop: int
    stream: Stream


def plan_stages(config: RunConfig, stream: TrainingStream) -> tuple[Stage, ...]:
    """Return the stages of a training on a stream; the last one is at full length.

    Raises ConfigurationError for stages that do not fit the task, or that leave no steps.
    """
    training = config.training
    if training.curriculum == "auto":
        wanted = list(_grown(config.task, training.curriculum_steps or training.total_steps))
    else:
        wanted = list(training.curriculum) if training.curriculum else []
    stages, done = [], 0
    for number, stage in enumerate(wanted):
        done += stage.steps
        try:
            stages.append(Stage(done, _stage_stream(config.task, stage, stream)))
        except ConfigurationError as error:
            raise ConfigurationError(f"training.curriculum, stage {number}: {error}") from error
    if done >= training.total_steps and stages:
        raise ConfigurationError(
            f"training.curriculum: its stages take {done:,} steps and the training has "
            f"{training.total_steps:,}, so none is left at full length: give more --n-samples or "
            "fewer steps"
        )
    return (*stages, Stage(training.total_steps, stream))


def _stage_stream(task: TaskConfig, stage: StageConfig, stream: TrainingStream) -> Stream:
    """Return the stream of a stage; ConfigurationError for a setting that would be of no effect."""
    lengths = Lengths.parse(stage.n_in)
    if lengths.vary and not task.has_end:
        raise ConfigurationError(
            f"n_in = {stage.n_in!r}: the run's lengths do not vary, so its targets have no end of "
            f"sequence: give one length, such as {lengths.longest}"
        )
    if stage.distinct and task.data:
        raise ConfigurationError(
            f"distinct = {stage.distinct}: own data is taken as it is; leave it out"
        )
    if stage.n_out and not takes_n_out(task):
        raise ConfigurationError(
            f"n_out = {stage.n_out}: the targets follow from the sources; leave it out"
        )
    if stage.n_out > lengths.longest:
        raise ConfigurationError(
            f"n_out = {stage.n_out}: should be at most n_in, which is {stage.n_in}"
        )
    if problem := length_problem(task, lengths):
        raise ConfigurationError(f"n_in = {stage.n_in!r}: {problem}")
    n_out = stage.n_out or min(task.n_out, lengths.longest)
    return stream.stage(lengths, n_out, stage.distinct)


def _grown(task: TaskConfig, total_steps: int) -> Iterator[StageConfig]:
    """Yield stages of growing lengths, all below the task's own, with an equal share of the steps.

    A target whose length is free has at most half its source's.
    """
    whole, found, longest = task.lengths, [], float(SHORTEST)
    shape = None if is_own(task) else TASKS[task.name].shape
    while whole.longest > longest * 1.2:
        if longest >= whole.shortest or not whole.vary:
            length = shape.fit(round(longest)) if shape else round(longest)
            found.append(Lengths(whole.shortest if whole.vary else length, length))
        longest *= GROWTH
    steps = total_steps // (len(found) + 1)
    for lengths in found if steps else []:
        n_out = min(task.n_out, lengths.longest // 2) if takes_n_out(task) else 0
        yield StageConfig(n_in=lengths.setting, n_out=n_out, steps=steps)
