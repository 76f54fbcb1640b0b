"""The inference models in the formats of other runtimes, and each as it runs there.

Weights come in as arrays that have been checked: no saved file is opened by Keras.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.vocabulary import Floats
from seq2seq_cli.training.models import build_models

Arrays = Sequence[NDArray[Any]]

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class ExportedModel:
    """A model's file, what goes in and comes out, in order, and the model as its runtime runs it.

    A shape has None where any length will do.
    """

    file: Path
    inputs: dict[str, tuple[Shape, str]]
    outputs: list[Shape]
    run: Callable[[Arrays], list[NDArray[Any]]]


def export_models(
    config: RunConfig, weights: Mapping[str, Sequence[Floats]], folder: Path, kind: str
) -> tuple[ExportedModel, ExportedModel]:
    """Write the inference encoder and decoder to a folder, and return both as they run there.

    `weights` has each layer's arrays by its name, and `kind` is `saved-model`, `onnx` or `litert`.
    LiteRT's models take one source of the longest length, padded, and one token.
    """
    train, encoder, decoder = build_models(config)
    for name, arrays in weights.items():
        train.get_layer(name).set_weights(list(arrays))
    exporter = {"saved-model": _saved_model, "onnx": _onnx, "litert": _litert}[kind]
    longest = config.task.lengths.longest
    return (
        exporter(encoder, folder / "encoder", longest),
        exporter(decoder, folder / "decoder", longest),
    )


def _saved_model(model: keras.Model, place: Path, longest: int) -> ExportedModel:
    _write(model, place, "tf_saved_model")
    loaded = tf.saved_model.load(str(place))

    def run(arrays: Arrays) -> list[NDArray[Any]]:
        return [np.asarray(array) for array in loaded.serve(*_as_given(arrays))]

    return ExportedModel(place, _inputs(model), _outputs(model), run)


def _onnx(model: keras.Model, place: Path, longest: int) -> ExportedModel:
    from onnxruntime import InferenceSession

    file = place.with_suffix(".onnx")
    _write(model, file, "onnx")
    session = InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def run(arrays: Arrays) -> list[NDArray[Any]]:
        found: list[NDArray[Any]] = session.run(None, dict(zip(names, arrays, strict=True)))
        return found

    return ExportedModel(file, _inputs(model), _outputs(model), run)


def _litert(model: keras.Model, place: Path, longest: int) -> ExportedModel:
    from ai_edge_litert.interpreter import Interpreter

    file = place.with_suffix(".tflite")
    fixed = _with_fixed_lengths(model, longest)
    _write(fixed, file, "litert")
    runner = Interpreter(model_path=str(file)).get_signature_runner()
    names = [given.name for given in model.inputs]

    def run(arrays: Arrays) -> list[NDArray[Any]]:
        rows = []
        for row in range(len(arrays[0])):
            given = {name: array[row : row + 1] for name, array in zip(names, arrays, strict=True)}
            found = runner(**given)
            rows.append([found[f"output_{number}"] for number in range(len(found))])
        return [np.concatenate(parts) for parts in zip(*rows, strict=True)]

    return ExportedModel(file, _inputs(fixed), _outputs(fixed), run)


def _write(model: keras.Model, file: Path, kind: str) -> None:
    """Write a model, called once before, as Keras' exporters ask."""
    zeros = [
        np.zeros([size or 2 for size in given.shape], str(given.dtype)) for given in model.inputs
    ]
    model(zeros if len(zeros) > 1 else zeros[0])
    model.export(file, format=kind, verbose=False)


def _with_fixed_lengths(model: keras.Model, longest: int) -> keras.Model:
    """Return the model for a batch of one and a known number of steps, with no loop over them.

    LiteRT alone has no such loops: it would need TensorFlow's own operations beside it.
    """
    config = model.get_config()
    for layer in config["layers"]:
        settings = layer["config"]
        if layer["class_name"] == "InputLayer":
            steps = 1 if settings["name"] == "shifted_target" else longest
            _, *rest = settings["batch_shape"]
            settings["batch_shape"] = (1, *(steps if size is None else size for size in rest))
        for part in (layer, settings.get("layer"), settings.get("backward_layer")):
            if part and part["class_name"] == "LSTM":
                part["config"]["unroll"] = True
    fixed = keras.Model.from_config(config)
    fixed.set_weights(model.get_weights())
    return fixed


def _as_given(arrays: Arrays) -> list[Any]:
    """Return the arguments of a saved model's function: one array alone, or a list of them."""
    return [arrays[0]] if len(arrays) == 1 else [list(arrays)]


def _inputs(model: keras.Model) -> dict[str, tuple[Shape, str]]:
    return {given.name: (tuple(given.shape), str(given.dtype)) for given in model.inputs}


def _outputs(model: keras.Model) -> list[Shape]:
    return [tuple(output.shape) for output in model.outputs]
