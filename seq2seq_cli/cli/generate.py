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
    from seq2seq_cli.datasets import write_pairs
    from seq2seq_cli.sampling import Split, iterate_pairs
    from seq2seq_cli.tasks import get_task
    from seq2seq_cli.vocabulary import shift_right

    named = {"name": task, "n_in": n_in, "n_out": n_out, "cardinality": cardinality}
    options: dict[str, object] = {f"task.{key}": value for key, value in named.items()}
    config = resolve_config(config_file, settings, {**options, "training.seed": seed})
    output.end_with_reader()
    pairs = iterate_pairs(config.task, Split(split), config.training.seed, n_samples)
    if file:
        with output.progress(n_samples, f"writing {file}", quiet) as advance:
            n = write_pairs(file, _tell(pairs, advance), force)
        output.message(f"wrote {n:,} pairs to {file}", quiet)
        return
    if as_json:
        for sources, targets in pairs:
            for source, target in zip(sources.tolist(), targets.tolist(), strict=True):
                output.write_json({"source": source, "target": target})
        return
    steps = get_task(config.task).target_length(config.task.n_in, config.task.n_out)
    ids = config.task.cardinality
    shapes = [(n_samples, config.task.n_in, ids), (n_samples, steps, ids), (n_samples, steps, ids)]
    rows = [
        tuple(map(output.format_ids, row))
        for sources, targets in pairs
        for row in zip(sources, shift_right(targets), targets, strict=True)
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
