"""`s2s train`: trains a model and saves the run."""

from math import inf
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seq2seq_cli.cli import output, phases
from seq2seq_cli.cli.completion import one_of, run_names
from seq2seq_cli.cli.display import Display
from seq2seq_cli.cli.options import (
    DEFAULT_RUNS_DIR,
    Cardinality,
    ConfigFile,
    Json,
    NIn,
    NOut,
    Quiet,
    RunsDir,
    SetOptions,
    TaskName,
    integer_option,
    number_option,
    resolve_config,
)
from seq2seq_cli.cli.progress import progress
from seq2seq_cli.cli.sections import MODEL, RUN, TASK, TRAINING
from seq2seq_cli.inference import threads

if TYPE_CHECKING:
    from seq2seq_cli.config import RunConfig


def train(
    task: TaskName = None,
    n_in: NIn = None,
    n_out: NOut = None,
    cardinality: Cardinality = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="FILE",
            help="Own pairs: a file, or source,target files.",
            rich_help_panel=TASK,
        ),
    ] = None,
    validation_data: Annotated[
        str | None,
        typer.Option(
            "--validation-data",
            metavar="FILE",
            help="Own pairs to validate on.",
            rich_help_panel=TASK,
        ),
    ] = None,
    units: Annotated[
        int | None, integer_option("--units", "Width of the LSTMs. [128]", section=MODEL)
    ] = None,
    layers: Annotated[
        int | None, integer_option("--layers", "LSTMs in a stack. [1]", section=MODEL)
    ] = None,
    attention: Annotated[
        str | None,
        typer.Option(
            "--attention",
            metavar="none|dot",
            help="dot: look at all encoder outputs. [none]",
            autocompletion=one_of("none", "dot"),
            rich_help_panel=MODEL,
        ),
    ] = None,
    embedding: Annotated[
        int | None,
        integer_option("--embedding", "Size of an embedding; 0: one-hot. [0]", section=MODEL),
    ] = None,
    n_samples: Annotated[
        int | None, integer_option("--n-samples", "Sequences an epoch. [100000]", section=TRAINING)
    ] = None,
    epochs: Annotated[
        int | None, integer_option("--epochs", "Epochs. [1]", section=TRAINING)
    ] = None,
    batch_size: Annotated[
        int | None,
        integer_option("--batch-size", "Sequences an optimizer step. [64]", section=TRAINING),
    ] = None,
    learning_rate: Annotated[
        float | None,
        number_option("--learning-rate", "Peak learning rate of Adam. [0.01]", section=TRAINING),
    ] = None,
    seed: Annotated[
        int | None, integer_option("--seed", "Seed of all randomness. [0]", section=TRAINING)
    ] = None,
    seeds: Annotated[
        int | None,
        integer_option(
            "--seeds", "Train this many seeds, from --seed on, each a run.", 1, TRAINING
        ),
    ] = None,
    config_file: ConfigFile = None,
    settings: SetOptions = None,
    auto: Annotated[
        bool,
        typer.Option(
            "--auto",
            help="Where you give none, the settings with which such lengths were learned.",
            rich_help_panel=TRAINING,
        ),
    ] = False,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="NAME",
            help="The run's name. [from the task]",
            autocompletion=run_names,
            rich_help_panel=RUN,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with a stopped training, or train one further.",
            rich_help_panel=RUN,
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace what has this name.", rich_help_panel=RUN)
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show what would be trained and what it takes.", rich_help_panel=RUN
        ),
    ] = False,
    callback: Annotated[
        str,
        typer.Option(
            "--callback",
            metavar="FILE.py:FUNCTION",
            help="A function that returns Keras callbacks.",
            rich_help_panel=RUN,
            show_default=False,
        ),
    ] = "",
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard", help="Write the history for TensorBoard too.", rich_help_panel=RUN
        ),
    ] = False,
    checkpoint_seconds: Annotated[
        float,
        number_option("--checkpoint-seconds", "Seconds from checkpoint to checkpoint.", inf, RUN),
    ] = 60.0,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a model, save it, and print its accuracy.

    The accuracy is measured on held-out sequences, which no training sees.
    """
    threads.use_one_blas_thread()
    from seq2seq_cli.errors import ConfigurationError

    named = {"name": task, "n_in": n_in, "n_out": n_out, "cardinality": cardinality}
    sizes = {"n_samples": n_samples, "epochs": epochs, "batch_size": batch_size}
    options: dict[str, object] = {f"task.{key}": value for key, value in named.items()}
    options |= {f"training.{key}": value for key, value in sizes.items()}
    options |= {"task.data": data, "task.validation_data": validation_data}
    options |= {"model.units": units, "model.layers": layers, "model.attention": attention}
    options |= {"model.embedding": embedding, "training.learning_rate": learning_rate}
    options["training.seed"] = seed
    # What a resumed training was begun with is not known yet: the whole is checked there.
    config = resolve_config(config_file, settings, options, check=not resume)
    if not resume:
        config = _recommended(config, auto, quiet or as_json)
    elif auto:
        raise ConfigurationError("--auto: a resumed training keeps its settings; leave it out")
    if dry_run:
        from seq2seq_cli.cli.dry_run import plan_training

        plan_training(config, runs_dir, run, force, seeds, resume, as_json, quiet)
        return
    from seq2seq_cli.cli.trained import show_run, show_seed_runs
    from seq2seq_cli.training.seeds import train_seeds
    from seq2seq_cli.training.session import train as train_one

    kept: dict[str, Any] = {"resume": resume, "write_tensorboard": tensorboard}
    kept |= {"checkpoint_seconds": checkpoint_seconds, "callback": callback}
    is_quiet = quiet or as_json
    with progress(1, "starting TensorFlow", is_quiet) as advance:
        display = Display(advance, is_quiet)
        given = (runs_dir, run, force, display.show)
        if seeds is None:
            single = train_one(config, *given, **kept)
        else:
            several = train_seeds(config, seeds, *given, **kept)
    phases.end("the models saved")
    if seeds is not None:
        show_seed_runs(several, as_json, quiet)
    elif single is None:
        output.message("trained along; the run is where the chief has it", is_quiet)
    else:
        show_run(single, display.stream, as_json, quiet)


def _recommended(config: "RunConfig", auto: bool, is_quiet: bool) -> "RunConfig":
    """Return the settings to train with; where they are known to fail, say what is recommended."""
    from seq2seq_cli.recommendation import recommend

    found = recommend(config)
    if found is None:
        return config
    if auto:
        output.message(
            f"--auto: the settings of `--config {found.name}`, for {found.reason}", is_quiet
        )
        return found.under(config)
    output.message(
        f"note: {found.reason}: --auto takes the settings of `--config {found.name}`, with which "
        "such lengths were learned",
        is_quiet,
    )
    return config
