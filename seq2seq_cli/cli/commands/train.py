"""`s2s train`: trains a model and saves the run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from seq2seq_cli.cli import options
from seq2seq_cli.cli.options import option
from seq2seq_cli.cli.process import import_quietly
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.cli.rendering.training import TrainingProgress, show_plan, show_run
from seq2seq_cli.custom_code import CALLBACK, check_function
from seq2seq_cli.errors import ConfigurationError

if TYPE_CHECKING:
    from seq2seq_cli.config import RunConfig
    from seq2seq_cli.data.plan import Plan
    from seq2seq_cli.data.streams import TrainingStream
    from seq2seq_cli.evaluation import Evaluation
    from seq2seq_cli.runs.listing import Run, SeedRun


def train(
    task: options.TaskName = None,
    n_in: options.NIn = None,
    n_out: options.NOut = None,
    cardinality: options.Cardinality = None,
    data: Annotated[
        str | None,
        option("--data", "Custom pairs: a file, or two text files.", "Task", "FILE"),
    ] = None,
    validation_data: Annotated[
        str | None, option("--validation-data", "Custom pairs to validate on.", "Task", "FILE")
    ] = None,
    units: Annotated[int | None, option("--units", "Units of each LSTM. [128]", "Model")] = None,
    layers: Annotated[
        int | None, option("--layers", "Number of stacked LSTMs. [1]", "Model")
    ] = None,
    attention: Annotated[
        Literal["none", "dot"] | None,
        option("--attention", "dot: attend to all encoder outputs. [none]", "Model"),
    ] = None,
    embedding: Annotated[
        int | None, option("--embedding", "Size of the embedding; 0: one-hot. [0]", "Model")
    ] = None,
    bidirectional: Annotated[
        bool | None, option("--bidirectional", "Let the encoder read in both directions.", "Model")
    ] = None,
    dropout: Annotated[
        float | None, option("--dropout", "Share of each layer's inputs to drop. [0]", "Model")
    ] = None,
    n_samples: Annotated[
        int | None, option("--n-samples", "Sequences per epoch. [100000]", "Training")
    ] = None,
    epochs: Annotated[int | None, option("--epochs", "Epochs. [1]", "Training")] = None,
    batch_size: Annotated[
        int | None, option("--batch-size", "Sequences per optimizer step. [64]", "Training")
    ] = None,
    learning_rate: Annotated[
        float | None, option("--learning-rate", "Peak learning rate of Adam. [0.01]", "Training")
    ] = None,
    stop_at: Annotated[
        float | None,
        option("--stop-at", "Stop at this held-out exact match, such as 0.999.", "Training"),
    ] = None,
    patience: Annotated[
        int | None,
        option("--patience", "Stop after this many epochs without improvement.", "Training"),
    ] = None,
    seed: Annotated[int | None, option("--seed", "Seed of all randomness. [0]", "Training")] = None,
    seeds: Annotated[
        int | None,
        option(
            "--seeds",
            "Train this number of seeds, from --seed on, each as a run.",
            "Training",
            min=1,
            max=1000,
        ),
    ] = None,
    config_file: options.ConfigFile = None,
    settings: options.SetOptions = None,
    run: Annotated[
        str | None,
        option(
            "--run",
            "The run's name. [from the task]",
            "Run",
            "NAME",
            autocompletion=options.run_names,
        ),
    ] = None,
    resume: Annotated[
        bool, option("--resume", "Resume a stopped training, or train a run further.", "Run")
    ] = False,
    dry_run: Annotated[
        bool, option("--dry-run", "Show what would be trained, and the time it takes.", "Run")
    ] = False,
    callback: Annotated[
        str | None,
        option("--callback", "A function that returns Keras callbacks.", "Run", "FILE.py:FUNCTION"),
    ] = None,
    min_accuracy: options.MinAccuracy = 0,
    tensorboard: Annotated[
        bool, option("--tensorboard", "Also write the history for TensorBoard.", "Run")
    ] = False,
    checkpoint_seconds: options.CheckpointSeconds = 60,
    runs_dir: options.RunsDir = options.DEFAULT_RUNS_DIR,
    force: options.Force = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a model, save it, and print its accuracy.

    The accuracy is measured on held-out sequences, which no training sees.

      s2s train --n-in 6 --n-out 3 --cardinality 51
      s2s train --n-in 1-20 --attention dot --epochs 5 --stop-at 0.999
    """
    from seq2seq_cli.shipped import suggest

    named: dict[str, object] = {
        "task.name": task,
        "task.n_in": n_in,
        "task.n_out": n_out,
        "task.cardinality": cardinality,
        "task.data": data,
        "task.validation_data": validation_data,
        "model.units": units,
        "model.layers": layers,
        "model.attention": attention,
        "model.embedding": embedding,
        "model.bidirectional": bidirectional,
        "model.dropout": dropout,
        "training.n_samples": n_samples,
        "training.epochs": epochs,
        "training.batch_size": batch_size,
        "training.learning_rate": learning_rate,
        "training.stop_at": stop_at,
        "training.patience": patience,
        "training.seed": seed,
    }
    # The other settings of a resumed training are not known yet; all are checked together later.
    config = options.resolve_config(config_file, settings, named, check=not resume)
    is_quiet = quiet or as_json
    if not resume and (better := suggest(config)):
        output.message(
            f"note: models without attention, or without its position biases, have not learned "
            f"sources of {config.task.n_in} integers; `--config {better}` has settings that do",
            is_quiet,
        )
    if dry_run:
        if resume:
            raise ConfigurationError(
                "--dry-run plans a training from its beginning: remove --resume"
            )
        if callback:
            check_function(CALLBACK, callback)
        plan = _plan(config, runs_dir, run, force, seeds)
        output.end_with_reader()
        show_plan(plan, seeds or 1, as_json, quiet)
        return
    from seq2seq_cli.training.events import Event, Planned
    from seq2seq_cli.training.session import train as train_one
    from seq2seq_cli.training.session import train_seeds

    more: dict[str, Any] = {"resume": resume, "write_tensorboard": tensorboard}
    more |= {"checkpoint_seconds": checkpoint_seconds, "callback": callback or ""}
    with TrainingProgress(is_quiet) as progress:

        def report(event: Event) -> None:
            progress.show(event)
            if isinstance(event, Planned):
                import_quietly()

        shared = (runs_dir, run, force, report)
        if seeds is None:
            single = train_one(config, *shared, **more)
        else:
            several = train_seeds(config, seeds, *shared, **more)
    output.end_phase("the models saved")
    if seeds is not None:
        options.check_accuracy(_show_seeds(several, as_json, quiet), min_accuracy)
    elif single is None:
        output.message("this worker finished; the run is saved by worker 0", is_quiet)
    else:
        evaluated = _evaluate(single, progress.stream)
        output.end_phase("held-out sequences predicted")
        show_run(single, evaluated, progress, as_json, quiet)
        options.check_accuracy([evaluated.exact_match], min_accuracy)


