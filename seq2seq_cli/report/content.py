"""A run -> its charts, and what else there is to see of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from seq2seq_cli.data.tasks import Task
from seq2seq_cli.data.vocabulary import Vocabulary
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.evaluation import DEFAULT_SAMPLES, Example, OnProgress, Report, evaluate
from seq2seq_cli.generalization import SAMPLES, evaluate_lengths, parse_range
from seq2seq_cli.inference.network import LoadedRun
from seq2seq_cli.report.chart import Chart
from seq2seq_cli.report.charts import confusions_chart, curve_charts, shares_chart
from seq2seq_cli.report.figures import Observations, carried, learning_curve, shares
from seq2seq_cli.report.maps import attention_chart, components_chart, decoder_chart
from seq2seq_cli.report.states import attention_map, decoder_map, encoder_components

CHARTS = {
    "loss": "the loss over the training",
    "exact-match": "the exact match over the training",
    "learning-rate": "the learning rate over the training",
    "positions": "token accuracy at each position of the target",
    "lengths": "exact match at each length of the source",
    "carries": "exact match at lengths beyond the training's",
    "confusions": "which tokens are taken for which",
    "attention": "where the decoder looks",
    "decoder-states": "the decoder's states, step by step",
    "encoder-states": "the encoder's states in two components",
}
"""The charts' names, and what each shows."""

OF_TRAINING = ("loss", "exact-match", "learning-rate")

MOST_MAPS = 4
"""Sequences whose attention, or decoder's states, are shown."""

SAMPLES_EACH = 200
"""Sequences of each length that are evaluated without --lengths."""


@dataclass
class Content:
    """What there is to see of a run: its charts by name, or why there are none of a name."""

    loaded: LoadedRun
    charts: dict[str, tuple[Chart, ...]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    report: Report | None = None
    wrong: list[Example] = field(default_factory=list)  # some that are predicted wrongly

    def put(self, name: str, charts: Sequence[Chart], reason: str) -> None:
        """Keep the charts of a name, or the reason why there are none."""
        if charts:
            self.charts[name] = tuple(charts)
        else:
            self.missing[name] = reason


def content_of(
    loaded: LoadedRun,
    wanted: Collection[str] = tuple(CHARTS),
    n_samples: int = DEFAULT_SAMPLES,
    lengths: str | None = None,
    task: Task | None = None,
    progress: OnProgress | None = None,
    n_each: int | None = None,
) -> Content:
    """Return the charts of these names, from `n_samples` held-out sequences.

    `lengths` are those of "carries"; without them they are the training's and half as many again,
    where they vary; of each it takes `n_each` sequences. `task` is the run's own one. Raises
    ConfigurationError for wrong `lengths`.
    """
    content = Content(loaded)
    if set(wanted) & set(OF_TRAINING):
        run = loaded.run
        curve = learning_curve(run.name, run.history(), loaded.config.training)
        for name, chart in curve_charts([curve]).items():
            content.put(name, [chart], "")
    if "carries" in wanted:
        _carry(content, lengths, n_each, task)
    if set(wanted) - {*OF_TRAINING, "carries"}:
        _observe(content, wanted, n_samples, task, progress)
    content.charts = {name: content.charts[name] for name in CHARTS if name in content.charts}
    return content


def _observe(
    content: Content,
    wanted: Collection[str],
    n_samples: int,
    task: Task | None,
    progress: OnProgress | None,
) -> None:
    """Evaluate the run, and see what can be seen of it."""
    loaded = content.loaded
    seen = Observations(Vocabulary.of(loaded.config.task))
    report = evaluate(loaded, n_samples, progress=progress, task=task, observe=seen.add)
    content.report, content.wrong = report, seen.wrong
    positions = shares(seen.positions, report.exact)
    content.put("positions", [shares_chart(positions, "position")], "")
    if len(seen.lengths) > 1:
        content.put("lengths", [shares_chart(shares(seen.lengths, report.exact), "length")], "")
    else:
        (only,) = seen.lengths
        content.put("lengths", [], f"All sources have {only} integers.")
    confusions = seen.confusions()
    found = [confusions_chart(confusions)] if confusions.wrong else []
    content.put("confusions", found, f"None of {confusions.tokens:,} tokens is wrong.")
    examples = [e for e in (*seen.wrong, *seen.right) if e.predicted][:MOST_MAPS]
    has_attention = loaded.decoder.attention is not None
    maps, states = list[Chart](), list[Chart]()
    if "attention" in wanted and has_attention:
        maps = [attention_chart(attention_map(loaded, example)) for example in examples]
    if "decoder-states" in wanted and not has_attention:
        states = [decoder_chart(decoder_map(loaded, example)) for example in examples]
    lacking = "The model has no attention: train one with --attention dot."
    content.put("attention", maps, "No target is predicted." if has_attention else lacking)
    beside = "With attention the decoder's states are not all that it has: see attention."
    content.put("decoder-states", states, beside if has_attention else "No target is predicted.")
    if "encoder-states" in wanted:
        components = encoder_components(loaded, seen.sources)
        content.put("encoder-states", [components_chart(components)], "")


def _carry(content: Content, lengths: str | None, n_each: int | None, task: Task | None) -> None:
    """Evaluate the run at each of many lengths."""
    loaded = content.loaded
    settings = loaded.config.task
    if lengths is not None:
        wanted, n_samples = parse_range(lengths), SAMPLES
    elif settings.lengths.vary and not settings.data:
        shortest, longest = settings.lengths
        last = longest + -(-longest // 2)
        wanted = parse_range(f"{shortest}-{last}", max(1, (last - shortest) // 16))
        n_samples = SAMPLES_EACH
    else:
        told = "At other lengths it is evaluated with --lengths RANGE."
        content.put("carries", [], "Own pairs have no other lengths." if settings.data else told)
        return
    curve = evaluate_lengths(loaded, wanted, n_each or n_samples, task=task)
    found = carried(curve)
    charts = [shares_chart(found, "length", curve.longest_trained)] if found.at else []
    content.put("carries", charts, "No source of these lengths is held out.")


def only_chart(content: Content, name: str) -> Chart:
    """Return the first chart of a name; ConfigurationError with the reason where there is none."""
    if name not in content.charts:
        raise ConfigurationError(f"{name}: {content.missing[name]}")
    return content.charts[name][0]
