"""How a training that is only planned is shown."""

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
    """Show a training that could begin; whatever would keep it from beginning is raised."""
    from seq2seq_cli.data.plan import prepare
    from seq2seq_cli.errors import ConfigurationError
    from seq2seq_cli.footprint import TENSORFLOW, training_needs
    from seq2seq_cli.memory import check
    from seq2seq_cli.runs.location import check_free
    from seq2seq_cli.runs.seeds import free_name

    if resume:
        raise ConfigurationError(
            "--dry-run plans a training from its beginning: leave out --resume"
        )
    plan = prepare(config)
    if seeds is None:
        check_free(runs_dir, run, force)
    else:
        first = plan.config.training.seed
        free_name(runs_dir, run, plan.config.task, range(first, first + seeds), force)
    check(training_needs(plan.config), TENSORFLOW)
    output.end_with_reader()
    show_plan(plan, seeds or 1, as_json, quiet)


def show_plan(plan: "Plan", n_seeds: int, as_json: bool, quiet: bool) -> None:
    """Print what a planned training is and what it will take; nothing is trained or written."""
    from dataclasses import asdict

    from seq2seq_cli.architecture import Architecture
    from seq2seq_cli.forecast import forecast
    from seq2seq_cli.memory import available, shown

    layers = Architecture.of(plan.config).all_layers
    expected = forecast(plan, n_seeds)
    if as_json:
        document: dict[str, Any] = {"config": plan.config.model_dump()}
        document["layers"] = accuracy.layers_as_json(layers)
        document["parameters"] = sum(layer.parameters for layer in layers)
        document |= asdict(expected)
        document["data"] = asdict(plan.report) if plan.report else None
        output.write_json(document)
        return
    if plan.report:
        accuracy.show_data(plan.config.task, plan.report, stderr=False)
    accuracy.show_settings(plan.config)
    accuracy.show_architecture(layers)
    digits = int(expected.step_seconds < 0.01)
    rows = [
        (
            "training",
            f"{expected.steps:,} steps of {plan.config.training.batch_size:,} sequences, "
            f"{expected.n_in:.3g} → {expected.n_out:.3g}; "
            f"about {1000 * expected.step_seconds:,.{digits}f} ms each",
        )
    ]
    if n_seeds > 1:
        rows.append(("seeds", f"{n_seeds:,}, one after the other"))
    rows.append(("programs to compile", f"{expected.programs}, unless they are kept"))
    there = available()
    of = f" of the {shown(there)} there are" if there else ""
    rows.append(("memory", f"some {shown(expected.memory)}{of}"))
    rows.append(("time", f"some {duration(expected.seconds)}, without the evaluation"))
    output.table("What it takes", ("", "expected"), rows)
    output.message(
        "the time is a guess from the arithmetic, for two cores: it can be half or twice as long "
        "there, and differs with the machine; nothing was trained or written",
        quiet,
    )


def duration(seconds: float) -> str:
    """Return a time as a person would say it, to two digits at the most."""
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{float(f'{seconds / size:.2g}'):g} {unit}"
    return f"{float(f'{seconds:.2g}'):g} seconds"
