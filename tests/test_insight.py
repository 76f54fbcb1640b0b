"""What a run lets its user see: beams, states, attention, architecture, accuracy by length."""

import json

import numpy as np
import pytest
from conftest import run_s2s

from seq2seq_cli import load_run
from seq2seq_cli.errors import DataError, ExistsError
from seq2seq_cli.prediction import encode, predict, write_states


@pytest.fixture(scope="module")
def looking(tmp_path_factory):
    """A folder with a run "looking": varying lengths, attention, two layers, both directions."""
    folder = tmp_path_factory.mktemp("looking")
    sizes = "--task copy --n-in 1-4 --cardinality 13 --units 24 --layers 2 --attention dot"
    training = "--embedding 12 --n-samples 16000 --batch-size 32 --set model.bidirectional=true"
    run_s2s("train", *sizes.split(), *training.split(), "--run", "looking", cwd=folder)
    return folder


def test_every_variant_is_trained_evaluated_and_read_back(looking):
    report = json.loads(run_s2s("evaluate", "--json", cwd=looking).stdout)
    assert report["exact_match"] > 0.95
    assert list(report["length_accuracy"]) == ["1", "2", "3", "4"]
    for example in report["examples"]:
        assert example["target"] == example["source"]
    shown = run_s2s("evaluate", "--n-samples", "500", cwd=looking).stdout
    assert "length 4" in shown


def test_other_lengths_than_the_trainings_can_be_asked_for(looking, trained):
    result = run_s2s("evaluate", "--n-in", "5-6", "--n-samples", "300", "--json", cwd=looking)
    report = json.loads(result.stdout)
    assert list(report["length_accuracy"]) == ["5", "6"]
    assert "trained on sources of 1-4 integers, given 5, 6" in report["notes"][0]
    assert all(len(example["target"]) in (5, 6) for example in report["examples"])
    for folder, lengths in ((looking, "6-5"), (trained, "5-6")):
        refused = run_s2s("evaluate", "--n-in", lengths, cwd=folder, check=False)
        assert refused.returncode == 2
        assert refused.stderr.count("\n") == 1
    assert "give one length, such as 6" in refused.stderr


def test_predictions_end_where_the_model_ends_them(looking):
    lines = run_s2s("predict", "3", "5 11 12 4", "7 8", cwd=looking).stdout.splitlines()
    assert lines == ["3", "5 11 12 4", "7 8"]


def test_a_beam_gives_the_likeliest_first(looking):
    lines = run_s2s("predict", "--beam", "5", "--top", "3", "7 8 9", cwd=looking).stdout.split("\n")
    scores = [float(line.split("\t")[0]) for line in lines[:3]]
    assert scores == sorted(scores, reverse=True)
    assert lines[0].split("\t")[1] == "7 8 9"
    network = load_run("looking", looking / "runs")
    greedy, beam = predict(network, [[7, 8, 9]]), predict(network, [[7, 8, 9]], beam=5, top=5)
    assert len(beam) == 5
    assert beam[0].log_probability == pytest.approx(greedy[0].log_probability, abs=1e-5)
    refused = run_s2s("predict", "--top", "2", "7 8", cwd=looking, check=False)
    assert refused.returncode == 2
    assert "--top 2: should be at most --beam" in refused.stderr


