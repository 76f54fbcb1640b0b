"""What a user sees of a training while it runs."""

import gc
from importlib import import_module
from typing import TYPE_CHECKING

from seq2seq_cli.cli import output, phases
from seq2seq_cli.cli.progress import Advance

if TYPE_CHECKING:
    from seq2seq_cli.data.streams import TrainingStream
    from seq2seq_cli.training.events import Event, Planned, SeedBegun


_PHASES = {
    "Planned": "the training planned and checked",
    "Built": "TensorFlow imported and the models built",
    "Validated": "steps taken and validated",
    "EpochEnded": "steps taken, to an epoch's end, and validated",
    "Finished": "the training ended",
}
"""What has ended when an event is told."""


class Display:
    """What a user sees of a training while it runs."""

    def __init__(self, advance: Advance, quiet: bool) -> None:
        self._advance, self._quiet = advance, quiet
        self._run = ""  # its name, where it goes on or is one of several
        self._seed = ""  # whose turn it is, of several
        self._samples = 0  # of a training
        self._is_built = False
        self.stream: TrainingStream | None = None  # that is trained on

    def show(self, event: "Event") -> None:
        """Show an event of the training."""
        from seq2seq_cli.cli import accuracy
        from seq2seq_cli.metrics import percent
        from seq2seq_cli.training import events

        if phase := _PHASES.get(type(event).__name__):
            phases.end(self._seed + phase)
        epoch = f"epoch {event.epoch}/{event.epochs}"
        label = self._seed + epoch
        if isinstance(event, events.Planned):
            self._planned(event)
        elif isinstance(event, events.SeedBegun):
            self._begin_seed(event)
        elif isinstance(event, events.SeedFailed):
            self._say(f"seed {event.seed}: {event.problem}")
        elif isinstance(event, events.Resumed):
            self._say(f"{self._run or 'it'} goes on in {epoch} after {event.n_samples:,} sequences")
            for note in event.notes:
                self._say(f"note: {note}")
            self._advance(event.n_samples)
        elif isinstance(event, events.Built):
            if not self._quiet and not self._is_built:
                accuracy.show_architecture(event.layers, stderr=True)
            self._is_built = True  # the models of all seeds are alike
        elif isinstance(event, events.Compiling):
            self._advance(0, label=f"{self._seed}compiling")
        elif isinstance(event, events.Advanced):
            share = percent(event.exact_match)
            note = f"{event.samples_per_s:,.0f}/s loss {event.loss:.3f} exact {share}"
            self._advance(event.n_samples, note, label, loss=event.loss)
        elif isinstance(event, events.Validated):
            whole = "" if event.is_whole else "its first "
            self._say(
                f"{label}: {whole}{event.n_samples:,} sequences in {event.seconds:.1f} s, "
                f"loss {event.training_loss:.4f}; held out: loss {event.loss:.6f}, "
                f"exact match {percent(event.exact_match)}"
            )
        elif isinstance(event, events.Finished):
            last = event.epoch, event.n_samples
            best = event.best_epoch, event.best_n_samples
            if event.reason:
                self._say(
                    f"{self._seed}stopped after {_part(*last)}/{event.epochs}: {event.reason}"
                )
            if best != last:
                self._say(f"{self._seed}the weights are those after {_part(*best)}")
            if event.shortfall:
                self._say(f"{self._seed}{event.shortfall}")

    def _begin_seed(self, event: "SeedBegun") -> None:
        self._run, self._seed = event.run, f"seed {event.seed}, "
        if event.is_complete:
            self._say(f"seed {event.seed}: {event.run} is complete")
            self._advance(self._samples)

    def _planned(self, event: "Planned") -> None:
        from seq2seq_cli.cli import accuracy

        self.stream, self._run = event.stream, event.resumed
        if event.report and not self._quiet:
            accuracy.show_data(event.config.task, event.report)
        if event.n_workers > 1:
            self._say(f"worker {event.worker - 1} of {event.n_workers}, waiting for all")
        training = event.config.training
        self._samples = training.epochs * training.n_samples
        self._advance(0, total=event.n_seeds * self._samples)
        import_quietly()

    def _say(self, text: str) -> None:
        output.message(text, self._quiet)


def _part(epoch: int, n_samples: int | None) -> str:
    """Return the name of an epoch, or of its beginning."""
    return f"epoch {epoch}" if n_samples is None else f"{n_samples:,} sequences of epoch {epoch}"


def import_quietly(*more: str) -> None:
    """Import what trains, and more modules.

    What TensorFlow makes is there to stay: looking for garbage among it would take a fifth of the
    time.
    """
    gc.disable()
    try:
        import_module("seq2seq_cli.training.process").import_keras()
        for name in ("seq2seq_cli.training.trainer", *more):
            import_module(name)
        gc.freeze()
    finally:
        gc.enable()
