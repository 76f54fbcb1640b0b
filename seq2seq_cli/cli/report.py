"""`s2s report`: a page on which a run, or several beside each other, can be looked at."""

from pathlib import Path
from typing import Annotated

import typer

from seq2seq_cli.cli import output
from seq2seq_cli.cli.options import (
    DEFAULT_RUNS_DIR,
    Force,
    Quiet,
    RunName,
    RunsDir,
    integer_option,
)
from seq2seq_cli.cli.progress import progress
from seq2seq_cli.inference import threads

Evaluated = Annotated[
    int | None, integer_option("--n-samples", "Held-out sequences to predict. [10000]", 1)
]
LengthsRange = Annotated[
    str | None,
    typer.Option(
        "--lengths", metavar="RANGE", help="How far it carries: each length of 1-60 by itself."
    ),
]
OwnTask = Annotated[
    str | None,
    typer.Option("--task", metavar="FILE.py:FUNCTION", help="The run's own task, to be imported."),
]


def report(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="RUN", help="The runs of --compare.")
    ] = None,
    run: RunName = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Compare several runs: --compare RUN RUN...")
    ] = False,
    sweep: Annotated[
        str | None, typer.Option("--sweep", metavar="NAME", help="What a sweep has come to.")
    ] = None,
    file: Annotated[Path, typer.Option("--output", metavar="FILE.html", help="The page.")] = Path(
        "report.html"
    ),
    n_samples: Evaluated = None,
    lengths: LengthsRange = None,
    task: OwnTask = None,
    force: Force = False,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    quiet: Quiet = False,
) -> None:
    """Make a page of charts of a run, or of several compared.

    It shows how the run learned, where it is right, what its attention and states are like, and how
    it is reproduced. The page needs no network. An earlier report is replaced.
    """
    threads.use_one_blas_thread()
    from seq2seq_cli.errors import ConfigurationError
    from seq2seq_cli.evaluation import DEFAULT_SAMPLES
    from seq2seq_cli.report.drawing import need_libraries
    from seq2seq_cli.report.page import check_free

    is_sweep = sweep is not None
    if (compare or is_sweep) and (run or lengths or (compare and is_sweep)):
        raise ConfigurationError(
            "--compare and --sweep are reports of their own: leave out --run, --lengths and the "
            "other of them"
        )
    if compare and len(names or ()) < 2:
        raise ConfigurationError("--compare: give two runs or more: --compare RUN RUN")
    if names and not compare:
        raise ConfigurationError(f"{names[0]}: give --run {names[0]}, or --compare and several")
    for option, value in {"--task": task, "--n-samples": n_samples}.items():
        if is_sweep and value:
            raise ConfigurationError(f"{option} {value}: a sweep is evaluated: leave it out")
    need_libraries()
    check_free(file, force)
    if compare:
        page = _comparison(names or [], runs_dir, n_samples or DEFAULT_SAMPLES, task, quiet)
    elif sweep is not None:
        page = _sweep(sweep, runs_dir)
    else:
        page = _page(run, runs_dir, n_samples or DEFAULT_SAMPLES, lengths, task, quiet)
    from seq2seq_cli.storage import write_text

    write_text(file, page)
    output.message(f"wrote {file} ({len(page.encode()) / 1000:,.0f} kB)", quiet)


def _page(
    run: str | None,
    runs_dir: Path,
    n_samples: int,
    lengths: str | None,
    task: str | None,
    quiet: bool,
) -> str:
    from seq2seq_cli.cli.evaluate import own_task_of
    from seq2seq_cli.inference.loading import load_run
    from seq2seq_cli.report.content import content_of
    from seq2seq_cli.report.page import run_page

    loaded = load_run(run, runs_dir)
    own_task = own_task_of(loaded, task)
    with progress(n_samples, "evaluating", quiet) as advance:
        content = content_of(
            loaded, n_samples=n_samples, lengths=lengths, task=own_task, progress=advance
        )
    return run_page(content)


def _comparison(
    names: list[str], runs_dir: Path, n_samples: int, task: str | None, quiet: bool
) -> str:
    from seq2seq_cli.cli.evaluate import own_task_of
    from seq2seq_cli.errors import ConfigurationError
    from seq2seq_cli.inference.loading import load_run
    from seq2seq_cli.report.comparison import compare
    from seq2seq_cli.report.page import comparison_page

    loaded = [load_run(name, runs_dir) for name in dict.fromkeys(names)]
    theirs = [run.config.task.name for run in loaded]
    if task and task not in theirs:
        raise ConfigurationError(f"--task {task}: the runs' tasks are {', '.join(theirs)}")
    own = own_task_of(loaded[theirs.index(task)], task) if task else None
    with progress(n_samples * len(loaded), "evaluating", quiet) as advance:
        comparison = compare(loaded, n_samples, advance, own)
    return comparison_page(comparison)


def _sweep(name: str, runs_dir: Path) -> str:
    from seq2seq_cli.report.page import sweep_page
    from seq2seq_cli.runs.location import check_name
    from seq2seq_cli.sweep.folder import SweepFolder

    return sweep_page(SweepFolder(runs_dir / check_name(name)))
