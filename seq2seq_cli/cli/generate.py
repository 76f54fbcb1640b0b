"""`s2s generate`: examples of a task, on the screen or in a file."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seq2seq_cli.cli import output
from seq2seq_cli.cli.options import (
    Cardinality,
    ConfigFile,
    Force,
    Json,
    NIn,
    NOut,
    Quiet,
    Seed,
    SetOptions,
    TaskName,
    integer_option,
    resolve_config,
)
from seq2seq_cli.cli.progress import Advance, progress

if TYPE_CHECKING:
    from seq2seq_cli.data.vocabulary import Ids

SHOWN = 10


class Side(StrEnum):
    """The sides of the split that can be asked for."""

    TRAIN = "train"
    TEST = "test"


def generate(
    task: TaskName = None,
    n_in: NIn = None,
    n_out: NOut = None,
    cardinality: Cardinality = None,
    n_samples: Annotated[int, integer_option("--n-samples", "Sequences to generate.", 1)] = SHOWN,
    split: Annotated[
        Side,
        typer.Option(
            "--split",
            metavar="train|test",
            help="What training draws from, or what it never sees.",
        ),
    ] = Side.TRAIN,
    file: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Write .jsonl, .csv or .npz instead."),
    ] = None,
    force: Force = False,
    seed: Seed = None,
    config_file: ConfigFile = None,
    settings: SetOptions = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show examples, or write them to a file.

    Of a small space --split test gives what is held out, each once.
    """
    import numpy as np

    from seq2seq_cli.cli.output import format_ids
    from seq2seq_cli.config import ModelConfig, TrainingConfig
    from seq2seq_cli.data.files import write_pairs
    from seq2seq_cli.data.plan import prepare
    from seq2seq_cli.data.sampling import Split
    from seq2seq_cli.data.streams import iterate_pairs
    from seq2seq_cli.data.vocabulary import PADDING, START, Vocabulary, shift_right, unpad
    from seq2seq_cli.errors import ConfigurationError
    from seq2seq_cli.resources import check, generating_needs

    named = {"name": task, "n_in": n_in, "n_out": n_out, "cardinality": cardinality}
    options: dict[str, object] = {f"task.{key}": value for key, value in named.items()}
    config = resolve_config(config_file, settings, {**options, "training.seed": seed})
    if config.task.data:
        raise ConfigurationError(f"task.data = {config.task.data!r}: pairs are not generated")
    training = TrainingConfig(seed=config.training.seed)
    plan = prepare(config.model_copy(update={"model": ModelConfig(), "training": training}))
    vocabulary, side = Vocabulary.of(plan.config.task), Split(split)
    size = plan.stream.size(side)
    if size is not None and size < n_samples:
        if not size:
            raise ConfigurationError("none of the sources is held out: give other lengths")
        output.message(f"note: there are {size:,} of them, each given once", quiet)
        n_samples = size
    is_table = not (file or as_json)
    if is_table or (file and file.suffix.lower() == ".npz"):
        lengths = plan.stream.longest, plan.config.task.n_out
        check(generating_needs(n_samples, *lengths, is_table=is_table))
    output.end_with_reader()
    pairs = iterate_pairs(plan.stream, side, n_samples)
    plain = ((sources, vocabulary.without_end(targets)) for sources, targets in pairs)
    if file:
        with progress(n_samples, f"writing {file}", quiet) as advance:
            n = write_pairs(file, _tell(plain, advance), force)
        output.message(f"wrote {n:,} pairs to {file}", quiet)
        return
    if as_json:
        for sources, targets in plain:
            for source, target in zip(unpad(sources), unpad(targets), strict=True):
                output.write_json({"source": source, "target": target})
        return
    rows = []
    for sources, targets in pairs:
        shapes = [(n_samples, sources.shape[1], vocabulary.cardinality)]
        shapes += [(n_samples, targets.shape[1], vocabulary.n_features)] * 2
        shifted = np.where(targets == PADDING, PADDING, shift_right(targets))
        shifted[:, 0] = START
        rows += [
            (format_ids(source), format_ids([START, *shift]), format_ids(target))
            for source, shift, target in zip(
                unpad(sources), unpad(shifted[:, 1:]), unpad(targets), strict=True
            )
        ]
    output.table(f"{plan.config.task.name}, {split}", ("source", "shifted target", "target"), rows)
    output.write("encoded: " + " ".join(map(str, shapes)))


def _tell(pairs: Iterable[tuple["Ids", "Ids"]], advance: Advance) -> Iterator[tuple["Ids", "Ids"]]:
    """Pass the pairs on and advance the progress by them."""
    for sources, targets in pairs:
        yield sources, targets
        advance(len(sources))
