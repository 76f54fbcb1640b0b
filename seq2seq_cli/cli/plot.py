"""`s2s plot`: one chart of a run, in a file or in the terminal."""

from pathlib import Path
from typing import Annotated

import typer

from seq2seq_cli.cli import output
from seq2seq_cli.cli.options import DEFAULT_RUNS_DIR, Force, Quiet, RunName, RunsDir
from seq2seq_cli.cli.progress import progress
from seq2seq_cli.cli.report import SAMPLES, Evaluated, LengthsRange, OwnTask
from seq2seq_cli.inference import threads

NAMES = (
    "loss", "exact-match", "learning-rate", "positions", "lengths", "carries", "confusions",
    "attention", "decoder-states", "encoder-states",
)  # fmt: skip
"""The charts, as the report has them."""


def plot(
    what: Annotated[str, typer.Argument(metavar="WHAT", help=f"One of {', '.join(NAMES)}.")],
    run: RunName = None,
    file: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="A file: .svg, .png or .pdf."),
    ] = None,
    n_samples: Evaluated = None,
    lengths: LengthsRange = None,
    task: OwnTask = None,
    force: Force = False,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    quiet: Quiet = False,
) -> None:
    """Draw one chart of a run: to a file, or in the terminal."""
    threads.use_one_blas_thread()
    from seq2seq_cli.cli.evaluate import own_task_of
    from seq2seq_cli.cli.terminal import show_chart
    from seq2seq_cli.errors import ConfigurationError, ExistsError
    from seq2seq_cli.inference.loading import load_run
    from seq2seq_cli.report.content import OF_TRAINING, content_of, only_chart
    from seq2seq_cli.report.drawing import FORMATS, draw, need_libraries
    from seq2seq_cli.storage import atomic_path

    if what not in NAMES:
        raise ConfigurationError(f"{what}: there is no such chart: give one of {', '.join(NAMES)}")
    if lengths and what != "carries":
        raise ConfigurationError(f"--lengths {lengths}: it is for the chart carries: leave it out")
    if n_samples and what in OF_TRAINING:
        raise ConfigurationError(
            f"--n-samples {n_samples}: {what} is of the training: leave it out"
        )
    if file:
        if file.suffix.lower().removeprefix(".") not in FORMATS:
            raise ConfigurationError(f"{file}: the name should end in .svg, .png or .pdf")
        if file.exists() and not force:
            raise ExistsError(f"{file} exists: give another name, or --force to replace it")
        need_libraries()
    loaded = load_run(run, runs_dir)
    output.end_with_reader()
    with progress(n_samples or SAMPLES, "evaluating", quiet) as advance:
        own_task = own_task_of(loaded, task)
        content = content_of(
            loaded, {what}, n_samples or SAMPLES, lengths, own_task, advance, n_samples
        )
    chart = only_chart(content, what)
    if file is None:
        show_chart(chart)
        return
    picture = draw(chart, file.suffix.lower().removeprefix("."))
    with atomic_path(file) as temporary:
        temporary.write_bytes(picture)
    output.message(f"wrote {file}", quiet)
