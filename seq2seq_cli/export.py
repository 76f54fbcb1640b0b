"""A run's inference models in another runtime's format, proved there against NumPy's predictions.

    DIR/encoder, DIR/decoder      saved-model: folders; onnx: .onnx; litert: .tflite
    DIR/export.json               ids, start, end, shapes, and how the comparison went

Nothing is put in its place unless that runtime predicts what NumPy does.
"""

import json
import platform
import secrets
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli import __version__
from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.tasks import longest_target
from seq2seq_cli.data.vocabulary import PADDING, START, Floats, Ids, Vocabulary
from seq2seq_cli.errors import ConfigurationError, ExistsError, ModelError, StorageError
from seq2seq_cli.inference.loading import load_network, saved_weights
from seq2seq_cli.runs.listing import Run

if TYPE_CHECKING:
    from seq2seq_cli.training.export import ExportedModel

DESCRIPTION = "export.json"

NEEDED = {
    "saved-model": (),
    "onnx": ("tf2onnx", "onnx", "onnxruntime"),
    "litert": ("ai_edge_litert",),
}
"""The formats, and the packages that each needs, of the extra that has its name."""

COMPARED = 16
"""Sequences whose predictions are compared."""

TOLERANCE = 1e-4
"""The most that any probability or state may differ."""

LONGEST_UNROLLED = 128
"""Steps of a source that a LiteRT model can have: each is written out in it."""


@dataclass(frozen=True)
class Exported:
    """What was written, and the most that any probability or state differed from NumPy's."""

    path: Path
    n_compared: int
    largest_difference: float


def check_export(run: Run, folder: Path, kind: str, force: bool) -> None:
    """Raise an error where a run could not be exported, before TensorFlow is imported.

    ConfigurationError for a format that there is not here, ExistsError for a folder that has
    something in it, unless that is an earlier export and `force` is given.
    """
    if kind not in NEEDED:
        raise ConfigurationError(f"--format {kind}: use one of {', '.join(NEEDED)}")
    missing = [name.replace("_", "-") for name in NEEDED[kind] if find_spec(name) is None]
    if missing:
        where = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
        raise ConfigurationError(
            f"--format {kind} needs {', '.join(missing)}: pip install 'seq2seq-cli[{kind}]'; if "
            f"there is no wheel for {where}, this format cannot be had here"
        )
    longest = run.config.task.lengths.longest
    if kind == "litert" and longest > LONGEST_UNROLLED:
        raise ConfigurationError(
            f"--format litert: sources of up to {LONGEST_UNROLLED} can be had, and the run's have "
            f"up to {longest}: use onnx"
        )
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        if not (folder / DESCRIPTION).is_file():
            raise ExistsError(f"{folder} exists and is no export: give another folder")
        if not force:
            raise ExistsError(f"{folder} exists: give another folder, or --force to replace it")


def export_run(run: Run, folder: Path, kind: str, force: bool = False) -> Exported:
    """Write a run's encoder and decoder to a folder in a format, and compare them with NumPy's.

    Raises what `check_export` raises, ModelError where the predictions differ, and StorageError
    where writing fails.
    """
    check_export(run, folder, kind, force)
    from seq2seq_cli.training.export import export_models

    work = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}")
    try:
        work.mkdir(parents=True)
        encoder, decoder = export_models(run.config, saved_weights(run), work, kind)
        difference = _compare(run, encoder, decoder)
        if not difference <= TOLERANCE:
            raise ModelError(
                f"--format {kind}: probabilities differ from NumPy's by up to {difference:.2g}: "
                "nothing is written"
            )
        result = Exported(folder, COMPARED, difference)
        text = json.dumps(_describe(run, kind, encoder, decoder, result), indent=2)
        (work / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
        if (folder / DESCRIPTION).is_file():
            shutil.rmtree(folder)
        work.rename(folder)
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return result


def _compare(run: Run, encoder: "ExportedModel", decoder: "ExportedModel") -> float:
    """Return the largest difference of states and probabilities from NumPy's.

    The tokens that NumPy predicts are fed back to both, one by one.
    """
    config, loaded = run.config, load_network(run)
    sources = _sources(config)
    given = _encoded(config, sources, config.task.cardinality)
    ours, theirs = loaded.encoder(given), encoder.run([given])
    differences = [_difference(theirs, ours)]
    n_states = len(decoder.outputs) - 1
    memories = ours[n_states:], theirs[n_states:]
    states = ours[:n_states], theirs[:n_states]
    token = np.full((len(sources), 1), START, np.int32)
    n_features = Vocabulary.of(config.task).n_features
    for _ in range(longest_target(config.task, sources.shape[1])):
        fed: NDArray[Any] = _encoded(config, token, n_features)
        ours = loaded.decoder([fed, *states[0], *memories[0]])
        theirs = decoder.run([fed, *states[1], *memories[1]])
        differences.append(_difference(theirs, ours))
        states = ours[1:], theirs[1:]
        token = ours[0].argmax(axis=-1).astype(np.int32)
    return max(differences)


def _sources(config: RunConfig) -> Ids:
    """Return some sources (n, longest), of all lengths that the run's have."""
    generator, (shortest, longest) = np.random.default_rng(0), config.task.lengths
    sources = generator.integers(1, config.task.cardinality, (COMPARED, longest), np.int32)
    lengths = np.linspace(shortest, longest, COMPARED).astype(int)
    return np.where(np.arange(longest) < lengths[:, None], sources, np.int32(PADDING))


def _encoded(config: RunConfig, ids: Ids, n_features: int) -> Ids | Floats:
    """Return ids (n, steps) as the models take them; of sources padding is a zero vector."""
    if config.model.embedding:
        return ids
    vectors = np.eye(n_features, dtype=np.float32)
    encoded: Floats = vectors[ids]
    return encoded if ids.shape[1] == 1 else encoded * (ids != PADDING)[..., None]


def _difference(theirs: list[NDArray[Any]], ours: list[Floats]) -> float:
    pairs = zip(theirs, ours, strict=True)
    return max(float(np.abs(first - second).max()) for first, second in pairs)


def _describe(
    run: Run, kind: str, encoder: "ExportedModel", decoder: "ExportedModel", result: Exported
) -> dict[str, Any]:
    vocabulary, task = Vocabulary.of(run.config.task), run.config.task
    is_embedded = bool(run.config.model.embedding)
    states = [name for name in decoder.inputs if name != "shifted_target"]
    return {
        "format": kind,
        "s2s": __version__,
        "run": run.name,
        "task": task.name,
        "tokens": "ids" if is_embedded else "one-hot",
        "cardinality": vocabulary.cardinality,
        "n_features": vocabulary.n_features,
        "start": START,
        "padding": PADDING,
        "end": vocabulary.end,
        "longest_source": task.lengths.longest,
        "longest_target": longest_target(task, task.lengths.longest),
        "encoder": _model(encoder, states),
        "decoder": _model(decoder, ["probabilities", *states[: len(decoder.outputs) - 1]]),
        "compared_with_numpy": {
            "sequences": result.n_compared,
            "largest_difference": result.largest_difference,
        },
    }


def _model(model: "ExportedModel", outputs: list[str]) -> dict[str, Any]:
    """Describe a model; its outputs are, in order, what the decoder calls them."""
    return {
        "file": model.file.name,
        "inputs": [
            {"name": name, "shape": list(shape), "dtype": dtype}
            for name, (shape, dtype) in model.inputs.items()
        ],
        "outputs": [
            {"what": name, "shape": list(shape)}
            for name, shape in zip(outputs, model.outputs, strict=True)
        ],
    }
