"""Shows a training: its progress, and the accuracy of the saved run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from seq2seq_cli.cli.rendering import output, phases
from seq2seq_cli.cli.rendering.progress import Progress

if TYPE_CHECKING:
    from seq2seq_cli.data.streams import TrainingStream
    from seq2seq_cli.runs.listing import Run
    from seq2seq_cli.training.events import Event, Planned
    from seq2seq_cli.training.session import SeedRun

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

    def show(self, event: "Event") -> None:
        """Show an event of the training."""
        from seq2seq_cli.cli.rendering.plan import show_layers
        from seq2seq_cli.metrics import percent
        from seq2seq_cli.training import events

        if phase := _PHASES.get(type(event).__name__):
            phases.end(self._seed + phase)
        epoch = f"epoch {event.epoch}/{event.epochs}"
        label = self._seed + epoch
        match event:
            case events.Planned():
                self._show_planned(event)
            case events.SeedBegun():
                self._run, self._seed = event.run, f"seed {event.seed}, "
                if event.is_complete:
                    self.say(f"seed {event.seed}: {event.run} is complete")
                    self.advance(self._n_samples)
            case events.SeedFailed():
                self.say(f"seed {event.seed}: {event.problem}")
            case events.Resumed():
                run = f"{self._run} resumes" if self._run else "resuming"
                self.say(f"{run} in {epoch} after {event.n_samples:,} sequences")
                for note in event.notes:
                    self.say(f"note: {note}")
                self.advance(event.n_samples)
            case events.Built():
                if not self.quiet and not self._is_built:
                    show_layers(event.layers, self.console)
                self._is_built = True  # the models of all seeds are the same
            case events.Compiling():
                self.advance(label=f"{self._seed}compiling")
            case events.Advanced():
                share = percent(event.exact_match)
                note = f"{event.samples_per_s:,.0f}/s loss {event.loss:.3f} exact {share}"
                self.advance(event.n_samples, note, label, loss=event.loss)
            case events.Validated():
                first = "" if event.is_whole else "its first "
                self.say(
                    f"{label}: {first}{event.n_samples:,} sequences in {event.seconds:.1f} s, "
                    f"loss {event.training_loss:.4f}; held out: loss {event.loss:.6f}, "
                    f"exact match {percent(event.exact_match)}"
                )
            case events.Finished():
                last = event.epoch, event.n_samples
                best = event.best_epoch, event.best_n_samples
                if event.reason:
                    stop = f"{_moment(*last)}/{event.epochs}"
                    self.say(f"{self._seed}stopped after {stop}: {event.reason}")
                if best != last:
                    self.say(f"{self._seed}the weights are those after {_moment(*best)}")
                self.shortfall = event.shortfall
                if event.shortfall:
                    self.say(f"{self._seed}{event.shortfall}")

    def _show_planned(self, event: "Planned") -> None:
        from seq2seq_cli.cli.rendering.plan import show_data

        self.stream, self._run = event.stream, event.resumed
        if event.report and not self.quiet:
            show_data(event.config.task, event.report, self.console)
        if event.n_workers > 1:
            self.say(f"worker {event.worker - 1} of {event.n_workers}, waiting for all")
        training = event.config.training
        self._n_samples = training.epochs * training.n_samples
        self.advance(total=event.n_seeds * self._n_samples)


def _moment(epoch: int, n_samples: int | None) -> str:
    return f"epoch {epoch}" if n_samples is None else f"{n_samples:,} sequences of epoch {epoch}"


def show_run(run: "Run", progress: TrainingProgress, as_json: bool, quiet: bool) -> None:
    """Evaluate a run whose training was shown; print its accuracy and what to do next."""
    from seq2seq_cli.cli.rendering.evaluation import evaluation_as_json, show_evaluation
    from seq2seq_cli.evaluation import evaluate
    from seq2seq_cli.inference.loading import load_network
    from seq2seq_cli.resources import validation_samples
    from seq2seq_cli.runs.advice import evaluate_command, predict_command

    report = evaluate(load_network(run), validation_samples(run.config), stream=progress.stream)
    phases.end("held-out sequences predicted")
    if as_json:
        document = {"path": str(run.path), **evaluation_as_json(report)}
        document["notes"] = [*document["notes"], *filter(None, [progress.shortfall])]
        output.write_json(document)
        return
    show_evaluation(report, quiet)
    source = report.examples[0].source
    advice = evaluate_command(run.path, run.config.task)
    if len(source) <= SHOWN_SOURCE:
        advice += f", or {predict_command(run.path, output.format_ids(source))}"
    output.message(f"saved in {run.path}; next: {advice}", quiet)


def show_seed_runs(seeds: Sequence["SeedRun"], as_json: bool, quiet: bool) -> None:
    """Evaluate each seed's run, and print all of them and their spread.

    Raises ConfigurationError if a seed has no run.
    """
    from seq2seq_cli.cli.rendering.evaluation import SeedResult, seeds_as_json, show_seeds
    from seq2seq_cli.errors import ConfigurationError
    from seq2seq_cli.evaluation import evaluate
    from seq2seq_cli.inference.loading import load_network
    from seq2seq_cli.resources import validation_samples
    from seq2seq_cli.runs.advice import list_command

    results = []
    for seed in seeds:
        report = None
        if seed.run:
            n_samples = validation_samples(seed.run.config)
            network = load_network(seed.run)
            report = evaluate(network, n_samples, n_examples=0, stream=seed.stream)
        results.append(SeedResult(seed.seed, seed.path, report, seed.problem))
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
