"""`s2s report`: a page of charts of a run, of several compared, or of a sweep."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from seq2seq_cli.cli import options
from seq2seq_cli.cli.options import option
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.cli.rendering.progress import Progress
from seq2seq_cli.errors import ConfigurationError

if TYPE_CHECKING:
    from seq2seq_cli.reports.run import RunCharts
    from seq2seq_cli.sweep.folder import SweepFolder


def report(
    names: options.RunArguments = None,
    run: options.RunName = None,
    compare: Annotated[
        bool, option("--compare", "Compare several runs; implied by more than one RUN.")
    ] = False,
    sweep: Annotated[str | None, option("--sweep", "Report on a sweep.", metavar="NAME")] = None,
    file: Annotated[Path, option("--output", "The page to write.", metavar="FILE.html")] = Path(
        "report.html"
    ),
    n_samples: options.HeldOut = None,
    lengths: options.LengthRange = None,
    tasks: options.CustomTasks = None,
    force: options.Force = False,
    runs_dir: options.RunsDir = options.DEFAULT_RUNS_DIR,
    quiet: options.Quiet = False,
) -> None:
    """Make a page of charts of a run, of several runs, or of a sweep.

    The page needs no network. An earlier report is replaced. The page of a run has

      Accuracy          by position and by length, and which tokens are mistaken
      Predictions       wrong ones, and spot checks
      Step by step      the decoder's steps, to go through with the arrow keys
      How it learned    loss, exact match and learning rate over the sequences
      Inside the model  where it attends, or its states; the encoder's states
      The run           its settings, and the commands that reproduce it

    Several runs are compared: which is best, the differences with their intervals, all curves in
    one chart. A sweep has its grid, every seed, and what reproduces it.

      s2s report RUN --output run.html
      s2s report RUN OTHER --output compared.html
    """
    from seq2seq_cli.reports.page import check_free, comparison_page, run_page, sweep_page
    from seq2seq_cli.reports.pictures import need_libraries
    from seq2seq_cli.storage import write_text

    is_sweep = sweep is not None
    compare = compare or len(names or ()) > 1
    if names and not compare:
        run = options.one_run(names[0], run)
    if (compare or is_sweep) and (run or lengths or (compare and is_sweep)):
        raise ConfigurationError(
            "use only one of --compare (or RUN RUN) and --sweep, without --run and --lengths"
        )
    options.check_compared(names, compare)
    for name, value in {"--task": " ".join(tasks or []), "--n-samples": n_samples}.items():
        if is_sweep and value:
            raise ConfigurationError(f"{name} {value}: a sweep is already evaluated: remove it")
    need_libraries()
    check_free(file, force)
    if sweep is not None:
        page = sweep_page(open_sweep(runs_dir, sweep))
    else:
        several = names if names and compare else [run]
        n_each = n_samples if lengths else None  # by default few, since there are many lengths
        with run_charts(several, runs_dir, n_samples, lengths, tasks or [], quiet, n_each) as runs:
            if compare:
                page = comparison_page([r.loaded for r in runs], [r.evaluation for r in runs])
            else:
                page = run_page(runs[0])
    write_text(file, page)
    output.message(f"wrote {file} ({len(page.encode()) / 1000:,.0f} kB)", quiet)


@contextmanager
def run_charts(
    names: Sequence[str | None],
    runs_dir: Path,
    n_samples: int | None,
    lengths: str | None,
    tasks: Sequence[str],
    quiet: bool,
    n_each: int | None,
) -> "Iterator[list[RunCharts]]":
    """Provide the charts of different runs, and show the progress of their evaluation."""
    from seq2seq_cli.evaluation import DEFAULT_SAMPLES
    from seq2seq_cli.inference.loading import load_run
    from seq2seq_cli.reports.run import RunCharts

    runs = [load_run(name, runs_dir) for name in dict.fromkeys(names)]
    custom_tasks = options.load_custom_tasks(tasks, runs)
    with Progress("evaluating", (n_samples or DEFAULT_SAMPLES) * len(runs), quiet) as progress:
        yield [
            RunCharts(run, n_samples, lengths, n_each, custom_task, progress.advance)
            for run, custom_task in zip(runs, custom_tasks, strict=True)
        ]


def open_sweep(runs_dir: Path, name: str) -> "SweepFolder":
    """Return the folder of a sweep."""
    from seq2seq_cli.runs.names import check_name
    from seq2seq_cli.sweep.folder import SweepFolder

    return SweepFolder(runs_dir / check_name(name))
