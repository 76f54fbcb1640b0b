"""`s2s plot`: one chart of a run, in a file or in the terminal."""

from pathlib import Path
from typing import Annotated

import typer

from seq2seq_cli.cli import options
from seq2seq_cli.cli.commands.report import open_sweep, run_charts
from seq2seq_cli.cli.options import option
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.reports import RUN_CHARTS, SWEEP_CHARTS, TRAINING_CHARTS


def plot(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help=f"One of {', '.join(RUN_CHARTS)}; with --sweep {' or '.join(SWEEP_CHARTS)}.",
            autocompletion=lambda: [*RUN_CHARTS, *SWEEP_CHARTS],
        ),
    ],
    run: options.RunName = None,
    sweep: Annotated[
        str | None, option("--sweep", "Draw a chart of a sweep, not of a run.", metavar="NAME")
    ] = None,
    file: Annotated[
        Path | None, option("--output", "Write an .svg, .png or .pdf file.", metavar="FILE")
    ] = None,
    n_samples: options.HeldOut = None,
    lengths: options.LengthRange = None,
    task: options.CustomTask = None,
    force: options.Force = False,
    runs_dir: options.RunsDir = options.DEFAULT_RUNS_DIR,
    quiet: options.Quiet = False,
) -> None:
    """Draw one chart of a run or a sweep, to a file or the terminal.

    With --sweep NAME the chart is grid or lines; the others are of a run.

      lengths         exact match by the length of the source
      positions       token accuracy by the position in the target
      generalization  exact match by length, also beyond the training's
      confusions      which tokens are mistaken for which
      loss            loss of training and validation, by sequences trained on
      exact-match     exact match of the validations, by sequences trained on
      learning-rate   learning rate, by sequences trained on
      attention       where the decoder looks at each step
      decoder-states  the decoder's states at each step, without attention
      encoder-states  the encoder's states in two principal components
      grid            exact match by two settings of a sweep
      lines           exact match of a sweep's seeds along a setting

      s2s plot loss --run RUN
      s2s plot grid --sweep NAME --output grid.svg
    """
    from seq2seq_cli.cli.rendering.charts import show_chart
    from seq2seq_cli.reports.data import sweep_charts
    from seq2seq_cli.reports.pictures import check_picture, write_picture
    from seq2seq_cli.reports.run import NoChartError

    _check_chart(what, sweep, {"--lengths": lengths, "--n-samples": n_samples})
    if sweep is not None and (run or task):
        raise ConfigurationError(f"--sweep {sweep}: remove --run and --task")
    if file:
        check_picture(file, force)
    if sweep is not None:
        charts = sweep_charts(*open_sweep(runs_dir, sweep).read_results())[what]
        if not charts:
            raise ConfigurationError(
                f"{what}: this sweep has none: a grid needs all combinations of two settings, and "
                "lines need a seed with a result"
            )
    else:
        tasks = [task] if task else []
        with run_charts(run, runs_dir, n_samples, lengths, tasks, quiet, n_each=n_samples) as drawn:
            try:
                charts = drawn.charts(what)[:1]
            except NoChartError as error:
                raise ConfigurationError(f"{what}: {error}") from error
    if file is None:
        output.end_with_reader()
        for chart in charts:
            show_chart(chart)
        return
    write_picture(charts[0], file)
    output.message(f"wrote {file}", quiet)
    if len(charts) > 1:
        output.message(f"the first of {len(charts)}: the sweep's report has all of them", quiet)


def _check_chart(what: str, sweep: str | None, values: dict[str, object]) -> None:
    """Raise ConfigurationError unless there is such a chart, and it takes these options."""
    names = RUN_CHARTS if sweep is None else SWEEP_CHARTS
    if what not in names:
        hint = "; for a sweep's charts add --sweep NAME" if what in SWEEP_CHARTS else ""
        hint = "; for a run's charts remove --sweep" if what in RUN_CHARTS else hint
        raise ConfigurationError(
            f"{what}: there is no such chart: give one of {', '.join(names)}{hint}"
        )
    taken = {"--lengths"} if what == "generalization" else set[str]()
    if what not in (*TRAINING_CHARTS, *SWEEP_CHARTS):
        taken.add("--n-samples")
    for name, value in values.items():
        if value and name not in taken:
            raise ConfigurationError(f"{name} {value}: the chart {what} does not use it: remove it")
