"""`s2s export`: the models in other runtimes predict what NumPy does, and say how they are used."""

import json
import os
from importlib.util import find_spec
from pathlib import Path

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
def test_an_export_predicts_what_numpy_does(kind, config, tmp_path):
    result = export_run(random_run(config), tmp_path / "out", kind)
    assert result.largest_difference < 1e-5
    description = json.loads((tmp_path / "out" / "export.json").read_text())
    assert description["format"] == kind
    assert description["tokens"] == ("ids" if config is RICH else "one-hot")
    assert description["end"] == (9 if config is RICH else None)
    assert description["start"] == description["padding"] == description["never_predicted"] == 0
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
    token, tokens = np.full((7, 1), description["start"], np.int32), []
    for _ in range(description["longest_target"]):
        fed = one_hot_encode(token, description["n_features"])
        probabilities, *states = decoder.serve([fed, *states])
        allowed = np.asarray(probabilities).copy()
        allowed[..., description["never_predicted"]] = 0
        token = allowed.argmax(axis=-1).astype(np.int32)
        tokens.append(token)
    np.testing.assert_array_equal(
        np.concatenate(tokens, axis=1), greedy(load_network(run), sources, 2).tokens
    )


def test_models_that_differ_are_not_written(tmp_path, monkeypatch):
    def others(run):
        weights = saved_weights(run)
        return weights | {"output": tuple(2 * array for array in weights["output"])}

    saved_weights = export.saved_weights
    monkeypatch.setattr(export, "saved_weights", others)
    with pytest.raises(ModelError, match="predictions differ from NumPy's by up to"):
        export_run(random_run(PLAIN), tmp_path / "out", "saved-model")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def quick(monkeypatch):
    """Replace the conversion by one that writes the files of a SavedModel or of LiteRT."""

    def export_models(config, weights, folder, kind):
        for name in export.MODELS:
            if kind == "saved-model":
                (folder / name / "variables").mkdir(parents=True)
                for file in ("saved_model.pb", "fingerprint.pb", "variables/variables.index"):
                    (folder / name / file).write_text("new")
            else:
                (folder / f"{name}.tflite").write_text("new")
        parts = zip(export.MODELS, ([], [(None, 1)]), strict=True)
        return tuple(ExportedModel(folder / name, {}, shapes, list) for name, shapes in parts)

    from seq2seq_cli.training import export as conversion
    from seq2seq_cli.training.export import ExportedModel

    monkeypatch.setattr(conversion, "export_models", export_models)
    monkeypatch.setattr(export, "_compare", lambda *models: 0.0)
    monkeypatch.setattr(export, "find_spec", lambda name: name)


SAVED_MODEL = {
    f"{name}/{file}"
    for name in ("encoder", "decoder")
    for file in ("saved_model.pb", "fingerprint.pb", "variables/variables.index")
}


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


@pytest.mark.usefixtures("quick")
def test_an_export_replaces_an_earlier_one_with_force_and_no_other_file(tmp_path):
    run, out = random_run(PLAIN), tmp_path / "out"
    export_run(run, out, "saved-model")
    assert files(out) == SAVED_MODEL | {"export.json"}
    with pytest.raises(ExistsError, match="out exists$"):
        check_export(out, "saved-model", force=False)
    foreign = {"notes.txt", "encoder/notes.txt", "other/export.json"}
    for name in foreign:
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("mine")
    export_run(run, out, "saved-model", force=True)
    assert files(out) == SAVED_MODEL | {"export.json"} | foreign
    export_run(run, out, "litert", force=True)
    assert files(out) == {"encoder.tflite", "decoder.tflite", "export.json"} | foreign
    assert all((out / name).read_text() == "mine" for name in foreign)
    assert not (out / "decoder").exists()


@pytest.mark.usefixtures("quick")
def test_a_failed_export_leaves_the_earlier_one(tmp_path, monkeypatch):
    run, out = random_run(PLAIN), tmp_path / "out"
    export_run(run, out, "saved-model")
    monkeypatch.setattr(export, "_compare", lambda *models: 0.1)
    with pytest.raises(ModelError, match="nothing was written"):
        export_run(run, out, "litert", force=True)
    assert files(out) == SAVED_MODEL | {"export.json"}
    with pytest.raises(ModelError, match="nothing was written"):
        export_run(run, tmp_path / "new", "litert")
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("quick")
def test_the_current_folder_and_a_link_to_a_folder_are_written_to(tmp_path, monkeypatch):
    for name in ("here", "elsewhere"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    export_run(random_run(PLAIN), Path(), "saved-model")
    assert files(tmp_path / "here") == SAVED_MODEL | {"export.json"}
    (tmp_path / "link").symlink_to("elsewhere")
    export_run(random_run(PLAIN), tmp_path / "link", "saved-model")
    assert (tmp_path / "link").is_symlink()
    assert files(tmp_path / "elsewhere") == SAVED_MODEL | {"export.json"}


def test_no_other_folder_is_taken(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    (tmp_path / "broken").symlink_to("nowhere")
    for name in ("mine", "mine/notes.txt", "broken"):
        with pytest.raises(ExistsError, match="is not an export"):
            check_export(tmp_path / name, "saved-model", force=True)
    with pytest.raises(ConfigurationError, match="a path that is UTF-8 text"):
        check_export(tmp_path / os.fsdecode(b"caf\xe9"), "saved-model", force=False)


@pytest.mark.parametrize(("kind", "package"), [("onnx", "tf2onnx"), ("litert", "ai-edge-litert")])
def test_missing_packages_are_named_in_one_line(tmp_path, monkeypatch, kind, package):
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=f"the format {kind} needs {package}") as refused:
        check_export(tmp_path / "out", kind, force=False)
    assert f"pip install '.[{kind}]'" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("random_runs")
def test_the_command_writes_one_line(s2s, tmp_path):
    result = s2s("export", "out", "--format", "saved-model")
    assert result.stdout == ""
    first, second = result.stderr.splitlines()
    assert first.startswith("importing TensorFlow")
    assert second.startswith("wrote out: its predictions for 16 sequences differ from NumPy's")
    assert (tmp_path / "out" / "export.json").is_file()
