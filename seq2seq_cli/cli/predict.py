"""`s2s predict`: the targets of given sequences."""

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seq2seq_cli.cli import output
from seq2seq_cli.cli.options import DEFAULT_RUNS_DIR, Json, Quiet, RunName, RunsDir

if TYPE_CHECKING:
    from seq2seq_cli.evaluation import Prediction


def predict(
    sequences: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SEQUENCE...",
            help="Integers separated by spaces or commas, each sequence in quotes; - for stdin.",
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--input", metavar="FILE", help="A file with a sequence a line.")
    ] = None,
    run: RunName = None,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Predict the targets of sequences."""
    output.use_one_blas_thread()
    from seq2seq_cli.datasets import iterate_sequences, parse_sequence
    from seq2seq_cli.errors import ConfigurationError
    from seq2seq_cli.evaluation import length_notes
    from seq2seq_cli.evaluation import predict as predict_batch
    from seq2seq_cli.inference.decoding import BATCH, map_batches
    from seq2seq_cli.inference.network import load_run

    if bool(sequences) == bool(file):
        raise ConfigurationError('give sequences, such as "22 17 23 5 29 11", or --input FILE')
    network = load_run(run, runs_dir)
    cardinality = network.config.task.cardinality
    lengths: set[int] = set()

    def batches(lines: Iterable[str], name: str) -> Iterator[list[list[int]]]:
        parsed = iterate_sequences(lines, name, cardinality)
        while batch := list(islice(parsed, 1 if sys.stdin.isatty() and name == "-" else BATCH)):
            lengths.update(map(len, batch))
            yield batch

    def show(predictions: Iterable["Prediction"]) -> None:
        for prediction in predictions:
            if as_json:
                output.write_json(prediction._asdict())
            else:
                output.write(output.format_ids(prediction.target))

    output.end_with_reader()
    if file or sequences == ["-"]:
        with output.open_lines(file) as lines:
            stream = batches(lines, str(file or "-"))
            for predictions in map_batches(lambda batch: predict_batch(network, batch), stream):
                show(predictions)
    else:
        batch = [parse_sequence(text, cardinality) for text in sequences or []]
        lengths.update(map(len, batch))
        show(predict_batch(network, batch))
    for note in length_notes(network, lengths):
        output.message(f"note: {note}", quiet)
