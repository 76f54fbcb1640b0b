"""`s2s predict`: the targets of sequences."""

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Annotated

from seq2seq_cli.cli import options
from seq2seq_cli.cli.options import option
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.inference import threads

if TYPE_CHECKING:
    from seq2seq_cli.prediction import Prediction


def predict(
    sequences: options.Sequences = None,
    file: options.InputFile = None,
    beam: Annotated[int, option("--beam", "Width of a beam search; 1: greedy.", min=1)] = 1,
    top: Annotated[int, option("--top", "Number of the most likely targets to show.", min=1)] = 1,
    attention: Annotated[
        bool, option("--attention", "Show where the decoder looks, token by token.")
    ] = False,
    run: options.RunName = None,
    runs_dir: options.RunsDir = options.DEFAULT_RUNS_DIR,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Predict the targets of sequences; blank lines stay blank.

    With --top, each line has the log probability, a tab and the target, best first.

      s2s predict "22 17 23 5 29 11"
      s2s predict --run RUN --beam 5 --top 3 --input sources.txt
    """
    from seq2seq_cli.cli.rendering.charts import heat_map
    from seq2seq_cli.cli.sequences import check_input, is_stream, read_sequences
    from seq2seq_cli.inference.loading import load_run
    from seq2seq_cli.inference.network import BATCH
    from seq2seq_cli.prediction import predict_each

    check_input(sequences, file)
    if top > beam:
        raise ConfigurationError(f"--top {top}: should be at most --beam, which is {beam}")
    loaded = load_run(run, runs_dir)
    output.end_phase("the run loaded")
    if attention and loaded.decoder.attention is None:
        raise ConfigurationError(
            f"--attention: the run {loaded.run.name} has none; train with --attention dot"
        )
    lengths: set[int] = set()
    n_cut = 0

    def work(batch: list[list[int] | None]) -> "list[list[Prediction]]":
        """Return the predictions for each line, none for a blank one."""
        sources = [sequence for sequence in batch if sequence is not None]
        predictions = iter(predict_each(loaded, sources, beam, top, attention))
        return [[] if sequence is None else next(predictions) for sequence in batch]

    def show(prediction: "Prediction") -> None:
        if as_json:
            document = prediction._asdict()
            if not attention:
                del document["attention"]
            output.write_json(document)
            return
        score = f"{prediction.log_probability:.4f}\t" if top > 1 else ""
        output.write(score + output.format_ids(prediction.target))
        if prediction.attention:
            heat_map(prediction.target, prediction.source, prediction.attention)

    output.end_with_reader()
    with read_sequences(sequences, file, loaded.config.task.cardinality) as reader:

        def batches() -> Iterator[list[list[int] | None]]:
            for batch in reader.batches(max(1, BATCH // beam)):
                lengths.update(len(sequence) for sequence in batch if sequence is not None)
                yield batch

        results = (
            threads.map_batches(work, batches(), reader.is_ready)
            if is_stream(sequences, file)
            else map(work, batches())
        )
        for predictions in chain.from_iterable(results):
            if not predictions:
                output.write("null" if as_json else "")
            for prediction in predictions:
                n_cut += not prediction.finished
                show(prediction)
    if n_cut:
        cut = "1 target was" if n_cut == 1 else f"{n_cut:,} targets were"
        output.message(f"note: {cut} cut at the limit of tokens, without an end", quiet)
    for note in loaded.length_notes(lengths):
        output.message(f"note: {note}", quiet)
