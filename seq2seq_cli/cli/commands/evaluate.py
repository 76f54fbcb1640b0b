"""`s2s evaluate`: how well a run predicts sequences that it has not seen."""

from collections.abc import Mapping
from typing import Annotated

from seq2seq_cli.cli import options
from seq2seq_cli.cli.options import option
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.cli.rendering.progress import Progress
from seq2seq_cli.errors import ConfigurationError


def evaluate(
    run: options.RunName = None,
    runs_dir: options.RunsDir = options.DEFAULT_RUNS_DIR,
    n_samples: options.HeldOut = None,
    data: Annotated[
        str | None,
        option(
            "--data", "Evaluate the pairs in a file, or in two text files.", "Sequences", "FILE"
        ),
    ] = None,
    n_in: Annotated[
        str | None,
        option("--n-in", "Evaluate sources of other lengths: 30, or 26-30.", "Sequences", "LENGTH"),
    ] = None,
    lengths: options.LengthRange = None,
    step: Annotated[
        int | None,
        option("--step", "The same as --lengths RANGE:STEP.", "Sequences", min=1),
    ] = None,
    task: options.CustomTask = None,
    examples: Annotated[
        int | None, option("--examples", "Number of spot checks to show. [10]", min=0)
    ] = None,
    min_accuracy: options.MinAccuracy = 0,
    seed: Annotated[
        int | None, option("--seed", "Seed of the sequences. [the run's]", "Sequences")
    ] = None,
    argument: options.RunArgument = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Print a run's accuracy and spot-check examples.

    The sequences are held out: no training has seen them. With --lengths each length has its own
    accuracy, which shows how far the run generalizes beyond the training's lengths.

      s2s evaluate --n-samples 100000 --min-accuracy 0.999
      s2s evaluate RUN --lengths 1-200:10
    """
    from dataclasses import asdict

    from seq2seq_cli import evaluation, generalization
    from seq2seq_cli.cli.rendering.evaluation import (
        evaluation_as_json,
        show_evaluation,
        show_lengths,
    )
    from seq2seq_cli.inference.loading import load_run

    if lengths is None:
        _refuse("remove it, or add --lengths", {"--step": step})
    else:
        others = {"--n-in": n_in, "--data": data, "--examples": examples}
        _refuse("use only one of it and --lengths", others)
    loaded = load_run(options.one_run(argument, run), runs_dir)
    output.end_phase("the run loaded")
    if loaded.config.task.data:
        _refuse(
            "custom pairs have no other lengths: remove it", {"--n-in": n_in, "--lengths": lengths}
        )
    (custom_task,) = options.load_custom_tasks([task] if task else [], [loaded])
    output.end_with_reader()
    is_quiet = quiet or as_json
    shares: list[float | None]
    if lengths is None:
        n_examples = 10 if examples is None else examples
        n_shown = n_samples or evaluation.DEFAULT_SAMPLES
        with Progress("evaluating", n_shown, is_quiet or bool(data)) as progress:
            result = evaluation.evaluate(
                loaded, n_samples, data, n_examples, seed, progress.advance, n_in, custom_task
            )
        shares = [result.exact_match]
        if as_json:
            output.write_json(evaluation_as_json(result))
        else:
            show_evaluation(result, quiet)
    else:
        each = generalization.parse_range(lengths, step)
        n_samples = n_samples or generalization.SAMPLES
        with Progress("lengths", len(each), is_quiet) as progress:
            curve = generalization.evaluate_lengths(
                loaded, each, n_samples, seed, progress.advance, custom_task
            )
        shares = [length.exact_match for length in curve.lengths]
        if as_json:
            output.write_json(asdict(curve))
        else:
            show_lengths(curve, quiet)
    options.check_accuracy(shares, min_accuracy)


def _refuse(reason: str, values: Mapping[str, object]) -> None:
    """Raise ConfigurationError if any of these options is set."""
    problems = [f"{name} {value}: {reason}" for name, value in values.items() if value is not None]
    if problems:
        raise ConfigurationError("\n".join(problems))
