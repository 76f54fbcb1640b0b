"""The progress of a training in a notebook; elsewhere it is one line per epoch."""

from html import escape
from typing import Any

from seq2seq_cli.metrics import exact_match_text, percent
from seq2seq_cli.training.events import Advanced, EpochEnded, Event, Planned, Resumed


class Progress:
    """Shows a training: `train(config, progress=Progress())`.

    In a notebook it is a bar with the loss and the exact match, above one line per epoch; elsewhere
    it is only these lines.
    """

    def __init__(self) -> None:
        self._done = self._total = 0
        self._note = "starting TensorFlow"
        self._lines: list[str] = []
        self._shown: Any = None  # IPython's handle of what is displayed

    def __call__(self, event: Event) -> None:
        """Show an event of the training."""
        if isinstance(event, Planned):
            self._total = event.n_seeds * event.epochs * event.config.training.n_samples
        elif isinstance(event, Resumed):
            self._done = event.n_samples
        elif isinstance(event, Advanced):
            self._done += event.n_samples
            self._note = f"loss {event.loss:.3f}, exact {percent(event.exact_match)}"
        elif isinstance(event, EpochEnded):
            self._lines.append(
                f"epoch {event.epoch}/{event.epochs}: validation: loss {event.loss:.6f}, "
                f"exact match {exact_match_text(event)}"
            )
        else:
            return
        self._show(is_line=isinstance(event, EpochEnded))

    def __repr__(self) -> str:
        return self._lines[-1] if self._lines else self._note

    def _repr_html_(self) -> str:
        done, total = min(self._done, self._total), self._total
        bar = (
            f'<label>training <progress value="{done}" max="{total}"></progress> '
            f"{done:,}/{total:,} {escape(self._note)}</label>"
        )
        return "<br>".join([bar, *self._lines])

    def _show(self, is_line: bool) -> None:
        if self._shown:
            self._shown.update(self)
        elif _is_notebook():
            from IPython.display import display

            self._shown = display(self, display_id=True)
        elif is_line:
            print(self)  # noqa: T201


def _is_notebook() -> bool:
    """Return whether this process runs a notebook."""
    import sys

    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and hasattr(shell, "kernel")
