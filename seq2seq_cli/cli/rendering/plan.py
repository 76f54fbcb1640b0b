"""Shows the plan of a training: settings, layers, data, steps, memory and time."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq_cli.cli.rendering import output
from seq2seq_cli.cli.rendering.tables import table

if TYPE_CHECKING:
    from rich.console import Console

    from seq2seq_cli.architecture import Layer
    from seq2seq_cli.config import RunConfig, TaskConfig
    from seq2seq_cli.data.plan import DataReport, Plan


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
        if value != ""
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


def plan_training(
    config: "RunConfig",
    runs_dir: Path,
    run: str | None,
    force: bool,
    seeds: int | None,
    resume: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Show a training without starting it; raises any error that would prevent its start."""
    from seq2seq_cli.data.plan import prepare
    from seq2seq_cli.errors import ConfigurationError
    from seq2seq_cli.resources import check_training
    from seq2seq_cli.runs.claim import check_free, free_name
    from seq2seq_cli.runs.names import check_name

    if resume:
        raise ConfigurationError("--dry-run plans a training from its beginning: remove --resume")
    plan = prepare(config)
    if seeds is not None:
        first = plan.config.training.seed
        free_name(runs_dir, run, plan.config.task, range(first, first + seeds), force)
    elif run:
        check_free(runs_dir / check_name(run), force)
    check_training(plan.config)
    output.end_with_reader()
    _show_plan(plan, seeds or 1, as_json, quiet)


def _show_plan(plan: "Plan", n_seeds: int, as_json: bool, quiet: bool) -> None:
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
