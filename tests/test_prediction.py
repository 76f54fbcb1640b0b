"""Predictions and states of a run with every variant: varying lengths, attention, two layers."""

import json

import numpy as np
import pytest
from random_run import save_random_run

from seq2seq_cli import load_run, train
from seq2seq_cli.cli.commands.encode import encode as encode_command
from seq2seq_cli.cli.commands.evaluate import evaluate as evaluate_command
from seq2seq_cli.cli.commands.predict import predict as predict_command
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.errors import ConfigurationError, ExistsError
from seq2seq_cli.prediction import encode, predict, write_states

CONFIG = RunConfig(
    task=TaskConfig(name="copy", n_in="1-4", cardinality=13),
    model=ModelConfig(units=24, layers=2, attention="dot", embedding=12, bidirectional=True),
    training=TrainingConfig(n_samples=16000, batch_size=32),
)


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory):
    return save_random_run(tmp_path_factory.mktemp("variants") / "runs", "every", CONFIG).parent


@pytest.fixture
def shown(runs_dir, monkeypatch, capsys):
    """Return a function that runs a command on a run and returns the lines that it prints."""
    monkeypatch.setattr(output, "end_with_reader", lambda: None)
    monkeypatch.setenv("COLUMNS", "80")

    def lines(command, *arguments, **options):
        command(*arguments, **{"run": "every", "runs_dir": runs_dir} | options)
        return capsys.readouterr().out.splitlines()

    return lines


@pytest.mark.slow
def test_a_run_with_every_variant_learns_and_ends_its_targets(shown, tmp_path):
    train(CONFIG, tmp_path, "every")
    (line,) = shown(evaluate_command, runs_dir=tmp_path, as_json=True)
    document = json.loads(line)
    assert document["exact_match"] > 0.95
    assert list(document["length_accuracy"]) == ["1", "2", "3", "4"]
    sequences = ["3", "5 11 12 4", "7 8"]
    assert shown(predict_command, sequences, runs_dir=tmp_path) == sequences


def test_other_lengths_than_the_trainings_are_evaluated_with_a_note(shown):
    (line,) = shown(evaluate_command, n_in="5-6", n_samples=300, as_json=True)
    document = json.loads(line)
    assert list(document["length_accuracy"]) == ["5", "6"]
    assert "trained on sources of 1-4 integers, given 5, 6" in document["notes"][0]
    assert all(len(example["target"]) in (5, 6) for example in document["examples"])


def test_a_beam_shows_the_most_likely_first(shown, runs_dir):
    beam = predict(load_run("every", runs_dir), [[7, 8, 9]], beam=5, top=5)
    assert beam == sorted(beam, key=lambda each: (not each.finished, -each.log_probability))
    assert shown(predict_command, ["7 8 9"], beam=5, top=3) == [
        f"{each.log_probability:.4f}\t{' '.join(map(str, each.target))}" for each in beam[:3]
    ]
    with pytest.raises(ConfigurationError, match="--top 2: should be at most --beam"):
        shown(predict_command, ["7 8"], top=2)


def test_long_sequences_are_decoded_in_smaller_batches(runs_dir, monkeypatch):
    network = load_run("every", runs_dir)
    sequences = [[1 + (i * j) % 12 for j in range(1, 2 + i % 4)] for i in range(40)]
    large = predict(network, sequences, attention=True), predict(network, sequences, 3, 2)
    sizes = []
    encode = type(network.encoder).encode

    def counted(self, sources):
        sizes.append(sources.shape)
        return encode(self, sources)

    monkeypatch.setattr(type(network.encoder), "encode", counted)
    monkeypatch.setattr("seq2seq_cli.inference.network.ATTENDED_FLOATS", 4 * 48 * 7)
    monkeypatch.setattr("seq2seq_cli.inference.network.LEAST_ATTENDED", 1)
    small = predict(network, sequences, attention=True), predict(network, sequences, 3, 2)
    assert len(sizes) > len({len(sequence) for sequence in sequences})
    assert all(n * steps <= 4 * 7 for n, steps in sizes)
    for first, second in zip([*large[0], *large[1]], [*small[0], *small[1]], strict=True):
        assert first[:2] == second[:2]
        assert first.log_probability == pytest.approx(second.log_probability, abs=1e-4)


def test_attention_is_a_map_that_fits_and_an_array(shown):
    target, *heat_map = shown(predict_command, ["7 8 9"], attention=True)
    n_out = len(target.split())
    assert len(heat_map) == n_out + 1
    assert any(shade in "".join(heat_map) for shade in "░▒▓█")
    long = " ".join(str(1 + i % 12) for i in range(60))
    _, *folded = shown(predict_command, [long], attention=True)
    assert all(len(line) <= 80 for line in folded)
    heads = [line for line in folded if line[:3].isspace()]
    assert " ".join(heads).split() == long.split()
    (line,) = shown(predict_command, ["7 8 9"], attention=True, as_json=True)
    weights = np.array(json.loads(line)["attention"])
    assert weights.shape == (n_out, 3)
    assert (weights.sum(axis=1) <= 1 + 1e-5).all()
    (line,) = shown(predict_command, ["7"], as_json=True)
    assert "attention" not in json.loads(line)


def test_states_are_printed_and_written(shown, runs_dir, tmp_path):
    text = shown(encode_command, ["7 8 9"])
    assert [line.split(":")[0] for line in text] == ["hidden 1", "cell 1", "hidden 2", "cell 2"]
    (line,) = shown(encode_command, ["7 8 9"], as_json=True)
    file = tmp_path / "states.npz"
    shown(encode_command, ["7 8 9", "4"], output_file=file)
    with np.load(file) as arrays:
        assert arrays["hidden"].shape == arrays["cell"].shape == (2, 2, 48)
        assert arrays["sources"].tolist() == [[7, 8, 9], [4, 0, 0]]
        np.testing.assert_allclose(arrays["hidden"][0], json.loads(line)["hidden"], atol=1e-6)
    network = load_run("every", runs_dir)
    padded = encode(network, [[4], [7, 8, 9]])[0]
    np.testing.assert_allclose(encode(network, [[4]])[0].cell, padded.cell, atol=1e-6)
    with pytest.raises(ExistsError):
        write_states(file, network, [[1]])
    with pytest.raises(ConfigurationError, match="should end in .npz"):
        write_states(tmp_path / "states.csv", network, [[1]])
