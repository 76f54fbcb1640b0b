"""`s2s plot`: one chart of a run, in a file or in the terminal."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seq2seq_cli.cli import output
from seq2seq_cli.cli.completion import one_of
from seq2seq_cli.cli.options import DEFAULT_RUNS_DIR, Force, Quiet, RunName, RunsDir
from seq2seq_cli.cli.progress import progress
from seq2seq_cli.cli.report import Evaluated, LengthsRange, OwnTask
from seq2seq_cli.inference import threads

if TYPE_CHECKING:
    from seq2seq_cli.report.chart import Chart

NAMES = (
    "loss", "exact-match", "learning-rate", "positions", "lengths", "carries", "confusions",
    "attention", "decoder-states", "encoder-states",
)  # fmt: skip
"""The charts of a run, as the report has them."""

SWEEP_NAMES = ("grid", "lines")
"""The charts of a sweep."""


def plot(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help=f"One of {', '.join(NAMES)}; with --sweep {' or '.join(SWEEP_NAMES)}.",
            autocompletion=one_of(*NAMES, *SWEEP_NAMES),
        ),
    ],
    run: RunName = None,
    sweep: Annotated[
        str | None, typer.Option("--sweep", metavar="NAME", help="A sweep, instead of a run.")
    ] = None,
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
    """Draw one chart of a run, or of a sweep: to a file, or in the terminal."""
    threads.use_one_blas_thread()
    from seq2seq_cli.cli.terminal import show_chart
    from seq2seq_cli.destination import check_replaceable
    from seq2seq_cli.errors import ConfigurationError
    from seq2seq_cli.report.drawing import FORMATS, draw, need_libraries
    from seq2seq_cli.storage import atomic_path

    is_sweep = sweep is not None
    names = SWEEP_NAMES if is_sweep else NAMES
    if what not in names:
        beside = "; it is for --sweep NAME" if what in SWEEP_NAMES else ""
        beside = "; it is of a run: leave out --sweep" if is_sweep and what in NAMES else beside
        raise ConfigurationError(
            f"{what}: there is no such chart: give one of {', '.join(names)}{beside}"
        )
    if is_sweep and (run or n_samples or lengths or task):
        raise ConfigurationError(
            f"--sweep {sweep}: leave out --run, --n-samples, --lengths and --task"
        )
    if file:
        if file.suffix.lower().removeprefix(".") not in FORMATS:
            raise ConfigurationError(f"{file}: the name should end in .svg, .png or .pdf")
        check_replaceable(file, force)
        need_libraries()
    if sweep is not None:
        charts = _of_sweep(sweep, what, runs_dir)
        output.end_with_reader()
    else:
        charts = [_of_run(run, what, n_samples, lengths, task, runs_dir, quiet)]
    if file is None:
        for chart in charts:
            show_chart(chart)
        return
    picture = draw(charts[0], file.suffix.lower().removeprefix("."))
    with atomic_path(file) as temporary:
        temporary.write_bytes(picture)
    output.message(f"wrote {file}", quiet)
    if len(charts) > 1:
        output.message(f"it is the first of {len(charts)}: the sweep's report has all", quiet)


def _of_sweep(name: str, what: str, runs_dir: Path) -> "list[Chart]":
    from seq2seq_cli.errors import ConfigurationError
    from seq2seq_cli.report.grids import results_of, sweep_charts
    from seq2seq_cli.runs.location import check_name
    from seq2seq_cli.sweep.folder import SweepFolder

    folder = SweepFolder(runs_dir / check_name(name))
    charts = sweep_charts(*results_of(folder))[what]
    if not charts:
        raise ConfigurationError(
            f"{what}: there is none of this sweep: a grid takes all combinations of two settings, "
            "and lines a seed with a result"
        )
    return charts


def _of_run(
    run: str | None,
    what: str,
    n_samples: int | None,
    lengths: str | None,
    task: str | None,
    runs_dir: Path,
    quiet: bool,
) -> "Chart":
    from seq2seq_cli.cli.evaluate import own_task_of
    from seq2seq_cli.errors import ConfigurationError
    from seq2seq_cli.evaluation import DEFAULT_SAMPLES
    from seq2seq_cli.inference.loading import load_run
    from seq2seq_cli.report.content import OF_TRAINING, content_of, only_chart

    if lengths and what != "carries":
        raise ConfigurationError(f"--lengths {lengths}: it is for the chart carries: leave it out")
    if n_samples and what in OF_TRAINING:
        raise ConfigurationError(
            f"--n-samples {n_samples}: {what} is of the training: leave it out"
        )
    loaded = load_run(run, runs_dir)
    output.end_with_reader()
    with progress(n_samples or DEFAULT_SAMPLES, "evaluating", quiet) as advance:
        own_task = own_task_of(loaded, task)
        content = content_of(
            loaded, {what}, n_samples or DEFAULT_SAMPLES, lengths, own_task, advance, n_samples
        )
    return only_chart(content, what)
