"""Exports a run's inference models to another runtime, and compares them with NumPy there.

    DIR/encoder, DIR/decoder      saved-model: folders; onnx: .onnx; litert: .tflite
    DIR/export.json               ids, start, end, shapes, and the result of the comparison

They are written only if that runtime's predictions equal NumPy's. Other files in the folder are
left as they are.
"""

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seq2seq_cli import __version__
from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.tasks import longest_target
from seq2seq_cli.data.vocabulary import PADDING, START, Floats, Ids, Vocabulary, one_hot_encode
from seq2seq_cli.errors import ConfigurationError, ExistsError, ModelError, PackageError
from seq2seq_cli.inference.layers import likeliest
from seq2seq_cli.inference.loading import load_network, saved_weights
from seq2seq_cli.runs.listing import Run
from seq2seq_cli.storage import TEMPORARY, temporary_folder, unwritable

if TYPE_CHECKING:
    from seq2seq_cli.training.export import ExportedModel

DESCRIPTION = "export.json"
MODELS = ("encoder", "decoder")

WRITTEN = re.compile(
    rf"{re.escape(DESCRIPTION)}|({'|'.join(MODELS)})(\.onnx|\.tflite|/saved_model\.pb"
    r"|/fingerprint\.pb|/variables/variables\.(index|data-\d+-of-\d+))"
)
"""The paths in a folder that an export writes."""

PACKAGES = {
    "saved-model": (),
    "onnx": ("tf2onnx", "onnx", "onnxruntime"),
    "litert": ("ai_edge_litert",),
}
"""The formats and the packages that they need; the extra has the name of the format."""

COMPARED = 16
"""Number of sequences whose predictions are compared."""

TOLERANCE = 1e-4
"""Maximum accepted difference of a probability or a state."""


@dataclass(frozen=True)
class Exported:
    """What was written, and the largest difference of a probability or state from NumPy's."""

    path: Path
    n_compared: int
    largest_difference: float


def check_export(folder: Path, kind: str, force: bool) -> None:
    """Check whether an export to a folder is possible, before TensorFlow is imported.

    Raises ConfigurationError if packages are missing or the path is not UTF-8 text, and ExistsError
    for a folder that is not empty, unless it is an earlier export and `force` is set.
    """
    missing = [name.replace("_", "-") for name in PACKAGES[kind] if find_spec(name) is None]
    if missing:
        raise PackageError(f"the format {kind} needs {', '.join(missing)}", kind)
    try:
        str(folder.absolute()).encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"{folder}: TensorFlow needs a path that is UTF-8 text") from None
    try:
        entries = [path.name for path in folder.iterdir() if not TEMPORARY.fullmatch(path.name)]
    except NotADirectoryError:
        entries = [folder.name]
    except FileNotFoundError:
        entries = [folder.name] if folder.is_symlink() else []
    except OSError as error:
        raise unwritable(folder, error) from error
    models = [folder / name for name in MODELS]
    is_foreign = any(path.is_symlink() or path.is_file() for path in models)
    if entries and (is_foreign or not (folder / DESCRIPTION).is_file()):
        raise ExistsError(f"{folder} exists and is not an export: choose another folder")
    if entries and not force:
        raise ExistsError(f"{folder} exists", "replace")


