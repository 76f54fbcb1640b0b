"""How a planned training is shown: `s2s train --dry-run`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq_cli.cli import accuracy, output

if TYPE_CHECKING:
    from seq2seq_cli.config import RunConfig
    from seq2seq_cli.data.plan import Plan


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
    """Show a training that could begin; raise whatever would keep it from beginning."""
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
    show_plan(plan, seeds or 1, as_json, quiet)


def show_plan(plan: "Plan", n_seeds: int, as_json: bool, quiet: bool) -> None:
    """Print a planned training and the memory and time that it is expected to need."""
    from dataclasses import asdict

    from seq2seq_cli.architecture import Architecture
    from seq2seq_cli.machine import available_memory
    from seq2seq_cli.resources import format_bytes

    layers, estimate = Architecture.of(plan.config).all_layers, plan.estimate
    if as_json:
        document: dict[str, Any] = {"config": plan.config.model_dump()}
        document["layers"] = accuracy.layers_as_json(layers)
        document["parameters"] = sum(layer.parameters for layer in layers)
        document |= asdict(estimate) | {"seconds": estimate.seconds(n_seeds)}
        document["data"] = asdict(plan.report) if plan.report else None
        output.write_json(document)
        return
    if plan.report:
        accuracy.show_data(plan.config.task, plan.report, stderr=False)
    accuracy.show_settings(plan.config)
    accuracy.show_architecture(layers)
    available = available_memory()
    of = f" of {format_bytes(available)}" if available else ""
    rows = [
        ("steps", f"{estimate.steps:,} of {plan.config.training.batch_size:,} sequences"),
        ("mean lengths, padded", f"{estimate.n_in:.3g} → {estimate.n_out:.3g}"),
        ("time per step", f"about {1000 * estimate.step_seconds:.3g} ms"),
        *([("seeds", f"{n_seeds:,}, one after the other")] if n_seeds > 1 else []),
        ("programs to compile", f"{estimate.programs}, unless they are cached"),
        ("memory", f"about {format_bytes(estimate.memory)}{of}"),
        ("time", f"about {duration(estimate.seconds(n_seeds))}"),
    ]
    output.table("What it needs", ("", "expected"), rows)
    output.message(
        "the time is estimated for two cores and can be half or twice as long on this machine; "
        "nothing was trained or written",
        quiet,
    )


def duration(seconds: float) -> str:
    """Return a time for people, to at most two digits."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{float(f'{seconds / size:.2g}'):g} {unit}"
    return f"{float(f'{seconds:.2g}'):g} seconds"
