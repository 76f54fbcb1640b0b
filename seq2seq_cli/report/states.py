"""The charts' data of what a model does inside: its attention, its decoder's and encoder's states.

They are those of predictions, each token following from the model's own tokens before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seq2seq_cli.data.vocabulary import Floats, Vocabulary, pad, shift_right
from seq2seq_cli.evaluation import Example
from seq2seq_cli.inference.network import LoadedRun
from seq2seq_cli.prediction import encode_arrays, predict

MOST_CELLS = 48
"""Rows and columns that a map has at the most."""


@dataclass(frozen=True)
class Map:
    """Values (rows, columns) of a sequence: attention's weights, or states over steps."""

    example: Example
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    size: tuple[int, int] = (1, 1)  # rows and columns that stand together in one of the map


def attention_map(loaded: LoadedRun, example: Example) -> Map:
    """Return how much each predicted token, its end aside, looks at each token of the source.

    Of many tokens some stand together, with the largest weight among them.
    """
    (predicted,) = predict(loaded, [example.source], attention=True)
    assert predicted.attention is not None
    weights = np.array(predicted.attention, np.float32).reshape(-1, len(example.source))
    rows, n_rows = _together(list(map(str, predicted.target)))
    columns, n_columns = _together(list(map(str, example.source)))
    pooled = [
        [
            float(weights[i : i + n_rows, j : j + n_columns].max())
            for j in range(0, weights.shape[1], n_columns)
        ]
        for i in range(0, len(weights), n_rows)
    ]
    return Map(example, rows, columns, tuple(map(tuple, pooled)), (n_rows, n_columns))


def _together(labels: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """Return labels by place, "1: 23", of as many together as there are too many; and how many."""
    size = max(1, -(-len(labels) // MOST_CELLS))
    starts = range(0, len(labels), size)
    if size == 1:
        return tuple(f"{i + 1}: {labels[i]}" for i in starts), size
    return tuple(f"{i + 1}-{min(i + size, len(labels))}" for i in starts), size


def decoder_map(loaded: LoadedRun, example: Example, most_units: int = 32) -> Map:
    """Return the last decoder layer's hidden state, (units, steps), before each predicted token.

    The units are those that change most from step to step, in their order; of many steps there are
    the first ones.
    """
    tokens = [*example.predicted, *_end(loaded)][:MOST_CELLS]
    states, _ = loaded.encoder.encode(pad([example.source]))
    hidden = loaded.decoder.read(shift_right(np.array([tokens], np.int32)), states)[0].T
    change = hidden.max(axis=1) - hidden.min(axis=1) if len(tokens) > 1 else np.abs(hidden[:, 0])
    units = np.sort(np.argsort(-change, kind="stable")[:most_units])
    names = (*map(str, example.predicted), "end")
    return Map(
        example,
        tuple(str(unit + 1) for unit in units),
        tuple(
            f"{step}: {name}" for step, name in zip(range(1, len(tokens) + 1), names, strict=False)
        ),
        tuple(tuple(map(float, row)) for row in hidden[units]),
    )


def _end(loaded: LoadedRun) -> list[int]:
    end = Vocabulary.of(loaded.config.task).end
    return [] if end is None else [end]


@dataclass(frozen=True)
class Components:
    """States in their first two principal components, and the first token of each source."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    first: tuple[int, ...]
    explained: tuple[float, float]  # shares of the variance


def encoder_components(loaded: LoadedRun, sources: Sequence[Sequence[int]]) -> Components:
    """Return the last encoder layer's hidden states after sources."""
    hidden, _ = encode_arrays(loaded, sources)
    projected, explained = principal_components(hidden[:, -1])
    x, y = (tuple(map(float, column)) for column in projected.T)
    return Components(x, y, tuple(source[0] for source in sources), explained)


def principal_components(values: Floats) -> tuple[Floats, tuple[float, float]]:
    """Return values (n, width) in their first two components, (n, 2), and these' shares.

    A component's sign is such that its largest weight is positive. Where there is no second one,
    its values are zero.
    """
    centred = values.astype(np.float64) - values.mean(axis=0)
    _, strengths, axes = np.linalg.svd(centred, full_matrices=False)
    axes, variances = axes[:2], strengths**2
    axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    projected = np.zeros((len(values), 2), np.float32)
    projected[:, : len(axes)] = centred @ axes.T
    shares = np.zeros(2)
    shares[: len(axes)] = variances[: len(axes)] / max(variances.sum(), np.finfo(float).tiny)
    return projected, (float(shares[0]), float(shares[1]))
