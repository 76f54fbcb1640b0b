"""`s2s plot`: one chart of a run, in a file or in the terminal."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seq2seq_cli.cli.commands.report import run_charts
from seq2seq_cli.cli.options import (
    DEFAULT_RUNS_DIR,
    CustomTask,
    Force,
    HeldOut,
    LengthRange,
    Quiet,
    RunName,
    RunsDir,
    option,
)
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.report import RUN_CHARTS, SWEEP_CHARTS, TRAINING_CHARTS

if TYPE_CHECKING:
    from seq2seq_cli.report.data import Chart


def plot(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help=f"One of {', '.join(RUN_CHARTS)}; with --sweep {' or '.join(SWEEP_CHARTS)}.",
            autocompletion=lambda: [*RUN_CHARTS, *SWEEP_CHARTS],
        ),
    ],
    run: RunName = None,
    sweep: Annotated[
        str | None, option("--sweep", "A sweep, instead of a run.", metavar="NAME")
    ] = None,
    file: Annotated[
        Path | None, option("--output", "A file: .svg, .png or .pdf.", metavar="FILE")
    ] = None,
    n_samples: HeldOut = None,
    lengths: LengthRange = None,
    task: CustomTask = None,
    force: Force = False,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    quiet: Quiet = False,
) -> None:
    """Draw one chart of a run, or of a sweep: to a file, or in the terminal."""
    from seq2seq_cli.cli.rendering.charts import show_chart
    from seq2seq_cli.errors import ConfigurationError
    from seq2seq_cli.report.pictures import FORMATS, draw, need_libraries
    from seq2seq_cli.storage import atomic_path, check_replaceable

    is_sweep = sweep is not None
    names = SWEEP_CHARTS if is_sweep else RUN_CHARTS
    if what not in names:
        hint = "; for a sweep's charts add --sweep NAME" if what in SWEEP_CHARTS else ""
        hint = "; for a run's charts remove --sweep" if what in RUN_CHARTS else hint
        raise ConfigurationError(
            f"{what}: there is no such chart: give one of {', '.join(names)}{hint}"
        )
    if is_sweep and (run or n_samples or lengths or task):
        raise ConfigurationError(
            f"--sweep {sweep}: remove --run, --n-samples, --lengths and --task"
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
        output.message(f"the first of {len(charts)}: the sweep's report has all of them", quiet)


def _of_sweep(name: str, what: str, runs_dir: Path) -> "list[Chart]":
    from seq2seq_cli.errors import ConfigurationError
    from seq2seq_cli.report.data import sweep_charts
    from seq2seq_cli.runs.names import check_name
    from seq2seq_cli.sweep.folder import SweepFolder

    folder = SweepFolder(runs_dir / check_name(name))
    charts = sweep_charts(*folder.read_results())[what]
    if not charts:
        raise ConfigurationError(
            f"{what}: this sweep has none: a grid needs all combinations of two settings, and "
            "lines need a seed with a result"
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
    from seq2seq_cli.errors import ConfigurationError
    from seq2seq_cli.report.run import NoChartError

    if lengths and what != "generalization":
        raise ConfigurationError(
            f"--lengths {lengths}: only the chart generalization takes it: remove it"
        )
    if n_samples and what in TRAINING_CHARTS:
        raise ConfigurationError(
            f"--n-samples {n_samples}: {what} is a chart of the training: remove it"
        )
    output.end_with_reader()
    with run_charts(run, runs_dir, n_samples, lengths, task, quiet, n_each=n_samples) as charts:
        try:
            return charts.charts(what)[0]
        except NoChartError as error:
            raise ConfigurationError(f"{what}: {error}") from error
