"""The inference models converted by Keras for other runtimes, each with a function that runs it.

Weights are passed as checked arrays: Keras opens no saved file.
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
Runtime = Callable[[Arrays], list[NDArray[Any]]]
"""Runs a model on its inputs (n, ...), and returns its outputs, both in order."""

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class ExportedModel:
    """A converted model: its file, its inputs and outputs in order, and a function that runs it.

    None in a shape accepts any size.
    """

    file: Path
    inputs: dict[str, tuple[Shape, str]]  # shape and dtype by name
    outputs: list[Shape]
    run: Runtime


def export_models(
    config: RunConfig, weights: Mapping[str, Sequence[Floats]], folder: Path, kind: str
) -> tuple[ExportedModel, ExportedModel]:
    """Write the inference encoder and decoder to a folder and load both in their runtime.

    `weights` maps each layer's name to its arrays; `kind` is `saved-model`, `onnx` or `litert`.
    """
    train, encoder, decoder = build_models(config)
    for name, arrays in weights.items():
        train.get_layer(name).set_weights(list(arrays))
    return _export(encoder, folder / "encoder", kind), _export(decoder, folder / "decoder", kind)


def _export(model: keras.Model, path: Path, kind: str) -> ExportedModel:
    name, suffix, load = {
        "saved-model": ("tf_saved_model", "", _load_saved_model),
        "onnx": ("onnx", ".onnx", _load_onnx),
        "litert": ("litert", ".tflite", _load_litert),
    }[kind]
    # LiteRT supports LSTMs on batches of any size only with TensorFlow's operations.
    rows = 1 if kind == "litert" else None
    inputs = [
        keras.InputSpec(shape=(rows, *tensor.shape[1:]), dtype=tensor.dtype, name=tensor.name)
        for tensor in model.inputs
    ]
    file = path.with_suffix(suffix)
    signature = inputs if len(inputs) == 1 else [inputs]
    model.export(file, format=name, verbose=False, input_signature=signature)
    return ExportedModel(
        file,
        {spec.name: (spec.shape, spec.dtype) for spec in inputs},
        [(rows, *tensor.shape[1:]) for tensor in model.outputs],
        load(file, [spec.name for spec in inputs]),
    )


def _load_saved_model(file: Path, names: list[str]) -> Runtime:
    loaded = tf.saved_model.load(str(file))

    def run(arrays: Arrays) -> list[NDArray[Any]]:
        outputs = loaded.serve(arrays[0] if len(names) == 1 else list(arrays))
        return [np.asarray(output) for output in outputs]

    return run


def _load_onnx(file: Path, names: list[str]) -> Runtime:
    from onnxruntime import InferenceSession

    session = InferenceSession(str(file), providers=["CPUExecutionProvider"])

    def run(arrays: Arrays) -> list[NDArray[Any]]:
        outputs: list[NDArray[Any]] = session.run(None, dict(zip(names, arrays, strict=True)))
        return outputs

    return run


def _load_litert(file: Path, names: list[str]) -> Runtime:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(file)).get_signature_runner()

    def run(arrays: Arrays) -> list[NDArray[Any]]:
        rows = []
        for row in range(len(arrays[0])):
            inputs = {name: array[row : row + 1] for name, array in zip(names, arrays, strict=True)}
            outputs = runner(**inputs)
            rows.append([outputs[f"output_{number}"] for number in range(len(outputs))])
        return [np.concatenate(parts) for parts in zip(*rows, strict=True)]

    return run
