"""`s2s plot`: one chart of a run, of several, or of a sweep, in a file or in the terminal."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from seq2seq_cli.cli import options
from seq2seq_cli.cli.commands.report import open_sweep, run_charts
from seq2seq_cli.cli.options import option
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.reports import COMPARISON_CHARTS, RUN_CHARTS, SWEEP_CHARTS, TRAINING_CHARTS
from seq2seq_cli.reports.style import Style


def plot(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help=f"One of {', '.join(RUN_CHARTS)}; with --sweep {' or '.join(SWEEP_CHARTS)}.",
            autocompletion=lambda: [*RUN_CHARTS, *SWEEP_CHARTS],
        ),
    ],
    names: options.RunArguments = None,
    run: options.RunName = None,
    sweep: Annotated[
        str | None, option("--sweep", "Draw a chart of a sweep, not of a run.", metavar="NAME")
    ] = None,
    file: Annotated[
        Path | None, option("--output", "An .svg, .png, .pdf, .csv or .vl.json.", metavar="FILE")
    ] = None,
    width: Annotated[str, option("--width", "column (85), text (178) or mm.")] = str(Style.width),
    font_size: Annotated[float, option("--font-size", "Of labels, in points.")] = Style.font_size,
    dpi: Annotated[float, option("--dpi", "Pixels per inch of a .png.")] = Style.dpi,
    title: Annotated[str | None, option("--title", "A title above the chart.")] = None,
    sequence: Annotated[
        str | None,
        option("--sequence", "The source of attention or decoder-states.", "Sequences", "SEQUENCE"),
    ] = None,
    n_samples: options.HeldOut = None,
    lengths: options.LengthRange = None,
    task: options.CustomTask = None,
    force: options.Force = False,
    runs_dir: options.RunsDir = options.DEFAULT_RUNS_DIR,
    quiet: options.Quiet = False,
) -> None:
    """Draw one chart of runs or a sweep, to a file or the terminal.

    With --sweep NAME the chart is grid or lines; the others are of a run.
    Several runs share one chart of loss, exact-match, learning-rate or results.

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
      results         exact match of runs, with its interval
      grid            exact match by two settings of a sweep
      lines           exact match of a sweep's seeds along a setting

      s2s plot loss RUN OTHER
      s2s plot lengths RUN --output lengths.pdf --width column --font-size 8
      s2s plot attention RUN --sequence "1 2 3 4" --output attention.svg
      s2s plot grid --sweep NAME --output grid.svg
    """
    from seq2seq_cli.cli.rendering.charts import show_chart
    from seq2seq_cli.data.text import parse_sequence
    from seq2seq_cli.evaluation_data import compare_runs
    from seq2seq_cli.reports.data import learning_curve, results, sweep_charts
    from seq2seq_cli.reports.pictures import check_picture, write_picture
    from seq2seq_cli.reports.run import NoChartError
    from seq2seq_cli.runs.listing import Training, open_curve

    runs = list(dict.fromkeys([*(names or []), *([run] if run else [])]))
    values = {"--lengths": lengths, "--n-samples": n_samples}
    values |= {"--task": task, "--sequence": sequence}
    _check_chart(what, len(runs), sweep, values)
    if sweep is not None and runs:
        raise ConfigurationError(f"--sweep {sweep}: remove {' and '.join(runs)}")
    style = Style(width, font_size, dpi, title)
    if file is None and style != Style(title=title):
        raise ConfigurationError("--width, --font-size and --dpi are of a file: add --output FILE")
    if file:
        check_picture(file, force)
    tasks = [task] if task else []
    if sweep is not None:
        charts = sweep_charts(*open_sweep(runs_dir, sweep).read_results())[what]
        if not charts:
            raise ConfigurationError(
                f"{what}: a grid needs all combinations of two settings, lines a seed's result"
            )
    elif what in TRAINING_CHARTS:
        curves = [open_curve(runs_dir, name) for name in runs] or [open_curve(runs_dir)]
        for one in curves:
            if isinstance(one, Training):
                text = f"note: {one.name} is {one.state}; these are the figures so far"
                output.message(text, quiet)
        charts = [learning_curve(curves, what)]
    else:
        shared = runs_dir, n_samples, lengths, tasks, quiet, n_samples
        with run_charts(runs or [None], *shared) as several:
            several[0].sequence = sequence
            try:
                charts = several[0].charts(what)[:1]
            except NoChartError as error:
                raise ConfigurationError(f"{what}: {error}") from error
            if len(several) > 1:
                charts = [results(one.evaluation for one in several)]
                configs = [one.loaded.config for one in several]
                for note in compare_runs(configs, [one.evaluation for one in several])[1]:
                    output.message(f"note: {note}", quiet)
            if sequence:
                for note in several[0].loaded.length_notes([len(parse_sequence(sequence))]):
                    output.message(f"note: {note}", quiet)
    if file is None:
        output.end_with_reader()
        for chart in charts:
            show_chart(replace(chart, title=title or chart.title))
        return
    write_picture(charts[0], file, style)
    output.message(f"wrote {file}", quiet)
    if len(charts) > 1:
        output.message(f"the first of {len(charts)}: the sweep's report has all of them", quiet)


def _check_chart(what: str, n_runs: int, sweep: str | None, values: Mapping[str, object]) -> None:
    """Raise ConfigurationError unless there is such a chart, and it takes these options."""
    names = RUN_CHARTS if sweep is None else SWEEP_CHARTS
    if what not in names:
        hint = "; for a sweep's charts add --sweep NAME" if what in SWEEP_CHARTS else ""
        hint = "; for a run's charts remove --sweep" if what in RUN_CHARTS else hint
        raise ConfigurationError(
            f"{what}: there is no such chart: give one of {', '.join(names)}{hint}"
        )
    if n_runs > 1 and what not in COMPARISON_CHARTS and sweep is None:
        raise ConfigurationError(
            f"{what}: give one run; charts of several are {', '.join(COMPARISON_CHARTS)}"
        )
    own = {"generalization": "--lengths", "attention": "--sequence", "decoder-states": "--sequence"}
    taken = {own.get(what, "")}
    if what not in (*TRAINING_CHARTS, *SWEEP_CHARTS):
        taken |= {"--n-samples", "--task"}
    for name, value in values.items():
        if value and name not in taken:
            raise ConfigurationError(f"{name} {value}: the chart {what} does not use it: remove it")
