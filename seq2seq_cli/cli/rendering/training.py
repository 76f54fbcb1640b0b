"""Shows a training: its plan, its progress, and the accuracy of the saved run."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from seq2seq_cli.cli.rendering import output
from seq2seq_cli.cli.rendering.progress import CURVE_WIDTH, Progress, sparkline
from seq2seq_cli.cli.rendering.tables import table

if TYPE_CHECKING:
    from rich.console import Console

    from seq2seq_cli.architecture import Layer
    from seq2seq_cli.config import RunConfig, TaskConfig
    from seq2seq_cli.data.plan import DataReport, Plan
    from seq2seq_cli.data.streams import TrainingStream
    from seq2seq_cli.evaluation import Evaluation
    from seq2seq_cli.runs.history import EpochRecord
    from seq2seq_cli.runs.listing import Run
    from seq2seq_cli.training.events import Event, Planned

SHOWN_SOURCE = 12
"""Maximum integers of the source in the advice at the end."""

_PHASES = {
    "Planned": "the training planned and checked",
    "Built": "TensorFlow imported and the models built",
    "Validated": "steps taken and validated",
    "EpochEnded": "steps taken, to an epoch's end, and validated",
    "Finished": "the training ended",
}
"""The phase that each event ends."""


def show_layers(layers: "Sequence[Layer]", console: "Console | None" = None) -> None:
    """Print the layers of a model with their weights' shapes and numbers of parameters."""
    rows = [
        (
            layer.name,
            layer.kind,
            ", ".join("x".join(map(str, shape)) for shape in layer.shapes),
            f"{layer.parameters:,}",
        )
        for layer in layers
    ]
    rows.append(("all", "", "", f"{sum(layer.parameters for layer in layers):,}"))
    table("Model", ("layer", "kind", "weights", ">parameters"), rows, console=console)


def layers_as_json(layers: "Sequence[Layer]") -> dict[str, Any]:
    """Return a model's layers and parameters as plain values for `--json`."""
    return {
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "shapes": [list(shape) for shape in layer.shapes],
                "parameters": layer.parameters,
            }
            for layer in layers
        ],
        "parameters": sum(layer.parameters for layer in layers),
    }


def show_settings(config: "RunConfig") -> None:
    """Print the settings that have a value."""
    settings = [
        (f"{section}.{key}", str(value))
        for section, values in config.model_dump().items()
        for key, value in values.items()
        if value not in ("", None)
    ]
    table("Configuration", ("setting", "value"), settings)


def show_data(task: "TaskConfig", report: "DataReport", console: "Console | None" = None) -> None:
    """Print the properties of custom data."""
    rows = [
        (
            "pairs",
            f"{report.pairs:,}: {report.training:,} to train, {report.validation:,} held out",
        ),
        ("source lengths", "{} to {}".format(*report.source_lengths)),
        ("target lengths", "{} to {}".format(*report.target_lengths)),
        ("values", "{} to {}".format(*report.values) + f", cardinality {task.cardinality}"),
        ("duplicate pairs", f"{report.duplicates:,}"),
        ("validation sources in training", f"{report.in_both:,}"),
    ]
    table(task.data, ("custom data", ""), rows, console=console)


def show_plan(plan: "Plan", n_seeds: int, as_json: bool, quiet: bool) -> None:
    """Print a planned training of one or several seeds, and what it needs."""
    from seq2seq_cli.architecture import Architecture
    from seq2seq_cli.machine import available_memory
    from seq2seq_cli.resources import format_bytes

    layers, estimate = Architecture.of(plan.config).all_layers, plan.estimate
    if as_json:
        document = {"config": plan.config.model_dump(), **layers_as_json(layers)}
        document |= asdict(estimate) | {"seconds": estimate.seconds(n_seeds)}
        document["data"] = asdict(plan.report) if plan.report else None
        output.write_json(document)
        return
    if plan.report:
        show_data(plan.config.task, plan.report)
    show_settings(plan.config)
    show_layers(layers)
    available = available_memory()
    of = f" of {format_bytes(available)}" if available else ""
    rows = [
        ("steps", f"{estimate.steps:,} of {plan.config.training.batch_size:,} sequences"),
        ("mean lengths, padded", f"{estimate.n_in:.3g} → {estimate.n_out:.3g}"),
        ("time per step", f"about {1000 * estimate.step_seconds:.3g} ms"),
        *([("seeds", f"{n_seeds:,}, one after the other")] if n_seeds > 1 else []),
        ("programs to compile", f"{estimate.programs}, unless they are cached"),
        ("memory", f"about {format_bytes(estimate.memory)}{of}"),
        ("time", f"about {output.duration(estimate.seconds(n_seeds))}"),
    ]
    table("What it needs", ("", "expected"), rows)
    output.message(
        "the time is estimated for two cores and can be half or twice as long on this machine; "
        "nothing was trained or written",
        quiet,
    )


