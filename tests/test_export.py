"""`s2s export`: the models in other runtimes predict what NumPy does, and say how they are used."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
from random_run import random_run

from seq2seq_cli import export
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.data.vocabulary import one_hot_encode
from seq2seq_cli.errors import ConfigurationError, ExistsError, ModelError
from seq2seq_cli.export import PACKAGES, check_export, export_run
from seq2seq_cli.inference.greedy import greedy
from seq2seq_cli.inference.loading import load_network

PLAIN = RunConfig(task=TaskConfig(n_in=5, n_out=2, cardinality=11), model=ModelConfig(units=6))
RICH = RunConfig(
    task=TaskConfig(name="reverse", n_in="1-4", cardinality=9),
    model=ModelConfig(units=5, layers=2, bidirectional=True, attention="dot", embedding=3),
)


def needs(kind, *more):
    missing = [name for name in PACKAGES[kind] if find_spec(name) is None]
    return pytest.param(
        kind, *more, marks=pytest.mark.skipif(bool(missing), reason=f"not installed: {missing}")
    )


@pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning")
@pytest.mark.parametrize(
    ("kind", "config"),
    [
        needs("saved-model", RICH),
        needs("onnx", PLAIN),
        needs("onnx", RICH),
        needs("litert", RICH),
    ],
)
def test_it_predicts_what_numpy_does(kind, config, tmp_path):
    result = export_run(random_run(config), tmp_path / "out", kind)
    assert result.largest_difference < 1e-5
    description = json.loads((tmp_path / "out" / "export.json").read_text())
    assert description["format"] == kind
    assert description["tokens"] == ("ids" if config is RICH else "one-hot")
    assert description["end"] == (9 if config is RICH else None)
    assert description["start"] == description["padding"] == 0
    for part in ("encoder", "decoder"):
        assert (tmp_path / "out" / description[part]["file"]).exists()
        shapes = [tensor["shape"] for tensor in description[part]["inputs"]]
        assert {shape[0] for shape in shapes} == {1 if kind == "litert" else None}
        assert shapes[0][1] is None
    states = [output["what"] for output in description["encoder"]["outputs"]]
    assert states[:2] == ["hidden", "cell"]
    assert config is PLAIN or states[-2:] == ["position", "encoder_outputs"]
    assert description["decoder"]["outputs"][0]["what"] == "probabilities"


@pytest.mark.parametrize("kind", [needs("litert")])
def test_a_litert_model_takes_sources_of_any_length(kind, tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    run = random_run(PLAIN)
    export_run(run, tmp_path / "out", kind)
    encoder = Interpreter(str(tmp_path / "out" / "encoder.tflite")).get_signature_runner()
    for length in (3, 9, 200):
        sources = np.random.default_rng(length).integers(1, 11, (1, length), np.int32)
        encoded = one_hot_encode(sources, 11)
        hidden, cell = load_network(run).encoder(encoded)
        outputs = encoder(source=encoded)
        np.testing.assert_allclose(outputs["output_0"], hidden, atol=1e-5)
        np.testing.assert_allclose(outputs["output_1"], cell, atol=1e-5)


def test_a_saved_model_is_used_as_its_description_says(tmp_path):
    import tensorflow as tf

    run = random_run(PLAIN, seed=3)
    export_run(run, tmp_path / "out", "saved-model")
    description = json.loads((tmp_path / "out" / "export.json").read_text())
    encoder, decoder = (
        tf.saved_model.load(str(tmp_path / "out" / description[part]["file"]))
        for part in ("encoder", "decoder")
    )
    sources = np.random.default_rng(5).integers(1, 11, (7, 5), np.int32)
    states = encoder.serve(one_hot_encode(sources, description["cardinality"]))
    token, found = np.full((7, 1), description["start"], np.int32), []
    for _ in range(description["longest_target"]):
        fed = one_hot_encode(token, description["n_features"])
        probabilities, *states = decoder.serve([fed, *states])
        token = np.asarray(probabilities)[..., 1:].argmax(axis=-1).astype(np.int32) + 1
        found.append(token)
    np.testing.assert_array_equal(
        np.concatenate(found, axis=1), greedy(load_network(run), sources, 2).tokens
    )


def test_what_differs_is_not_written(tmp_path, monkeypatch):
    def others(run):
        weights = saved_weights(run)
        return weights | {"output": tuple(2 * array for array in weights["output"])}

    saved_weights = export.saved_weights
    monkeypatch.setattr(export, "saved_weights", others)
    with pytest.raises(ModelError, match="predictions differ from NumPy's by up to"):
        export_run(random_run(PLAIN), tmp_path / "out", "saved-model")
    assert list(tmp_path.iterdir()) == []


def test_an_export_is_replaced_only_with_force_and_nothing_else_ever(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    first = export_run(random_run(PLAIN), out, "saved-model")
    assert first.path == out
    with pytest.raises(ExistsError, match="replace it with --force"):
        check_export(out, "saved-model", force=False)
    (out / "left").touch()
    export_run(random_run(PLAIN), out, "saved-model", force=True)
    assert sorted(path.name for path in out.iterdir()) == ["decoder", "encoder", "export.json"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    for place in (tmp_path / "mine", tmp_path / "mine" / "notes.txt"):
        with pytest.raises(ExistsError, match="is not an export"):
            check_export(place, "saved-model", force=True)


@pytest.mark.parametrize(("kind", "package"), [("onnx", "tf2onnx"), ("litert", "ai-edge-litert")])
def test_missing_packages_are_named_in_one_line(tmp_path, monkeypatch, kind, package):
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=f"the format {kind} needs {package}") as refused:
        check_export(tmp_path / "out", kind, force=False)
    assert str(refused.value).endswith(f"pip install 'seq2seq-cli[{kind}]'")
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("random_runs")
def test_the_command_writes_one_line(s2s, tmp_path):
    result = s2s("export", "out", "--format", "saved-model")
    assert result.stdout == ""
    first, second = result.stderr.splitlines()
    assert first.startswith("importing TensorFlow")
    assert second.startswith("wrote out: its predictions for 16 sequences differ from NumPy's")
    assert (tmp_path / "out" / "export.json").is_file()