def _plan(
    config: "RunConfig", runs_dir: Path, run: str | None, force: bool, seeds: int | None
) -> "Plan":
    """Plan a training; raises any error that would prevent its start."""
    from seq2seq_cli.data.plan import prepare
    from seq2seq_cli.resources import check_training
    from seq2seq_cli.runs.claim import check_free, free_name
    from seq2seq_cli.runs.names import check_name
    from seq2seq_cli.storage import check_folder

    check_folder(runs_dir)
    plan = prepare(config)
    if seeds is not None:
        first = plan.config.training.seed
        free_name(runs_dir, run, plan.config.task, range(first, first + seeds), force)
    elif run:
        check_free(runs_dir / check_name(run), force)
    check_training(plan.config)
    return plan


def _evaluate(run: "Run", stream: "TrainingStream | None", n_examples: int = 10) -> "Evaluation":
    from seq2seq_cli.evaluation import evaluate
    from seq2seq_cli.inference.loading import load_network
    from seq2seq_cli.resources import validation_samples

    n_samples = validation_samples(run.config)
    return evaluate(load_network(run), n_samples, n_examples=n_examples, stream=stream)


def _show_seeds(seeds: "Sequence[SeedRun]", as_json: bool, quiet: bool) -> list[float]:
    """Evaluate and print each seed's run; return the exact matches.

    Raises ConfigurationError if a seed has no run.
    """
    from seq2seq_cli.cli.rendering.evaluation import seeds_as_json, show_seeds
    from seq2seq_cli.runs.advice import list_command

    results = [
        (seed, _evaluate(seed.run, seed.stream, n_examples=0) if seed.run else None)
        for seed in seeds
    ]
    if as_json:
        output.write_json(seeds_as_json(results))
    else:
        show_seeds(results, quiet)
        if any(seed.run for seed in seeds):
            runs_dir = seeds[0].path.parent
            output.message(f"saved in {runs_dir}; next: {list_command(runs_dir)}", quiet)
    problems = [f"seed {seed.seed}: {seed.problem}" for seed in seeds if seed.problem]
    if problems:
        raise ConfigurationError("\n".join(problems))
    return [report.exact_match for _, report in results if report]
