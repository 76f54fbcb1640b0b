"""`s2s generate`: examples of a task, on the screen or in a file."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from seq2seq_cli.cli import options
from seq2seq_cli.cli.options import option
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.cli.rendering.progress import Progress
from seq2seq_cli.cli.rendering.tables import table
from seq2seq_cli.errors import ConfigurationError

if TYPE_CHECKING:
    from seq2seq_cli.data.vocabulary import Ids

SHOWN = 10


def generate(
    task: options.TaskName = None,
    n_in: options.NIn = None,
    n_out: options.NOut = None,
    cardinality: options.Cardinality = None,
    n_samples: Annotated[int, option("--n-samples", "Number of sequences.", min=1)] = SHOWN,
    split: Annotated[
        Literal["train", "test"],
        option("--split", "Sequences to train on, or held-out ones."),
    ] = "train",
    file: Annotated[
        Path | None, option("--output", "Write a .jsonl, .csv or .npz file.", metavar="FILE")
    ] = None,
    force: options.Force = False,
    seed: Annotated[int | None, option("--seed", "Seed of the sequences. [0]")] = None,
    config_file: options.ConfigFile = None,
    settings: options.SetOptions = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show examples, or write them to a file.

    If there are few possible sources, --split test gives each held-out one once.

      s2s generate --task sort --n-in 8
      s2s generate --n-samples 10000 --split test --output test.jsonl
    """
    import numpy as np

    from seq2seq_cli.cli.rendering.output import format_ids
    from seq2seq_cli.config import ModelConfig, TrainingConfig
    from seq2seq_cli.data.files import write_pairs
    from seq2seq_cli.data.plan import prepare
    from seq2seq_cli.data.sampling import Split
    from seq2seq_cli.data.streams import iterate_pairs
    from seq2seq_cli.data.vocabulary import PADDING, START, Vocabulary, shift_right, unpad
    from seq2seq_cli.resources import check, generating_needs

    named: dict[str, object] = {
        "task.name": task,
        "task.n_in": n_in,
        "task.n_out": n_out,
        "task.cardinality": cardinality,
        "training.seed": seed,
    }
    config = options.resolve_config(config_file, settings, named)
    if config.task.data:
        raise ConfigurationError(f"task.data = {config.task.data!r}: pairs of a file already exist")
    training = TrainingConfig(seed=config.training.seed)
    plan = prepare(config.model_copy(update={"model": ModelConfig(), "training": training}))
    vocabulary, side = Vocabulary.of(plan.config.task), Split(split)
    size = plan.stream.size(side)
    if size is not None and size < n_samples:
        if not size:
            raise ConfigurationError("no source is held out: give other lengths")
        output.message(f"note: there are only {size:,}, each given once", quiet)
        n_samples = size
    is_table = not (file or as_json)
    if is_table or (file and file.suffix.lower() == ".npz"):
        lengths = plan.stream.longest, plan.config.task.n_out
        check(generating_needs(n_samples, *lengths, is_table=is_table))
    output.end_with_reader()
    pairs = iterate_pairs(plan.stream, side, n_samples)
    plain = ((sources, vocabulary.without_end(targets)) for sources, targets in pairs)
    if file:
        with Progress(f"writing {file}", n_samples, quiet) as progress:
            n = write_pairs(file, _tell(plain, progress), force)
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
    table(f"{plan.config.task.name}, {split}", ("source", "shifted target", "target"), rows)
    output.write("encoded: " + " ".join(map(str, shapes)))


def _tell(
    pairs: Iterable[tuple["Ids", "Ids"]], progress: Progress
) -> Iterator[tuple["Ids", "Ids"]]:
    """Yield the pairs unchanged and advance the progress."""
    for sources, targets in pairs:
        yield sources, targets
        progress.advance(len(sources))
