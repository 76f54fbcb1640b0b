"""`s2s train`: trains a model and saves the run."""

from typing import Annotated, Any, Literal

from seq2seq_cli.cli.options import (
    DEFAULT_RUNS_DIR,
    INTEGER,
    MODEL,
    NUMBER,
    RUN,
    TASK,
    TRAINING,
    Cardinality,
    CheckpointSeconds,
    ConfigFile,
    Force,
    Json,
    NIn,
    NOut,
    Quiet,
    RunsDir,
    SetOptions,
    TaskName,
    option,
    resolve_config,
    run_names,
)
from seq2seq_cli.cli.process import import_quietly
from seq2seq_cli.cli.rendering import output, phases
from seq2seq_cli.cli.rendering.training import TrainingProgress


def train(
    task: TaskName = None,
    n_in: NIn = None,
    n_out: NOut = None,
    cardinality: Cardinality = None,
    data: Annotated[
        str | None,
        option("--data", "Custom pairs: a file, or source,target files.", TASK, "FILE"),
    ] = None,
    validation_data: Annotated[
        str | None,
        option("--validation-data", "Custom pairs to validate on.", TASK, "FILE"),
    ] = None,
    units: Annotated[
        int | None, option("--units", "Width of the LSTMs. [128]", MODEL, INTEGER)
    ] = None,
    layers: Annotated[
        int | None, option("--layers", "LSTMs in a stack. [1]", MODEL, INTEGER)
    ] = None,
    attention: Annotated[
        Literal["none", "dot"] | None,
        option("--attention", "dot: look at all encoder outputs. [none]", MODEL),
    ] = None,
    embedding: Annotated[
        int | None,
        option("--embedding", "Size of an embedding; 0: one-hot. [0]", MODEL, INTEGER),
    ] = None,
    n_samples: Annotated[
        int | None, option("--n-samples", "Sequences per epoch. [100000]", TRAINING, INTEGER)
    ] = None,
    epochs: Annotated[int | None, option("--epochs", "Epochs. [1]", TRAINING, INTEGER)] = None,
    batch_size: Annotated[
        int | None,
        option("--batch-size", "Sequences per optimizer step. [64]", TRAINING, INTEGER),
    ] = None,
    learning_rate: Annotated[
        float | None,
        option("--learning-rate", "Peak learning rate of Adam. [0.01]", TRAINING, NUMBER),
    ] = None,
    seed: Annotated[
        int | None, option("--seed", "Seed of all randomness. [0]", TRAINING, INTEGER)
    ] = None,
    seeds: Annotated[
        int | None,
        option(
            "--seeds",
            "Train several seeds, from --seed on, each a run.",
            TRAINING,
            INTEGER,
            min=1,
            max=1000,
        ),
    ] = None,
    config_file: ConfigFile = None,
    settings: SetOptions = None,
    run: Annotated[
        str | None,
        option("--run", "The run's name. [from the task]", RUN, "NAME", autocompletion=run_names),
    ] = None,
    resume: Annotated[
        bool, option("--resume", "Resume a stopped training, or train one further.", RUN)
    ] = False,
    dry_run: Annotated[
        bool, option("--dry-run", "Show what would be trained and what it takes.", RUN)
    ] = False,
    callback: Annotated[
        str,
        option(
            "--callback",
            "A function that returns Keras callbacks.",
            RUN,
            "FILE.py:FUNCTION",
            show_default=False,
        ),
    ] = "",
    tensorboard: Annotated[
        bool, option("--tensorboard", "Write the history for TensorBoard too.", RUN)
    ] = False,
    checkpoint_seconds: CheckpointSeconds = 60.0,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a model, save it, and print its accuracy.

    The accuracy is measured on held-out sequences, which no training sees.
    """
    from seq2seq_cli.shipped import suggest

    options: dict[str, object] = {
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
        "training.n_samples": n_samples,
        "training.epochs": epochs,
        "training.batch_size": batch_size,
        "training.learning_rate": learning_rate,
        "training.seed": seed,
    }
    # The other settings of a resumed training are not known yet; all are checked together later.
    config = resolve_config(config_file, settings, options, check=not resume)
    if not resume and (better := suggest(config)):
        output.message(
            f"note: models without attention, or without its position biases, have not learned "
            f"sources of {config.task.n_in} integers; `--config {better}` has settings that do",
            quiet or as_json,
        )
    if dry_run:
        from seq2seq_cli.cli.rendering.plan import plan_training

        plan_training(config, runs_dir, run, force, seeds, resume, as_json, quiet)
        return
    from seq2seq_cli.cli.rendering.training import show_run, show_seed_runs
    from seq2seq_cli.training.events import Event, Planned
    from seq2seq_cli.training.session import train as train_one
    from seq2seq_cli.training.session import train_seeds

    kept: dict[str, Any] = {"resume": resume, "write_tensorboard": tensorboard}
    kept |= {"checkpoint_seconds": checkpoint_seconds, "callback": callback}
    is_quiet = quiet or as_json
    with TrainingProgress(is_quiet) as progress:

        def report(event: Event) -> None:
            progress.show(event)
            if isinstance(event, Planned):
                import_quietly()

        shared = (runs_dir, run, force, report)
        if seeds is None:
            single = train_one(config, *shared, **kept)
        else:
            several = train_seeds(config, seeds, *shared, **kept)
    phases.end("the models saved")
    if seeds is not None:
        show_seed_runs(several, as_json, quiet)
    elif single is None:
        output.message("this worker finished; the run is saved by worker 0", is_quiet)
    else:
        show_run(single, progress, as_json, quiet)
