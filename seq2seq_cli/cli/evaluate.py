"""`s2s evaluate`: how well a run predicts sequences it has not seen."""

from typing import Annotated

import typer

from seq2seq_cli.cli import output
from seq2seq_cli.cli.options import (
    DEFAULT_RUNS_DIR,
    Json,
    Quiet,
    RunName,
    RunsDir,
    integer_option,
    number_option,
)
from seq2seq_cli.cli.progress import progress
from seq2seq_cli.inference import threads


def evaluate(
    run: RunName = None,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    n_samples: Annotated[
        int, integer_option("--n-samples", "Held-out sequences to predict.", 1)
    ] = 10_000,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="FILE", help="Pairs in a file (or source,target) instead."),
    ] = None,
    n_in: Annotated[
        str | None,
        typer.Option("--n-in", metavar="LENGTH", help="Sources of other lengths: 30, or 26-30."),
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", help="The run's own task: path/to/file.py:function.")
    ] = None,
    examples: Annotated[int, integer_option("--examples", "Spot-check examples to show.", 0)] = 10,
    min_accuracy: Annotated[
        float,
        number_option("--min-accuracy", "Exit with 7 below this exact match, from 0 to 1.", 1),
    ] = 0.0,
    seed: Annotated[
        int | None, integer_option("--seed", "Seed of the sequences. [the run's]", 0)
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print a run's accuracy and spot-check examples.

    The sequences are held out: no training has seen them.
    """
    threads.use_one_blas_thread()
    from seq2seq_cli import evaluation
    from seq2seq_cli.cli import report
    from seq2seq_cli.data.own_tasks import load_task
    from seq2seq_cli.data.tasks import OWN_TASK
    from seq2seq_cli.errors import AccuracyError, ConfigurationError
    from seq2seq_cli.inference.loading import load_run

    loaded = load_run(run, runs_dir)
    if task and task != loaded.config.task.name:
        raise ConfigurationError(f"--task {task}: the run's task is {loaded.config.task.name}")
    own_task = load_task(task) if task and OWN_TASK in task else None
    output.end_with_reader()
    with progress(n_samples, "evaluating", quiet or as_json or data is not None) as advance:
        result = evaluation.evaluate(
            loaded, n_samples, data, examples, seed, advance, n_in, own_task
        )
    if as_json:
        output.write_json(report.as_json(result))
    else:
        report.show(result, quiet)
    if result.exact_match < min_accuracy:
        raise AccuracyError(
            f"exact match {result.exact_match:.6f} is below --min-accuracy {min_accuracy}"
        )
