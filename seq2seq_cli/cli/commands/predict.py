"""`s2s predict`: the targets of sequences."""

from collections.abc import Iterator
from itertools import chain
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING, Annotated

from seq2seq_cli.cli import options
from seq2seq_cli.cli.options import option
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.inference import threads

if TYPE_CHECKING:
    from seq2seq_cli.prediction import Prediction

    Answer = tuple[list[Prediction], list[int] | None]
    """The predictions for a line, and the expected target if it is known."""


def predict(
    sequences: options.Sequences = None,
    file: options.InputFile = None,
    beam: Annotated[int, option("--beam", "Width of a beam search; 1: greedy.", min=1)] = 1,
    top: Annotated[int, option("--top", "Number of the most likely targets to show.", min=1)] = 1,
    attention: Annotated[
        bool, option("--attention", "Show where the decoder looks, token by token.")
    ] = False,
    plain: Annotated[
        bool, option("--plain", "Show targets alone, without the expected ones, on a terminal too.")
    ] = False,
    run: options.RunName = None,
    runs_dir: options.RunsDir = options.DEFAULT_RUNS_DIR,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Predict the targets of sequences; blank lines stay blank.

    With --top, each line has the log probability, a tab and the target, best first. On a terminal
    the targets of a built-in task are followed by `ok`, or by the expected target.

      s2s predict "22 17 23 5 29 11"
      s2s predict --run RUN --beam 5 --top 3 --input sources.txt
    """
    from seq2seq_cli.cli.rendering.charts import heat_map
    from seq2seq_cli.cli.sequences import (
        check_input,
        is_stream,
        join_arguments,
        read_sequences,
    )
    from seq2seq_cli.inference.loading import load_run
    from seq2seq_cli.inference.network import BATCH
    from seq2seq_cli.prediction import expected_targets, predict_each

    check_input(sequences, file)
    if top > beam:
        raise ConfigurationError(f"--top {top}: should be at most --beam, which is {beam}")
    loaded = load_run(run, runs_dir)
    output.end_phase("the run loaded")
    if attention and loaded.decoder.attention is None:
        raise ConfigurationError(
            f"--attention: the run {loaded.run.name} has none; train with --attention dot"
        )
    task = loaded.config.task
    sequences = join_arguments(sequences, task.lengths, quiet)
    lengths: set[int] = set()
    n_cut = 0
    is_compared = as_json or (not plain and output.stdout().isatty())

    def work(batch: list[list[int] | None]) -> "list[Answer]":
        """Return the predictions for each line, none for a blank one, and the expected target."""
        sources = [sequence for sequence in batch if sequence is not None]
        predictions = predict_each(loaded, sources, beam, top, attention)
        expected = expected_targets(task, sources) if is_compared else [None] * len(sources)
        answers = iter(zip(predictions, expected, strict=True))
        return [([], None) if sequence is None else next(answers) for sequence in batch]

    def show(prediction: "Prediction", expected: list[int] | None) -> None:
        if as_json:
            document = prediction._asdict() | {"expected": expected}
            if not attention:
                del document["attention"]
            output.write_json(document)
            return
        score = f"{prediction.log_probability:.4f}\t" if top > 1 else ""
        shown = score + output.format_ids(prediction.target)
        verdict = "" if expected is None else compare(prediction.target, expected)
        width = get_terminal_size().columns
        if len(shown) + 2 + len(verdict) > width:
            verdict = "\n" + fill(verdict, width, initial_indent="  ", subsequent_indent="  ")
        elif verdict:
            shown += "  "
        output.write(shown + verdict)
        if prediction.attention:
            heat_map(prediction.target, prediction.source, prediction.attention)

    output.end_with_reader()
    with read_sequences(sequences, file, task.cardinality) as reader:

        def batches() -> Iterator[list[list[int] | None]]:
            for batch in reader.batches(max(1, BATCH // beam)):
                lengths.update(len(sequence) for sequence in batch if sequence is not None)
                yield batch

        results = (
            threads.map_batches(work, batches(), reader.is_ready)
            if is_stream(sequences, file)
            else map(work, batches())
        )
        for predictions, expected in chain.from_iterable(results):
            if not predictions:
                output.write("null" if as_json else "")
            for prediction in predictions:
                n_cut += not prediction.finished
                show(prediction, expected)
    if n_cut:
        cut = "1 target was" if n_cut == 1 else f"{n_cut:,} targets were"
        output.message(f"note: {cut} cut at the limit of tokens, without an end", quiet)
    for note in loaded.length_notes(lengths):
        output.message(f"note: {note}", quiet)


def compare(target: list[int], expected: list[int]) -> str:
    """Return whether a predicted target is right, and otherwise what was expected."""
    from seq2seq_cli.cli.rendering.tables import first_wrong, shorten

    if target == expected:
        return "ok"
    first = first_wrong(expected, target)
    return f"expected {shorten(expected, first) or 'no tokens'}, wrong from token {first + 1}"
