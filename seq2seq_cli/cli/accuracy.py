"""How an evaluation is shown: the accuracy table and the spot-check examples."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from seq2seq_cli.cli import output
from seq2seq_cli.cli.bars import bar, terminal_width
from seq2seq_cli.metrics import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seq2seq_cli.architecture import Layer
    from seq2seq_cli.config import RunConfig, TaskConfig
    from seq2seq_cli.data.plan import DataReport
    from seq2seq_cli.evaluation import Report


MOST_ROWS = 12
"""Positions and lengths that have a row each; of more, some stand together in one."""


WITHOUT_BARS = 52
"""Columns that the table of accuracies takes at the most without its bars."""

SHORTEST_BAR, LONGEST_BAR = 8, 24


def show(report: "Report", quiet: bool = False) -> None:
    """Print the report's tables to standard output and its notes to standard error."""
    lengths, tokens, loss = report.length_accuracy, report.token_accuracy, report.loss
    positions = [
        (number, share)
        for number, share in enumerate(report.position_accuracy, 1)
        if share is not None
    ]
    room = terminal_width() - WITHOUT_BARS
    width = min(LONGEST_BAR, room) if room >= SHORTEST_BAR else 0
    rows = [
        ("exact match", percent(report.exact_match)),
        ("  exact" if report.exact else "  95 % interval", interval(report)),
        *([] if tokens is None else [("token accuracy", percent(tokens))]),
        *_grouped("position", positions, width),
        *(_grouped("length", sorted(lengths.items()), width) if len(lengths) > 1 else []),
        *([] if loss is None else [("loss", f"{loss:.6f}")]),
        ("sequences/s", f"{report.sequences_per_s:,.0f}"),
    ]
    n = "" if report.exact else f"{report.n_samples:,} "
    title = f"{report.run}: {n}{report.origin}, predicted freely"
    if width:
        rows = [row if len(row) > 2 else (*row, "") for row in rows]
    output.table(title, ("accuracy", ">value", *[""] * (width > 0)), rows)
    if report.examples:
        output.table(
            "Spot checks (a wrong token is marked !)",
            ("source", "expected", "predicted", ""),
            [
                (
                    output.shorten(example.source),
                    output.shorten(example.target),
                    output.mark_errors(example.target, example.predicted),
                    "ok" if example.target == example.predicted else "wrong",
                )
                for example in report.examples
            ],
        )
    for note in report.notes:
        output.message(f"note: {note}", quiet)


def interval(report: "Report") -> str:
    """Return the 95 % interval of the exact match, or that all sequences there are have counted."""
    if report.exact:
        return "all of them"
    return f"{percent(report.exact_match_low)} to {percent(report.exact_match_high)}"


def _grouped(label: str, shares: list[tuple[int, float]], width: int) -> list[tuple[str, ...]]:
    """Return table rows of shares by position or length; of many, the mean of some together.

    Each has a bar, unless its width is 0.
    """
    size = max(1, -(-len(shares) // MOST_ROWS))
    rows = []
    for start in range(0, len(shares), size):
        group = shares[start : start + size]
        first, last = group[0][0], group[-1][0]
        name = f"  {label} {first}" if first == last else f"  {label}s {first} to {last}"
        mean = sum(share for _, share in group) / len(group)
        rows.append((name, percent(mean), *[bar(mean, width)] * (width > 0)))
    return rows


def as_json(report: "Report") -> dict[str, Any]:
    """Return the report as plain values for `--json`."""
    document = asdict(report)
    document["examples"] = [example._asdict() for example in report.examples]
    del document["tally"]
    return document


def show_architecture(layers: "Sequence[Layer]", stderr: bool = False) -> None:
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
    total = sum(layer.parameters for layer in layers)
    rows.append(("all", "", "", f"{total:,}"))
    output.table("Model", ("layer", "kind", "weights", ">parameters"), rows, stderr)


def layers_as_json(layers: "Sequence[Layer]") -> list[dict[str, Any]]:
    """Return a model's layers as plain values for `--json`."""
    return [
        {
            "name": layer.name,
            "kind": layer.kind,
            "shapes": [list(shape) for shape in layer.shapes],
            "parameters": layer.parameters,
        }
        for layer in layers
    ]


def show_settings(config: "RunConfig") -> None:
    """Print the settings that have a value."""
    settings = [
        (f"{section}.{key}", str(value))
        for section, values in config.model_dump().items()
        for key, value in values.items()
        if value != ""
    ]
    output.table("Configuration", ("setting", "value"), settings)


def show_data(task: "TaskConfig", found: "DataReport", stderr: bool = True) -> None:
    """Print what own data is like."""
    rows = [
        ("pairs", f"{found.pairs:,}: {found.training:,} to train, {found.validation:,} held out"),
        ("source lengths", "{} to {}".format(*found.source_lengths)),
        ("target lengths", "{} to {}".format(*found.target_lengths)),
        ("values", "{} to {}".format(*found.values) + f", cardinality {task.cardinality}"),
        ("duplicate pairs", f"{found.duplicates:,}"),
        ("validation sources in training", f"{found.in_both:,}"),
    ]
    output.table(task.data, ("own data", ""), rows, stderr)