class TrainingProgress(Progress):
    """The progress of a training, from its events."""

    def __init__(self, quiet: bool) -> None:
        super().__init__("starting TensorFlow", quiet=quiet)
        self._run = ""  # its name, if it is resumed or one of several
        self._seed = ""  # the current seed, of several
        self._n_samples = 0  # of one training
        self._is_built = False
        self.stream: TrainingStream | None = None
        self.shortfall = ""  # what the last training did not learn

    @property
    def curve(self) -> str:
        """The curve of the training's losses with both ends; empty unless on a terminal."""
        from seq2seq_cli.metrics import figure

        if not self._losses:
            return ""
        first, last = figure(self._losses[0]), figure(self._losses[-1])
        return f"training loss {sparkline(self._losses, CURVE_WIDTH)} {first} to {last}"

    def show(self, event: "Event") -> None:
        """Show an event of the training."""
        from seq2seq_cli.metrics import figure, percent
        from seq2seq_cli.training import events

        if phase := _PHASES.get(type(event).__name__):
            output.end_phase(self._seed + phase)
        epoch = f"epoch {event.epoch}/{event.epochs}"
        label = self._seed + epoch
        match event:
            case events.Planned():
                self._show_planned(event)
            case events.SeedBegun():
                self._run, self._seed = event.run, f"seed {event.seed}, "
                self._losses.clear()
                if event.is_complete:
                    self.say(f"seed {event.seed}: {event.run} is complete")
                    self.skip(self._n_samples)
            case events.SeedFailed():
                self.say(f"seed {event.seed}: {event.problem}")
            case events.Resumed():
                run = f"{self._run} resumes" if self._run else "resuming"
                self.say(f"{run} in {epoch} after {event.n_samples:,} sequences")
                for note in event.notes:
                    self.say(f"note: {note}")
                self.skip(event.n_samples)
            case events.Built():
                if not self.quiet and not self._is_built:
                    show_layers(event.layers, self.console)
                self._is_built = True  # the models of all seeds are the same
            case events.Compiling():
                self.advance(label=f"{self._seed}compiling")
            case events.Advanced():
                share = percent(event.exact_match, 0, 0.01)  # with one digit
                note = f"loss {figure(event.loss)} exact (training) {share}"
                self.advance(event.n_samples, note, label, loss=event.loss)
            case events.Validated():
                self.say(f"{label}: {validation_text(event)}")
            case events.Finished():
                last = event.epoch, event.n_samples
                best = event.best_epoch, event.best_n_samples
                if event.reason:
                    stop = f"{_moment(*last)}/{event.epochs}"
                    self.say(f"{self._seed}stopped after {stop}: {event.reason}")
                if best != last:
                    self.say(f"{self._seed}the weights are those after {_moment(*best)}")
                self.shortfall = event.shortfall
                for text in filter(None, (self.curve, event.shortfall) if self._seed else ()):
                    self.say(f"{self._seed.removesuffix(', ')}: {text}")

    def _show_planned(self, event: "Planned") -> None:
        self.stream, self._run = event.stream, event.resumed
        if event.report and not self.quiet:
            show_data(event.config.task, event.report, self.console)
        if event.n_workers > 1:
            self.say(f"worker {event.worker - 1} of {event.n_workers}, waiting for all")
        training = event.config.training
        self._n_samples = training.epochs * training.n_samples
        self.advance(total=event.n_seeds * self._n_samples)


def validation_text(record: "EpochRecord") -> str:
    """Return an epoch's training, or that of its first part, and its validation in one line."""
    from seq2seq_cli.metrics import exact_match_text, figure

    first = "" if record.is_whole else "its first "
    return (
        f"{first}{record.n_samples:,} sequences in {record.seconds:.1f} s, "
        f"loss {figure(record.training_loss)}; validation: loss {figure(record.loss)}, "
        f"exact match {exact_match_text(record)}"
    )


def _moment(epoch: int, n_samples: int | None) -> str:
    return f"epoch {epoch}" if n_samples is None else f"{n_samples:,} sequences of epoch {epoch}"


def show_run(
    run: "Run", report: "Evaluation", progress: TrainingProgress, as_json: bool, quiet: bool
) -> None:
    """Print the accuracy of a trained run, what it did not learn, and what to do next."""
    from seq2seq_cli.cli.rendering.evaluation import evaluation_as_json, show_evaluation
    from seq2seq_cli.runs.advice import evaluate_command, predict_command, report_command

    if as_json:
        document = {"path": str(run.path), **evaluation_as_json(report)}
        document["notes"] = [*document["notes"], *filter(None, [progress.shortfall])]
        output.write_json(document)
        return
    show_evaluation(report, quiet)
    if progress.curve:
        output.message(progress.curve, quiet)
    if progress.shortfall:
        output.message(f"note: {progress.shortfall}", quiet)
    source, task = report.examples[0].source, run.config.task
    commands = [evaluate_command(run.path, task), report_command(run.path, task)]
    if len(source) <= SHOWN_SOURCE:
        attends = run.config.model.attention != "none"
        commands.append(predict_command(run.path, output.format_ids(source), attends))
    *first, last = commands
    output.message(f"saved in {run.path}; next: {', '.join(first)}, or {last}", quiet)
