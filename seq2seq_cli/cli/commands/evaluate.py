"""`s2s evaluate`: how well a run predicts sequences that it has not seen."""

from typing import TYPE_CHECKING, Annotated

from seq2seq_cli.cli.options import (
    DEFAULT_RUNS_DIR,
    INTEGER,
    NUMBER,
    SEQUENCES,
    CustomTask,
    HeldOut,
    Json,
    LengthRange,
    Quiet,
    RunName,
    RunsDir,
    load_custom_task,
    option,
)
from seq2seq_cli.cli.rendering import output, phases
from seq2seq_cli.cli.rendering.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seq2seq_cli.data.tasks import Task
    from seq2seq_cli.inference.network import LoadedRun


def evaluate(
    run: RunName = None,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    n_samples: HeldOut = None,
    data: Annotated[
        str | None,
        option("--data", "Pairs in a file (or source,target) instead.", SEQUENCES, "FILE"),
    ] = None,
    n_in: Annotated[
        str | None,
        option("--n-in", "Sources of other lengths: 30, or 26-30.", SEQUENCES, "LENGTH"),
    ] = None,
    lengths: LengthRange = None,
    step: Annotated[
        int | None,
        option("--step", "Between two of --lengths. [1]", SEQUENCES, INTEGER, min=1),
    ] = None,
    task: CustomTask = None,
    examples: Annotated[
        int | None,
        option("--examples", "Spot-check examples to show. [10]", metavar=INTEGER, min=0),
    ] = None,
    min_accuracy: Annotated[
        float,
        option(
            "--min-accuracy",
            "Exit with 7 below this exact match, at any length.",
            metavar=NUMBER,
            min=0,
            max=1,
        ),
    ] = 0.0,
    seed: Annotated[
        int | None, option("--seed", "Seed of the sequences. [the run's]", SEQUENCES, INTEGER)
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Print a run's accuracy and spot-check examples.

    The sequences are held out: no training has seen them. With --lengths each length has its own
    accuracy, which shows how far the run generalizes beyond the training's lengths.
    """
    from seq2seq_cli import evaluation
    from seq2seq_cli.cli.rendering.evaluation import evaluation_as_json, show_evaluation
    from seq2seq_cli.errors import AccuracyError
    from seq2seq_cli.inference.loading import load_run

    if lengths is None:
        _refuse("remove it, or add --lengths", {"--step": step})
    else:
        others = {"--n-in": n_in, "--data": data, "--examples": examples}
        _refuse("use only one of it and --lengths", others)
    loaded = load_run(run, runs_dir)
    phases.end("the run loaded")
    if loaded.config.task.data:
        _refuse(
            "the run was trained on data: give --data FILE", {"--n-in": n_in, "--lengths": lengths}
        )
    custom_task = load_custom_task(task, [loaded])
    output.end_with_reader()
    if lengths is None:
        n_examples = 10 if examples is None else examples
        n_samples = n_samples or evaluation.DEFAULT_SAMPLES
        with Progress("evaluating", n_samples, quiet or as_json or bool(data)) as progress:
            result = evaluation.evaluate(
                loaded, n_samples, data, n_examples, seed, progress.advance, n_in, custom_task
            )
        exact_match = result.exact_match
        if as_json:
            output.write_json(evaluation_as_json(result))
        else:
            show_evaluation(result, quiet)
    else:
        exact_match = _show_lengths(
            loaded, lengths, step or 1, n_samples, seed, custom_task, as_json, quiet
        )
    if exact_match < min_accuracy:
        raise AccuracyError(f"exact match {exact_match:.6f} is below --min-accuracy {min_accuracy}")


def _refuse(reason: str, options: "Mapping[str, object]") -> None:
    """Raise ConfigurationError if any of these options is set."""
    from seq2seq_cli.errors import ConfigurationError

    problems = [f"{name} {value}: {reason}" for name, value in options.items() if value is not None]
    if problems:
        raise ConfigurationError("\n".join(problems))


def _show_lengths(
    loaded: "LoadedRun",
    lengths: str,
    step: int,
    n_samples: int | None,
    seed: int | None,
    custom_task: "Task | None",
    as_json: bool,
    quiet: bool,
) -> float:
    """Evaluate and print each of these lengths; return the lowest exact match."""
    from dataclasses import asdict

    from seq2seq_cli.cli.rendering.evaluation import show_lengths
    from seq2seq_cli.generalization import SAMPLES, evaluate_lengths, parse_range

    each = parse_range(lengths, step)
    n_samples = n_samples or SAMPLES
    with Progress("lengths", len(each), quiet or as_json) as progress:
        curve = evaluate_lengths(loaded, each, n_samples, seed, progress.advance, custom_task)
    if as_json:
        output.write_json(asdict(curve))
    else:
        show_lengths(curve, quiet)
    shares = [item.exact_match for item in curve.lengths if item.exact_match is not None]
    return min(shares, default=0.0)
