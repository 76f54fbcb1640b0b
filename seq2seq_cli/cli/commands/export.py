"""`s2s export`: a run's models for other runtimes."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from seq2seq_cli.cli import options
from seq2seq_cli.cli.options import option
from seq2seq_cli.cli.process import import_quietly
from seq2seq_cli.cli.rendering import output


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write.")],
    kind: Annotated[
        Literal["saved-model", "onnx", "litert"],
        option("--format", "For TensorFlow, ONNX Runtime or LiteRT."),
    ],
    force: options.Force = False,
    run: options.RunName = None,
    runs_dir: options.RunsDir = options.DEFAULT_RUNS_DIR,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a run's models for TensorFlow, ONNX Runtime or LiteRT.

    Their predictions are compared with NumPy's; export.json describes their inputs and outputs.

      s2s export exported --format onnx
      s2s export exported --format saved-model --run RUN
    """
    from seq2seq_cli.export import check_export, export_run
    from seq2seq_cli.runs.listing import open_run
    from seq2seq_cli.training.process import quiet_stderr

    opened = open_run(runs_dir, run)
    check_export(folder, kind, force)
    output.message("importing TensorFlow and converting ...", quiet or as_json)
    import_quietly("seq2seq_cli.training.export")
    output.end_phase("TensorFlow imported")
    with quiet_stderr():
        result = export_run(opened, folder, kind, force)
    if as_json:
        output.write_json({**asdict(result), "path": str(result.path)})
        return
    output.message(
        f"wrote {result.path}: its predictions for {result.n_compared} sequences differ from "
        f"NumPy's by at most {result.largest_difference:.1g}",
        quiet,
    )
