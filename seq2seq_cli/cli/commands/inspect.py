"""`s2s inspect`: the contents of a run."""

from typing import Any

from seq2seq_cli.cli import options
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.cli.rendering.tables import table


def inspect(
    run: options.RunName = None,
    runs_dir: options.RunsDir = options.DEFAULT_RUNS_DIR,
    argument: options.RunArgument = None,
    as_json: options.Json = False,
) -> None:
    """Show a run's layers, configuration, results and versions.

    The files are checked first.

      s2s inspect
      s2s inspect RUN --json
    """
    from seq2seq_cli.architecture import Architecture
    from seq2seq_cli.cli.rendering.training import layers_as_json, show_layers, show_settings
    from seq2seq_cli.inference.loading import load_network
    from seq2seq_cli.metrics import exact_match_text, interval_text, percent
    from seq2seq_cli.runs.listing import open_run

    opened = open_run(runs_dir, options.one_run(argument, run))
    load_network(opened)  # checks the files
    output.end_with_reader()
    layers = Architecture.of(opened.config).all_layers
    manifest, results = opened.manifest, opened.manifest.results
    if as_json:
        document: dict[str, Any] = {"name": opened.name, "path": str(opened.path)}
        document |= layers_as_json(layers)
        document["config"] = opened.config.model_dump()
        document |= manifest.model_dump(exclude={"files", "results"})
        document["validation"] = results.model_dump()
        output.write_json(document)
        return
    show_layers(layers)
    show_settings(opened.config)
    rows = [
        ("validation exact match", f"{exact_match_text(results)} ({interval_text(results)})"),
        (
            "validation token accuracy (teacher-forced)",
            percent(results.teacher_forced_token_accuracy),
        ),
        ("validation loss", f"{results.loss:.6f}"),
        ("validation sequences", f"{results.n_samples:,}"),
        ("completed", manifest.completed_at.replace("T", " ")),
        ("seconds", f"{manifest.seconds:,.1f}"),
        ("device", manifest.device or "unknown"),
        ("threads", str(manifest.threads)),
        *manifest.versions.items(),
        *manifest.flags.items(),
    ]
    table(f"Results of {opened.path}", ("result", "value"), rows)
