"""`s2s encode`: the context vector, the states that the encoder passes to the decoder."""

from collections.abc import Sequence
from math import hypot
from pathlib import Path
from typing import Annotated

from seq2seq_cli.cli import options
from seq2seq_cli.cli.options import option
from seq2seq_cli.cli.rendering import output


def encode(
    sequences: options.Sequences = None,
    file: options.InputFile = None,
    output_file: Annotated[
        Path | None,
        option(
            "--output", "Write the arrays hidden and cell (n, layers, width).", metavar="FILE.npz"
        ),
    ] = None,
    force: options.Force = False,
    run: options.RunName = None,
    runs_dir: options.RunsDir = options.DEFAULT_RUNS_DIR,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Print the encoder's hidden and cell states for sequences.

    They are the context vector: all that a decoder without attention knows about a source.
    On a terminal each state's norm and first values are shown; all values are in --json and
    --output, and where standard output is no terminal. Blank lines are skipped.

      s2s encode "22 17 23 5 29 11"
      s2s encode --run RUN --input sources.txt --output states.npz
    """
    from seq2seq_cli.cli.rendering.tables import shorten
    from seq2seq_cli.cli.sequences import check_input, join_arguments, read_sequences
    from seq2seq_cli.inference.loading import load_run
    from seq2seq_cli.inference.network import BATCH
    from seq2seq_cli.prediction import encode as encode_batch
    from seq2seq_cli.prediction import write_states

    check_input(sequences, file)
    loaded = load_run(run, runs_dir)
    output.end_phase("the run loaded")
    output.end_with_reader()
    lengths: set[int] = set()
    is_excerpt = output.stdout().isatty()
    task = loaded.config.task
    sequences = join_arguments(sequences, task.lengths, quiet)
    with read_sequences(sequences, file, task.cardinality) as source_reader:
        if output_file:
            sources = source_reader.all()
            lengths.update(map(len, sources))
            write_states(output_file, loaded, sources, force)
            output.message(f"wrote the states of {len(sources):,} to {output_file}", quiet)
        else:
            for lines in source_reader.batches(BATCH):
                batch = [sequence for sequence in lines if sequence is not None]
                if not batch:
                    continue
                lengths.update(map(len, batch))
                for encoded in encode_batch(loaded, batch):
                    if as_json:
                        output.write_json(encoded._asdict())
                        continue
                    if is_excerpt:
                        output.write(shorten(encoded.source))
                    for number in range(len(encoded.hidden)):
                        for name in ("hidden", "cell"):
                            values = getattr(encoded, name)[number]
                            whole = " ".join(f"{value:.4f}" for value in values)
                            shown = excerpt(values) if is_excerpt else whole
                            output.write(f"{name} {number + 1}: {shown}")
    for note in loaded.length_notes(lengths):
        output.message(f"note: {note}", quiet)


def excerpt(values: Sequence[float], most: int = 5) -> str:
    """Return the norm of a state and its first values, at `most` this many."""
    first = " ".join(f"{value:7.4f}" for value in values[:most])
    rest = f" ... ({len(values)})" if len(values) > most else ""
    return f"norm {hypot(*values):.4f}, values {first}{rest}"
