"""The data of a run's charts: how it learned, how well it predicts, what happens inside.

Attention and states are those of free-running predictions.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from seq2seq_cli.config import TaskConfig
from seq2seq_cli.data.tasks import Task
from seq2seq_cli.data.vocabulary import (
    PADDING,
    Floats,
    Ids,
    Vocabulary,
    pad,
    shift_right,
    unpad,
    widen,
)
from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.evaluation import Evaluation, Example, OnProgress, evaluate, examples_of
from seq2seq_cli.generalization import SAMPLES, evaluate_lengths, parse_range
from seq2seq_cli.inference.network import LoadedRun
from seq2seq_cli.metrics import matches, percent
from seq2seq_cli.prediction import Sequences, encode_arrays, expected_targets, predict
from seq2seq_cli.reports import RUN_CHARTS, TRAINING_CHARTS
from seq2seq_cli.reports.data import (
    Chart,
    Row,
    confusions,
    generalization,
    learning_curve,
    lengths,
    positions,
    results,
)
from seq2seq_cli.reports.steps import decoder_steps

SAMPLES_EACH = 200
"""Sequences of each length that are evaluated if no range of lengths is set."""

MOST_WRONG, MOST_SOURCES = 10, 300
"""Maximum wrongly predicted sequences, and sources, that an evaluation keeps."""

MOST_MAPS = 4
"""Maximum sequences whose steps, attention or decoder states are shown."""

MOST_CELLS, MOST_UNITS = 48, 32
"""Maximum rows and columns of a map, and maximum units of the decoder in a map."""


class NoChartError(ConfigurationError):
    """Raised with the reason why a run does not have a chart."""


@dataclass
class RunCharts:
    """The charts of a run by name. The run is evaluated once, when the first chart needs it.

    `lengths` are those of "generalization", with `n_each` sequences each; by default they reach 1.5
    times the training's longest. `task` is the run's task if it is a custom one. Attention and the
    decoder's states are those of the `sequence`, if there is one.
    """

    loaded: LoadedRun
    n_samples: int | None = None
    lengths: str | None = None
    n_each: int | None = None
    task: Task | None = None
    progress: OnProgress | None = None
    sequence: Sequences | None = None

    @property
    def evaluation(self) -> Evaluation:
        """The evaluation on `n_samples` held-out sequences, see `evaluate`."""
        return self._evaluated[0]

    @property
    def wrong(self) -> list[Example]:
        """Some of the wrong predictions."""
        return self._evaluated[1].wrong

    @cached_property
    def _evaluated(self) -> tuple[Evaluation, "_Observations"]:
        observed = _Observations(self.loaded.config.task)
        evaluation = evaluate(
            self.loaded,
            self.n_samples,
            progress=self.progress,
            task=self.task,
            observe=observed.add,
        )
        return evaluation, observed

    def charts(self, name: str) -> list[Chart]:
        """Return the charts of a name: several maps, or one chart of another kind.

        Raises NoChartError if the run has none, and ConfigurationError for another name and for
        wrong `lengths`.
        """
        if name not in RUN_CHARTS:
            raise ConfigurationError(
                f"{name}: there is no such chart: give one of {', '.join(RUN_CHARTS)}"
            )
        if name in TRAINING_CHARTS:
            return [learning_curve([self.loaded.run], name)]
        if name == "generalization":
            return [self._generalization()]
        match name:
            case "attention":
                if self.loaded.decoder.attention is None:
                    raise NoChartError("The model has no attention: train with --attention dot.")
                return [attention(self.loaded, example) for example in self._examples()]
            case "decoder-states":
                if self.loaded.decoder.attention is not None:
                    raise NoChartError("The decoder's states are shown only without attention.")
                return [decoder_states(self.loaded, example) for example in self._examples()]
        evaluation, observed = self._evaluated
        match name:
            case "positions":
                return [positions(evaluation)]
            case "lengths":
                first, *others = evaluation.tally.lengths
                if not others:
                    raise NoChartError(f"All sources have {first} integers.")
                return [lengths(evaluation)]
            case "results":
                return [results([evaluation])]
            case "confusions":
                if not observed.confusions:
                    raise NoChartError(f"All of {evaluation.tally.all.sum():,} tokens are right.")
                end = Vocabulary.of(self.loaded.config.task).end
                return [confusions(evaluation.tally, observed.confusions, end)]
        return [encoder_states(self.loaded, observed.sources)]

    def steps(self) -> list[Row]:
        """Return the decoder's steps on some sequences, see `decoder_steps`, with a title each."""
        return [
            {"title": _title(example), **decoder_steps(self.loaded, example)}
            for example in self._ordered()[:MOST_MAPS]
        ]

    def _ordered(self) -> list[Example]:
        """Return some predictions, wrong ones first, or that of the `sequence`."""
        if self.sequence is not None:
            predictions = predict(self.loaded, self.sequence)
            expected = expected_targets(self.loaded.config.task, [p.source for p in predictions])
            pairs = zip(predictions, expected, strict=True)
            return [Example(p.source, target or [], p.target) for p, target in pairs]
        right = [e for e in self.evaluation.examples if e.target == e.predicted]
        return [*self.wrong, *right]

    def _examples(self) -> list[Example]:
        """Return those whose steps a map can show."""
        examples = [example for example in self._ordered() if example.predicted]
        if not examples:
            raise NoChartError("The model predicts no token.")
        return examples[:MOST_MAPS]

    def _generalization(self) -> Chart:
        task, n_each = self.loaded.config.task, SAMPLES
        if self.lengths is not None:
            evaluated = parse_range(self.lengths)
        elif task.data:
            raise NoChartError("Custom pairs have no other lengths.")
        elif not task.lengths.vary:
            raise NoChartError("--lengths RANGE evaluates the run at other lengths.")
        else:
            shortest, longest = task.lengths
            last, n_each = longest + -(-longest // 2), SAMPLES_EACH
            evaluated = parse_range(f"{shortest}-{last}", max(1, (last - shortest) // 16))
        chart = generalization(
            evaluate_lengths(self.loaded, evaluated, self.n_each or n_each, task=self.task)
        )
        if not chart.data:
            raise NoChartError("No source of these lengths is held out.")
        return chart


@dataclass
class _Observations:
    """Observations of an evaluation's batches beyond what the report counts."""

    task: TaskConfig
    confusions: Counter[tuple[int, int]] = field(default_factory=Counter)  # expected, predicted
    wrong: list[Example] = field(default_factory=list)
    sources: list[list[int]] = field(default_factory=list)

    def add(self, sources: Ids, targets: Ids, tokens: Ids) -> None:
        self.sources += unpad(sources[: MOST_SOURCES - len(self.sources)])
        fitted = widen(tokens[:, : targets.shape[1]], targets.shape[1])
        off = (targets != PADDING) & (fitted != targets)
        self.confusions.update(zip(targets[off].tolist(), fitted[off].tolist(), strict=True))
        rows = np.flatnonzero(~matches(tokens, targets))[: MOST_WRONG - len(self.wrong)]
        self.wrong += examples_of(self.task, sources[rows], targets[rows], tokens[rows])


def attention(loaded: LoadedRun, example: Example) -> Chart:
    """Return the attention of each predicted token, without the end, to each source token.

    In long sequences neighbouring tokens share a cell with the largest of their weights.
    """
    (predicted,) = predict(loaded, [example.source], attention=True)
    assert predicted.attention is not None
    weights = np.array(predicted.attention, np.float32).reshape(-1, len(example.source))
    rows, n_rows = _labels(predicted.target, example.target)
    columns, n_columns = _labels(example.source)
    pooled = np.maximum.reduceat(weights, range(0, weights.shape[0], n_rows), axis=0)
    pooled = np.maximum.reduceat(pooled, range(0, weights.shape[1], n_columns), axis=1)
    text = "How much each predicted token (row) looks at each token of the source (column)."
    if max(n_rows, n_columns) > 1:
        text += f" A cell has the largest weight of {n_rows} by {n_columns} tokens."
    data = _map("predicted by source", rows, columns, pooled)
    return Chart("map", f"Attention, {_title(example)}", text + _marked(rows), data)


def decoder_states(loaded: LoadedRun, example: Example) -> Chart:
    """Return the last decoder layer's hidden state before each predicted token.

    Shows the units that change most from step to step, and the first steps of long predictions.
    """
    end = Vocabulary.of(loaded.config.task).end
    tokens = [*example.predicted, *([] if end is None else [end])][:MOST_CELLS]
    states, _ = loaded.encoder.encode(pad([example.source]))
    hidden = loaded.decoder.read(shift_right(np.array([tokens], np.int32)), states)[0].T
    change = np.ptp(hidden, axis=1) if len(tokens) > 1 else np.abs(hidden[:, 0])
    units = np.sort(np.argsort(-change, kind="stable")[:MOST_UNITS])
    ended = [] if end is None else ["end"]
    expected = [*example.target, *ended] if example.target else []
    steps, _ = _labels([*example.predicted, *ended][:MOST_CELLS], expected)
    data = _map("unit by step", [str(unit + 1) for unit in units], steps, hidden[units])
    text = (
        f"The {len(units)} units of the decoder's hidden state that change most, before each "
        f"predicted token.{_marked(steps)}"
    )
    marks = "Blue is above zero, orange below."
    return Chart("map", f"Decoder's states, {_title(example)}", text, data, marks)


def _marked(labels: Sequence[str]) -> str:
    """Return a sentence on the marks in labels, if there are any."""
    return " A wrong token is marked with !." if "!" in "".join(labels) else ""


def _labels(tokens: Sequence[object], expected: Sequence[object] = ()) -> tuple[list[str], int]:
    """Return labels of cells, "1:23" for a token or "1-2" for several, and the tokens in a cell.

    Where tokens are not the expected ones, if these are known, the label ends with "!".
    """
    size, n = max(1, -(-len(tokens) // MOST_CELLS)), len(tokens)
    wrong = [bool(expected) and [*expected[i : i + 1]] != [tokens[i]] for i in range(n)]
    cells = [(start, min(start + size, n)) for start in range(0, n, size)]
    return [
        (f"{start + 1}:{tokens[start]}" if size == 1 else f"{start + 1}-{end}")
        + "!" * any(wrong[start:end])
        for start, end in cells
    ], size


def _title(example: Example) -> str:
    """Return the source, or its beginning, and whether its prediction is right if that is known."""
    result = "right: " if example.target == example.predicted else "wrong: " * bool(example.target)
    source = " ".join(map(str, example.source[:6]))
    return f"{result}{source}{' …' if len(example.source) > 6 else ''}"


def _map(title: str, rows: Sequence[str], columns: Sequence[str], values: Floats) -> list[Row]:
    return [
        {title: row} | dict(zip(columns, np.round(line.astype(float), 4).tolist(), strict=True))
        for row, line in zip(rows, values, strict=True)
    ]


def encoder_states(loaded: LoadedRun, sources: Sequence[Sequence[int]]) -> Chart:
    """Return the last encoder layer's hidden states in their first two principal components."""
    hidden, _ = encode_arrays(loaded, sources)
    projected, explained = principal_components(hidden[:, -1])
    names = [
        f"component {number} ({percent(round(share, 6), 0, 1)} of variance)"
        for number, share in enumerate(explained, 1)
    ]
    quantities = {
        "first token": [source[0] for source in sources],
        "last token": [source[-1] for source in sources],
        "length": [len(source) for source in sources],
    }
    colour = max(quantities, key=lambda name: separation(projected, quantities[name]))
    data = [
        {colour: value} | dict(zip(names, point, strict=True))
        for value, point in zip(quantities[colour], np.round(projected, 4).tolist(), strict=True)
    ]
    text = (
        f"The encoder's last hidden state after {len(data)} held-out sources, in its first two "
        f"principal components, coloured by the source's {colour}: of first token, last token and "
        "length, the one that tells them apart best."
    )
    return Chart("points", "Encoder's states", text, data)


def separation(points: Floats, labels: Sequence[int]) -> float:
    """Return how well labels tell points (n, 2) apart: about 0 by chance, 1 if all are equal.

    It is epsilon squared, the share of variance between labels without what chance explains (Kelley
    1935). With one label, or a label for each point, it is 0.
    """
    _, groups, counts = np.unique(labels, return_inverse=True, return_counts=True)
    n, k = len(points), len(counts)
    total = points.var(axis=0).sum() * n / (n - 1) if 1 < k < n else 0.0
    if not total:
        return 0.0
    means = np.stack([np.bincount(groups, column) / counts for column in points.T], axis=1)
    return float(1 - ((points - means[groups]) ** 2).sum() / (n - k) / total)


def principal_components(values: Floats) -> tuple[Floats, list[float]]:
    """Return values (n, width) in two principal components, (n, 2), and the shares of variance.

    The largest weight of a component is positive. If there is no second component, it is zero.
    """
    centred = values.astype(np.float64) - values.mean(axis=0)
    _, strengths, axes = np.linalg.svd(centred, full_matrices=False)
    axes, variances = axes[:2], strengths**2
    axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    projected = np.zeros((len(values), 2), np.float32)
    projected[:, : len(axes)] = centred @ axes.T
    shares = np.zeros(2)
    shares[: len(axes)] = variances[: len(axes)] / max(variances.sum(), np.finfo(float).tiny)
    return projected, shares.tolist()
