"""`s2s train`: trains a model and saves the run."""

import os
import tempfile
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

from seq2seq_cli.cli import output
from seq2seq_cli.cli.options import (
    DEFAULT_RUNS_DIR,
    Cardinality,
    ConfigFile,
    Force,
    Json,
    NIn,
    NOut,
    Quiet,
    RunsDir,
    Seed,
    Settings,
    TaskName,
    integer_option,
    number_option,
    resolve_config,
)

if TYPE_CHECKING:
    from seq2seq_cli.config import RunConfig
    from seq2seq_cli.training.cluster import Cluster
    from seq2seq_cli.training.events import Event


SHOWN_SOURCE = 12
"""Integers of a source that the advice at the end has room for."""


def train(
    task: TaskName = None,
    n_in: NIn = None,
    n_out: NOut = None,
    cardinality: Cardinality = None,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="FILE", help="Own pairs: a file, or source,target files."),
    ] = None,
    validation_data: Annotated[
        str | None,
        typer.Option("--validation-data", metavar="FILE", help="Own pairs to validate on."),
    ] = None,
    units: Annotated[int | None, integer_option("--units", "Width of the LSTMs. [128]")] = None,
    layers: Annotated[int | None, integer_option("--layers", "LSTMs in a stack. [1]")] = None,
    attention: Annotated[
        str | None, typer.Option("--attention", help="dot: look at all encoder outputs. [none]")
    ] = None,
    embedding: Annotated[
        int | None, integer_option("--embedding", "Size of an embedding; 0: one-hot. [0]")
    ] = None,
    n_samples: Annotated[
        int | None, integer_option("--n-samples", "Sequences an epoch. [100000]")
    ] = None,
    epochs: Annotated[int | None, integer_option("--epochs", "Epochs. [1]")] = None,
    batch_size: Annotated[
        int | None, integer_option("--batch-size", "Sequences an optimizer step. [64]")
    ] = None,
    learning_rate: Annotated[
        float | None, number_option("--learning-rate", "Peak learning rate of Adam. [0.01]")
    ] = None,
    seed: Seed = None,
    config_file: ConfigFile = None,
    settings: Settings = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="NAME", help="The run's name. [from the task]")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a stopped training, or train one further.")
    ] = False,
    force: Force = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write the history for TensorBoard too.")
    ] = False,
    checkpoint_seconds: Annotated[
        float, number_option("--checkpoint-seconds", "Seconds from checkpoint to checkpoint.")
    ] = 60.0,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a model, save it, and print its accuracy.

    The accuracy is measured on held-out sequences, which no training sees.
    """
    output.use_one_blas_thread()
    named = {"name": task, "n_in": n_in, "n_out": n_out, "cardinality": cardinality}
    sizes = {"n_samples": n_samples, "epochs": epochs, "batch_size": batch_size}
    options: dict[str, object] = {f"task.{key}": value for key, value in named.items()}
    options |= {f"training.{key}": value for key, value in sizes.items()}
    options |= {"task.data": data, "task.validation_data": validation_data}
    options |= {"model.units": units, "model.layers": layers, "model.attention": attention}
    options |= {"model.embedding": embedding, "training.learning_rate": learning_rate}
    options["training.seed"] = seed
    from seq2seq_cli.cli import report
    from seq2seq_cli.evaluation import evaluate
    from seq2seq_cli.folders import check_free, find_resumable, saved_config
    from seq2seq_cli.inference.loading import load_network
    from seq2seq_cli.own_tasks import load_task
    from seq2seq_cli.sampling import watched_samples

    load_task(task)
    cluster = _read_cluster()
    base = None
    if resume and cluster.is_chief:
        folder = find_resumable(runs_dir, run)
        run, base = folder.name, saved_config(folder)
    config = resolve_config(config_file, settings, options, base)
    config = _fit(config, config_file, settings, options, resume, quiet or as_json)
    if not resume and cluster.is_chief:
        check_free(runs_dir, run, force)
    quiet = quiet or as_json
    if cluster.n_workers > 1:
        output.message(f"worker {cluster.index} of {cluster.n_workers}, waiting for all", quiet)
    total = config.training.epochs * config.training.n_samples
    with output.progress(total, "starting TensorFlow", quiet) as advance:
        session = _import_session()

        def show(event: "Event") -> None:
            label = f"epoch {event.epoch}/{event.epochs}"
            if isinstance(event, session.Resumed):
                output.message(
                    f"{run} goes on in {label} after {event.n_samples:,} sequences", quiet
                )
                for note in event.notes:
                    output.message(f"note: {note}", quiet)
                advance(event.n_samples)
            elif isinstance(event, session.Built):
                if not quiet:
                    report.show_architecture(event.layers, stderr=True)
            elif isinstance(event, session.Compiling):
                advance(0, label="compiling")
            elif isinstance(event, session.Advanced):
                accuracy = report.percent(event.exact_match)
                note = f"{event.samples_per_s:,.0f}/s loss {event.loss:.3f} exact {accuracy}"
                advance(event.n_samples, note, label)
            elif isinstance(event, session.EpochEnded):
                output.message(
                    f"{label}: {event.n_samples:,} sequences in {event.seconds:.1f} s, "
                    f"loss {event.training_loss:.4f}; held out: loss {event.loss:.6f}, "
                    f"exact match {report.percent(event.exact_match)}",
                    quiet,
                )
            elif isinstance(event, session.Finished):
                if event.reason:
                    output.message(f"stopped after {label}: {event.reason}", quiet)
                if event.best_epoch != event.epoch:
                    output.message(f"the weights are those of epoch {event.best_epoch}", quiet)

        trained = session.train(
            config,
            runs_dir,
            run,
            force,
            show,
            resume=resume,
            write_tensorboard=tensorboard,
            checkpoint_seconds=checkpoint_seconds,
        )
    if trained is None:
        output.message("trained along; the run is where the chief has it", quiet)
        return
    result = evaluate(load_network(trained), watched_samples(config.task))
    if as_json:
        output.write_json({"path": str(trained.path), **report.as_json(result)})
        return
    report.show(result, quiet)
    source = result.examples[0].source
    given = f'"{output.format_ids(source)}"' if len(source) <= SHOWN_SOURCE else "SEQUENCE"
    output.message(
        f"saved in {trained.path}; next: s2s evaluate --run {trained.name}, or "
        f"s2s predict --run {trained.name} {given}",
        quiet,
    )


def _fit(
    config: "RunConfig",
    file: Path | None,
    settings: list[str] | None,
    options: dict[str, object],
    resume: bool,
    quiet: bool,
) -> "RunConfig":
    """Return the configuration with what own data or an own task settle, and report on the data."""
    from seq2seq_cli.own_tasks import fit_own_task
    from seq2seq_cli.owndata import describe
    from seq2seq_cli.settings import given_settings

    if resume:
        return config
    if not config.task.data:
        return config.model_copy(update={"task": fit_own_task(config.task)})
    config, found = describe(config, given_settings(file, settings or [], options))
    rows = [
        ("pairs", f"{found.pairs:,}: {found.training:,} to train, {found.validation:,} held out"),
        ("source lengths", "{} to {}".format(*found.source_lengths)),
        ("target lengths", "{} to {}".format(*found.target_lengths)),
        ("values", "{} to {}".format(*found.values) + f", cardinality {config.task.cardinality}"),
        ("duplicate pairs", f"{found.duplicates:,}"),
        ("validation sources in training", f"{found.in_both:,}"),
    ]
    if not quiet:
        output.table(config.task.data, ("own data", ""), rows, stderr=True)
    return config


def _import_session() -> ModuleType:
    """Import the training, and with it TensorFlow, which writes to standard error as it loads."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryFile() as noise:
        standard_error = os.dup(2)
        os.dup2(noise.fileno(), 2)
        try:
            from seq2seq_cli.training import session
        except Exception:
            noise.seek(0)
            os.write(standard_error, noise.read())
            raise
        finally:
            os.dup2(standard_error, 2)
            os.close(standard_error)
    return session


def _read_cluster() -> "Cluster":
    from seq2seq_cli.training.cluster import read_cluster

    return read_cluster()
