"""`s2s train`: trains a model and saves the run."""

import os
import tempfile
from importlib import import_module
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
    SetOptions,
    TaskName,
    integer_option,
    number_option,
    resolve_config,
)
from seq2seq_cli.inference import threads

if TYPE_CHECKING:
    from seq2seq_cli.data.streams import TrainingStream
    from seq2seq_cli.training.events import Event, Planned


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
    settings: SetOptions = None,
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
    threads.use_one_blas_thread()
    named = {"name": task, "n_in": n_in, "n_out": n_out, "cardinality": cardinality}
    sizes = {"n_samples": n_samples, "epochs": epochs, "batch_size": batch_size}
    options: dict[str, object] = {f"task.{key}": value for key, value in named.items()}
    options |= {f"training.{key}": value for key, value in sizes.items()}
    options |= {"task.data": data, "task.validation_data": validation_data}
    options |= {"model.units": units, "model.layers": layers, "model.attention": attention}
    options |= {"model.embedding": embedding, "training.learning_rate": learning_rate}
    options["training.seed"] = seed
    from seq2seq_cli.cli import report
    from seq2seq_cli.data.plan import validation_samples
    from seq2seq_cli.evaluation import evaluate
    from seq2seq_cli.inference.loading import load_network
    from seq2seq_cli.training import session

    # What a resumed training was begun with is not known yet: the whole is checked there.
    config = resolve_config(config_file, settings, options, check=not resume)
    quiet = quiet or as_json
    with output.progress(1, "starting TensorFlow", quiet) as advance:
        display = Display(advance, quiet)
        trained = session.train(
            config,
            runs_dir,
            run,
            force,
            display.show,
            resume=resume,
            write_tensorboard=tensorboard,
            checkpoint_seconds=checkpoint_seconds,
        )
    if trained is None:
        output.message("trained along; the run is where the chief has it", quiet)
        return
    n_evaluated = validation_samples(trained.config)
    result = evaluate(load_network(trained), n_evaluated, stream=display.stream)
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


class Display:
    """What a user sees of a training while it runs."""

    def __init__(self, advance: output.Advance, quiet: bool) -> None:
        self._advance, self._quiet = advance, quiet
        self._resumed = ""  # name of the run that goes on
        self.stream: TrainingStream | None = None  # that is trained on

    def show(self, event: "Event") -> None:
        """Show an event of the training."""
        from seq2seq_cli.cli import report
        from seq2seq_cli.training import events

        label = f"epoch {event.epoch}/{event.epochs}"
        if isinstance(event, events.Planned):
            self._planned(event)
        elif isinstance(event, events.Resumed):
            self._say(
                f"{self._resumed or 'it'} goes on in {label} after {event.n_samples:,} sequences"
            )
            for note in event.notes:
                self._say(f"note: {note}")
            self._advance(event.n_samples)
        elif isinstance(event, events.Built):
            if not self._quiet:
                report.show_architecture(event.layers, stderr=True)
        elif isinstance(event, events.Compiling):
            self._advance(0, label="compiling")
        elif isinstance(event, events.Advanced):
            accuracy = report.percent(event.exact_match)
            note = f"{event.samples_per_s:,.0f}/s loss {event.loss:.3f} exact {accuracy}"
            self._advance(event.n_samples, note, label)
        elif isinstance(event, events.EpochEnded):
            self._say(
                f"{label}: {event.n_samples:,} sequences in {event.seconds:.1f} s, "
                f"loss {event.training_loss:.4f}; held out: loss {event.loss:.6f}, "
                f"exact match {report.percent(event.exact_match)}"
            )
        elif isinstance(event, events.Finished):
            if event.reason:
                self._say(f"stopped after {label}: {event.reason}")
            if event.best_epoch != event.epoch:
                self._say(f"the weights are those of epoch {event.best_epoch}")

    def _planned(self, event: "Planned") -> None:
        from seq2seq_cli.cli import report

        self.stream, self._resumed = event.stream, event.resumed
        if event.report and not self._quiet:
            report.show_data(event.config.task, event.report)
        if event.n_workers > 1:
            self._say(f"worker {event.worker - 1} of {event.n_workers}, waiting for all")
        training = event.config.training
        self._advance(0, total=training.epochs * training.n_samples)
        import_quietly("seq2seq_cli.training.trainer")

    def _say(self, text: str) -> None:
        output.message(text, self._quiet)


def import_quietly(name: str) -> None:
    """Import a module that loads TensorFlow, which writes to standard error as it loads."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryFile() as noise:
        standard_error = os.dup(2)
        os.dup2(noise.fileno(), 2)
        try:
            import_module(name)
        except Exception:
            noise.seek(0)
            os.write(standard_error, noise.read())
            raise
        finally:
            os.dup2(standard_error, 2)
            os.close(standard_error)