def export_run(run: Run, folder: Path, kind: str, force: bool = False) -> Exported:
    """Write a run's encoder and decoder to a folder in a format, and compare them with NumPy's.

    Raises what `check_export` raises, ModelError if predictions differ, and StorageError if writing
    fails.
    """
    check_export(folder, kind, force)
    from seq2seq_cli.training.export import export_models

    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder) as temporary:
            work = temporary / "export"
            work.mkdir()
            encoder, decoder = export_models(run.config, saved_weights(run), work, kind)
            difference = _compare(run, encoder, decoder)
            if not difference <= TOLERANCE:
                raise ModelError(
                    f"the {kind} models' predictions differ from NumPy's by up to "
                    f"{difference:.2g}: nothing was written"
                )
            result = Exported(folder, COMPARED, difference)
            text = json.dumps(_describe(run, kind, encoder, decoder, result), indent=2)
            (work / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
            _replace(folder, work)
    except OSError as error:
        raise unwritable(folder, error) from error
    finally:
        if is_new:
            with suppress(OSError):  # it is not empty unless the export failed
                folder.rmdir()
    return result


def _replace(folder: Path, work: Path) -> None:
    """Replace the files of an earlier export, and only these, by those in `work`.

    The description is removed first and written last.
    """
    paths = list(folder.rglob("*"))
    earlier = [path for path in paths if WRITTEN.fullmatch(path.relative_to(folder).as_posix())]
    for path in sorted(earlier, key=lambda path: path.name != DESCRIPTION):
        path.unlink()
    for name in MODELS:
        for path in (folder / name / "variables", folder / name / "assets", folder / name):
            with suppress(OSError):
                path.rmdir()
    for path in sorted(work.rglob("*"), key=lambda path: path.name == DESCRIPTION):
        target = folder / path.relative_to(work)
        if path.is_dir():
            target.mkdir(exist_ok=True)
        else:
            path.replace(target)


def _compare(run: Run, encoder: "ExportedModel", decoder: "ExportedModel") -> float:
    """Return the largest difference of states and probabilities from NumPy's.

    Both decoders read the tokens that NumPy predicts, one by one.
    """
    config, loaded = run.config, load_network(run)
    sources = _encoded(config, _sources(config), config.task.cardinality)
    expected, outputs = loaded.encoder(sources), encoder.run([sources])
    differences = [_difference(outputs, expected)]
    n_states = len(decoder.outputs) - 1
    expected_memory, memory = expected[n_states:], outputs[n_states:]
    expected_states, states = expected[:n_states], outputs[:n_states]
    token = np.full((COMPARED, 1), START, np.int32)
    for _ in range(longest_target(config.task, config.task.lengths.longest)):
        fed: NDArray[Any] = _encoded(config, token, Vocabulary.of(config.task).n_features)
        probabilities, *expected_states = loaded.decoder([fed, *expected_states, *expected_memory])
        outputs = decoder.run([fed, *states, *memory])
        differences.append(_difference(outputs, [probabilities, *expected_states]))
        states = outputs[1:]
        token = likeliest(probabilities[:, 0])[:, None]
    return max(differences)


def _sources(config: RunConfig) -> Ids:
    """Return random sources (COMPARED, longest) of the lengths that the run was trained on."""
    generator, (shortest, longest) = np.random.default_rng(0), config.task.lengths
    sources = generator.integers(1, config.task.cardinality, (COMPARED, longest), np.int32)
    lengths = np.linspace(shortest, longest, COMPARED).astype(int)
    return np.where(np.arange(longest) < lengths[:, None], sources, np.int32(PADDING))


def _encoded(config: RunConfig, ids: Ids, n_features: int) -> Ids | Floats:
    """Return ids (n, steps) as the models take them; a source's padding is a zero vector."""
    if config.model.embedding:
        return ids
    encoded = one_hot_encode(ids, n_features)
    return encoded if ids.shape[1] == 1 else encoded * (ids != PADDING)[..., None]


def _difference(outputs: list[NDArray[Any]], expected: list[Floats]) -> float:
    pairs = zip(outputs, expected, strict=True)
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
        "never_predicted": PADDING,
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
    """Describe a model's file, inputs and outputs; `outputs` names the outputs in order."""
    return {
        "file": model.file.name,
        "inputs": [
            {"name": name, "shape": shape, "dtype": dtype}
            for name, (shape, dtype) in model.inputs.items()
        ],
        "outputs": [
            {"what": name, "shape": shape}
            for name, shape in zip(outputs, model.outputs, strict=True)
        ],
    }