def test_long_sequences_are_decoded_fewer_together(looking, monkeypatch):
    network = load_run("looking", looking / "runs")
    sequences = [[1 + (i * j) % 12 for j in range(1, 2 + i % 4)] for i in range(40)]
    together = predict(network, sequences, attention=True), predict(network, sequences, 3, 2)
    sizes = []
    encode = type(network.encoder).encode

    def counted(self, sources):
        sizes.append(sources.shape)
        return encode(self, sources)

    monkeypatch.setattr(type(network.encoder), "encode", counted)
    monkeypatch.setattr("seq2seq_cli.inference.network.ATTENDED_FLOATS", 4 * 48 * 7)
    monkeypatch.setattr("seq2seq_cli.inference.network.LEAST_ATTENDED", 1)
    apart = predict(network, sequences, attention=True), predict(network, sequences, 3, 2)
    assert len(sizes) > len({len(sequence) for sequence in sequences})
    assert all(n * steps <= 4 * 7 for n, steps in sizes)
    for first, second in zip(together, apart, strict=True):
        for ours, theirs in zip(first, second, strict=True):
            assert ours[:2] == theirs[:2]
            assert ours.log_probability == pytest.approx(theirs.log_probability, abs=1e-4)


def test_attention_is_shown_and_given(looking, trained):
    shown = run_s2s("predict", "--attention", "7 8 9", cwd=looking).stdout.splitlines()
    assert shown[0] == "7 8 9"
    assert len(shown) == 5
    assert any(shade in "".join(shown) for shade in "░▒▓█")
    long = " ".join(str(1 + i % 12) for i in range(60))
    folded = run_s2s("predict", "--attention", long, cwd=looking).stdout.splitlines()[1:]
    assert all(len(line) <= 80 for line in folded)
    heads = [line for line in folded if line[:3].isspace()]
    assert " ".join(heads).split() == long.split()
    line = json.loads(run_s2s("predict", "--attention", "--json", "7 8 9", cwd=looking).stdout)
    weights = np.array(line["attention"])
    assert weights.shape == (3, 3)
    assert (weights.sum(axis=1) <= 1 + 1e-5).all()
    assert "attention" not in json.loads(run_s2s("predict", "--json", "7", cwd=looking).stdout)
    refused = run_s2s("predict", "--attention", "1 2 3 4", cwd=trained, check=False)
    assert refused.returncode == 2
    assert "train with --attention dot" in refused.stderr


def test_states_are_printed_given_and_written(looking, tmp_path):
    text = run_s2s("encode", "7 8 9", cwd=looking).stdout.splitlines()
    assert [line.split(":")[0] for line in text] == ["hidden 1", "cell 1", "hidden 2", "cell 2"]
    line = json.loads(run_s2s("encode", "--json", "7 8 9", cwd=looking).stdout)
    file = tmp_path / "states.npz"
    run_s2s("encode", "--output", str(file), "7 8 9", "4", cwd=looking)
    with np.load(file) as arrays:
        assert arrays["hidden"].shape == arrays["cell"].shape == (2, 2, 48)
        assert arrays["sources"].tolist() == [[7, 8, 9], [4, 0, 0]]
        np.testing.assert_allclose(arrays["hidden"][0], line["hidden"], atol=1e-6)
    network = load_run("looking", looking / "runs")
    # Alone or beside a longer one: padding changes nothing.
    alone, beside = encode(network, [[4]])[0], encode(network, [[4], [7, 8, 9]])[0]
    np.testing.assert_allclose(alone.cell, beside.cell, atol=1e-6)
    with pytest.raises(ExistsError):
        write_states(file, network, [[1]])
    with pytest.raises(DataError, match="should end in .npz"):
        write_states(tmp_path / "states.csv", network, [[1]])


def test_a_run_is_inspected(looking):
    document = json.loads(run_s2s("inspect", "--json", cwd=looking).stdout)
    layers = {layer["name"]: layer for layer in document["layers"]}
    assert next(iter(layers)) == "source_embedding"
    assert layers["encoder_lstm_2"]["shapes"][0] == [48, 96]
    assert document["parameters"] == sum(layer["parameters"] for layer in layers.values())
    assert document["config"]["model"]["layers"] == 2
    assert document["versions"]["tensorflow"]
    shown = run_s2s("inspect", cwd=looking).stdout
    for words in (
        "attention_keys", "model.layers", "validation exact match",
        "token accuracy (teacher-forced)", "tensorflow",
    ):  # fmt: skip
        assert words in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
