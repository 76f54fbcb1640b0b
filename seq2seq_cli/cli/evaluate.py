"""`s2s evaluate`: how well a run predicts sequences it has not seen."""

from typing import TYPE_CHECKING, Annotated

import typer

from seq2seq_cli.cli import output, phases
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
from seq2seq_cli.cli.sections import SEQUENCES
from seq2seq_cli.inference import threads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seq2seq_cli.data.tasks import Task
    from seq2seq_cli.inference.network import LoadedRun


def evaluate(
    run: RunName = None,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    n_samples: Annotated[
        int | None,
        integer_option(
            "--n-samples",
            "Held-out sequences to predict. [10000, or 1000 of each of --lengths]",
            1,
            SEQUENCES,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="FILE",
            help="Pairs in a file (or source,target) instead.",
            rich_help_panel=SEQUENCES,
        ),
    ] = None,
    n_in: Annotated[
        str | None,
        typer.Option(
            "--n-in",
            metavar="LENGTH",
            help="Sources of other lengths: 30, or 26-30.",
            rich_help_panel=SEQUENCES,
        ),
    ] = None,
    lengths: Annotated[
        str | None,
        typer.Option(
            "--lengths",
            metavar="RANGE",
            help="How far it carries: each length of 1-200 by itself.",
            rich_help_panel=SEQUENCES,
        ),
    ] = None,
    step: Annotated[
        int | None,
        integer_option("--step", "From one of --lengths to the next. [1]", 1, SEQUENCES),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            metavar="FILE.py:FUNCTION",
            help="The run's own task.",
            rich_help_panel=SEQUENCES,
        ),
    ] = None,
    examples: Annotated[
        int | None, integer_option("--examples", "Spot-check examples to show. [10]", 0)
    ] = None,
    min_accuracy: Annotated[
        float,
        number_option(
            "--min-accuracy", "Exit with 7 below this exact match (0 to 1), at any length.", 1
        ),
    ] = 0.0,
    seed: Annotated[
        int | None,
        integer_option("--seed", "Seed of the sequences. [the run's]", 0, SEQUENCES),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print a run's accuracy and spot-check examples.

    The sequences are held out: no training has seen them. With --lengths each length has its
    accuracy, which shows how far beyond the training's lengths the run carries.
    """
    threads.use_one_blas_thread()
    from seq2seq_cli import evaluation
    from seq2seq_cli.cli import accuracy
    from seq2seq_cli.errors import AccuracyError
    from seq2seq_cli.inference.loading import load_run

    if lengths is None:
        _refuse("leave it out, or give --lengths too", {"--step": step})
    else:
        others = {"--n-in": n_in, "--data": data, "--examples": examples}
        _refuse("--lengths has no use for it: leave one of them out", others)
    loaded = load_run(run, runs_dir)
    phases.end("the run loaded")
    own_task = own_task_of(loaded, task)
    output.end_with_reader()
    if lengths is None:
        n_examples = 10 if examples is None else examples
        n_samples = n_samples or evaluation.DEFAULT_SAMPLES
        with progress(n_samples, "evaluating", quiet or as_json or bool(data)) as advance:
            result = evaluation.evaluate(
                loaded, n_samples, data, n_examples, seed, advance, n_in, own_task
            )
        exact_match = result.exact_match
        if as_json:
            output.write_json(accuracy.as_json(result))
        else:
            accuracy.show(result, quiet)
    else:
        exact_match = _show_lengths(
            loaded, lengths, step or 1, n_samples, seed, own_task, as_json, quiet
        )
    if exact_match < min_accuracy:
        raise AccuracyError(f"exact match {exact_match:.6f} is below --min-accuracy {min_accuracy}")


def own_task_of(loaded: "LoadedRun", task: str | None) -> "Task | None":
    """Return a run's own task that was named, imported; None for a built-in one.

    Raises ConfigurationError where it is not the run's.
    """
    from seq2seq_cli.custom_code import names_function
    from seq2seq_cli.data.tasks import load_task
    from seq2seq_cli.errors import ConfigurationError

    if task and task != loaded.config.task.name:
        raise ConfigurationError(f"--task {task}: the run's task is {loaded.config.task.name}")
    return load_task(task) if task and names_function(task) else None


def _refuse(reason: str, options: "Mapping[str, object]") -> None:
    """Raise ConfigurationError for any of these options that was given."""
    from seq2seq_cli.errors import ConfigurationError

    given = [f"{name} {value}: {reason}" for name, value in options.items() if value is not None]
    if given:
        raise ConfigurationError("\n".join(given))


def _show_lengths(
    loaded: "LoadedRun",
    lengths: str,
    step: int,
    n_samples: int | None,
    seed: int | None,
    own_task: "Task | None",
    as_json: bool,
    quiet: bool,
) -> float:
    """Evaluate and print each of these lengths; return the least exact match of any."""
    from seq2seq_cli.cli.curve import curve_as_json, show_curve
    from seq2seq_cli.generalization import SAMPLES, evaluate_lengths, parse_range

    found = parse_range(lengths, step)
    n_samples = n_samples or SAMPLES
    with progress(len(found), "lengths", quiet or as_json) as advance:
        curve = evaluate_lengths(loaded, found, n_samples, seed, advance, own_task)
    if as_json:
        output.write_json(curve_as_json(curve))
    else:
        show_curve(curve, quiet)
    shares = [item.exact_match for item in curve.lengths if item.exact_match is not None]
    return min(shares, default=0.0)
