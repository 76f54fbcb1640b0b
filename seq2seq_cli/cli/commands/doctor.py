"""`s2s doctor`: what this machine has, and whether a training works on it."""

from pathlib import Path
from typing import Annotated, Any

from seq2seq_cli.cli import options
from seq2seq_cli.cli.options import option
from seq2seq_cli.cli.process import import_quietly
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.cli.rendering.tables import table

VARIABLES = (
    *("S2S_", "XLA_", "KERAS_", "CUDA_VISIBLE", "OMP_", "OPENBLAS_", "MKL_", "MALLOC_"),
    *("TF_CONFIG", "TF_CPP_", "TF_ENABLE_", "TF_FORCE_", "TF_GPU_", "TF_NUM_", "TF_XLA_"),
)
"""Prefixes of the names of variables that a training may depend on."""


def doctor(
    seconds: Annotated[float, option("--seconds", "Seconds to train for.", min=0)] = 2,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show versions, cores, flags and cache, and train for two seconds.

    It trains the default task in a temporary folder, which is removed. The last line says whether
    the loss fell, as it does where everything works.

      s2s doctor
      s2s doctor --seconds 10 --json
    """
    import os
    import platform
    from tempfile import TemporaryDirectory

    values = {name: os.environ[name] for name in sorted(os.environ) if name.startswith(VARIABLES)}
    from seq2seq_cli.evaluation import evaluate
    from seq2seq_cli.inference.loading import load_network
    from seq2seq_cli.machine import available_memory, cores
    from seq2seq_cli.resources import format_bytes
    from seq2seq_cli.runs.manifest import installed_versions
    from seq2seq_cli.training.process import configure_process

    configure_process()
    versions = {"python": platform.python_version(), **installed_versions()}
    document: dict[str, Any] = {
        "versions": versions,
        "platform": platform.platform(),
        "cores": cores(),
        "memory": available_memory(),
        "variables": values,
    }
    output.message(f"importing TensorFlow and training for {seconds:g} s ...", quiet or as_json)
    import_quietly("seq2seq_cli.training.self_test")
    from seq2seq_cli.training.self_test import run_self_test

    with TemporaryDirectory() as folder:
        trial = run_self_test(Path(folder), seconds)
        evaluated = evaluate(load_network(trial.run), 1000, n_examples=0)
    document |= {
        "device": trial.device,
        "cache": None if trial.cache is None else str(trial.cache),
        "cached_programs": trial.n_programs,
        "cached_bytes": trial.n_bytes,
        "compiled": trial.is_compiled,
        "samples": trial.samples,
        "samples_per_s": trial.samples_per_s,
        "first_loss": trial.first_loss,
        "last_loss": trial.last_loss,
        "predicted_per_s": evaluated.sequences_per_s,
    }
    document["works"] = works = trial.last_loss < trial.first_loss
    if as_json:
        output.write_json(document)
        return
    memory = document["memory"]
    kept = "none: every training compiles its program"
    if trial.cache:
        kept = f"{trial.cache}: {trial.n_programs:,}, {format_bytes(trial.n_bytes)}"
    rows = [
        *versions.items(),
        ("platform", document["platform"]),
        ("device", f"{trial.device}, {document['cores']} cores"),
        ("memory", format_bytes(memory) if memory else "unknown"),
        *values.items(),
        ("compiled programs", kept),
        ("trained", f"{trial.samples:,} sequences, {trial.samples_per_s:,.0f}/s"),
        ("its program", "compiled" if trial.is_compiled else "from the cache"),
        ("its loss", f"{trial.first_loss:.3f}, then {trial.last_loss:.3f}"),
        ("predicted", f"{evaluated.sequences_per_s:,.0f} sequences/s"),
    ]
    table("This machine", ("", "value"), rows)
    output.write(
        f"Training (on the {trial.device}) and prediction work on this machine."
        if works
        else "The training ran, but its loss did not fall: try --seconds 10."
    )
