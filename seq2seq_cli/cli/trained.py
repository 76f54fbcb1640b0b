"""What a training has come to: a run's accuracy, or that of several seeds, and what to do next."""

from typing import TYPE_CHECKING

from seq2seq_cli.cli import output, phases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seq2seq_cli.data.streams import TrainingStream
    from seq2seq_cli.runs.listing import Run
    from seq2seq_cli.training.seeds import SeedRun

SHOWN_SOURCE = 12
"""Integers of a source that the advice at the end has room for."""


def show_run(trained: "Run", stream: "TrainingStream | None", as_json: bool, quiet: bool) -> None:
    """Evaluate a run and print its accuracy, and what to do next."""
    from seq2seq_cli.cli import accuracy
    from seq2seq_cli.evaluation import evaluate
    from seq2seq_cli.inference.loading import load_network
    from seq2seq_cli.resources import validation_samples
    from seq2seq_cli.runs.advice import evaluate_command, predict_command

    n_evaluated = validation_samples(trained.config)
    result = evaluate(load_network(trained), n_evaluated, stream=stream)
    phases.end("held-out sequences predicted")
    if as_json:
        output.write_json({"path": str(trained.path), **accuracy.as_json(result)})
        return
    accuracy.show(result, quiet)
    source = result.examples[0].source
    advice = evaluate_command(trained.path, trained.config.task)
    if len(source) <= SHOWN_SOURCE:
        advice += f", or {predict_command(trained.path, output.format_ids(source))}"
    output.message(f"saved in {trained.path}; next: {advice}", quiet)


def show_seed_runs(trained: "Sequence[SeedRun]", as_json: bool, quiet: bool) -> None:
    """Evaluate each seed's run and print how they spread; none is shown without the others.

    Raises ConfigurationError where a seed has come to no run.
    """
    from seq2seq_cli.cli.spread import SeedRow, show_seeds, spread_as_json
    from seq2seq_cli.errors import ConfigurationError
    from seq2seq_cli.evaluation import evaluate
    from seq2seq_cli.inference.loading import load_network
    from seq2seq_cli.resources import validation_samples
    from seq2seq_cli.runs.advice import list_command

    rows = []
    for item in trained:
        found = None
        if item.run:
            n_evaluated = validation_samples(item.run.config)
            network = load_network(item.run)
            found = evaluate(network, n_evaluated, n_examples=0, stream=item.stream)
        rows.append(SeedRow(item.seed, item.path, found, item.problem))
    if as_json:
        output.write_json(spread_as_json(rows))
    else:
        show_seeds(rows, quiet)
        if any(item.run for item in trained):
            runs_dir = trained[0].path.parent
            output.message(f"saved in {runs_dir}; next: {list_command(runs_dir)}", quiet)
    problems = [f"seed {row.seed}: {row.problem}" for row in rows if row.problem]
    if problems:
        raise ConfigurationError("\n".join(problems))
