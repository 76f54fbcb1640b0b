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
    Settings,
    TaskName,
    integer_option,
    resolve_config,
)

if TYPE_CHECKING:
    from seq2seq_cli.vocabulary import Ids

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
        Side, typer.Option("--split", help="What training draws from, or what it never sees.")
    ] = Side.TRAIN,
    file: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Write .jsonl, .csv or .npz instead."),
    ] = None,
    force: Force = False,
    seed: Seed = None,
    config_file: ConfigFile = None,
    settings: Settings = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show examples, or write them to a file."""
    import numpy as np

    from seq2seq_cli.cli.output import format_ids
    from seq2seq_cli.datasets import unpad, without_end, write_pairs
    from seq2seq_cli.own_tasks import fit_own_task, load_task
    from seq2seq_cli.sampling import Split, iterate_pairs
    from seq2seq_cli.vocabulary import PADDING, START, shift_right

    load_task(task)

    named = {"name": task, "n_in": n_in, "n_out": n_out, "cardinality": cardinality}
    options: dict[str, object] = {f"task.{key}": value for key, value in named.items()}
    config = resolve_config(config_file, settings, {**options, "training.seed": seed})
    output.end_with_reader()
    config = config.model_copy(update={"task": fit_own_task(config.task)})
    pairs = iterate_pairs(config.task, Split(split), config.training.seed, n_samples)
    if file:
        with output.progress(n_samples, f"writing {file}", quiet) as advance:
            ended = config.task.end if config.task.varies else None
            n = write_pairs(file, without_end(_tell(pairs, advance), ended), force)
        output.message(f"wrote {n:,} pairs to {file}", quiet)
        return
    if as_json:
        ended = config.task.end if config.task.varies else None
        for sources, targets in without_end(pairs, ended):
            for source, target in zip(sources, targets, strict=True):
                output.write_json({"source": unpad(source), "target": unpad(target)})
        return
    rows = []
    for sources, targets in pairs:
        shapes = [(n_samples, sources.shape[1], config.task.cardinality)]
        shapes += [(n_samples, targets.shape[1], config.task.n_features)] * 2
        shifted = np.where(targets == PADDING, PADDING, shift_right(targets))
        shifted[:, 0] = START
        rows += [
            (
                format_ids(unpad(source)),
                format_ids([START, *unpad(shift[1:])]),
                format_ids(unpad(target)),
            )
            for source, shift, target in zip(sources, shifted, targets, strict=True)
        ]
    output.table(f"{config.task.name}, {split}", ("source", "shifted target", "target"), rows)
    output.write("encoded: " + " ".join(map(str, shapes)))


def _tell(
    pairs: Iterable[tuple["Ids", "Ids"]], advance: output.Advance
) -> Iterator[tuple["Ids", "Ids"]]:
    """Pass the pairs on and advance the progress by them."""
    for sources, targets in pairs:
        yield sources, targets
        advance(len(sources))
