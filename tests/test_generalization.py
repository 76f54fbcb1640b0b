"""The accuracy at each length is that of held-out sources of this length."""

import json

import pytest
from random_run import load_random

from seq2seq_cli import generalization
from seq2seq_cli.cli.commands.evaluate import evaluate as command
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.errors import AccuracyError, ConfigurationError
from seq2seq_cli.evaluation import evaluate
from seq2seq_cli.generalization import LengthResult, evaluate_lengths, parse_range


def random_weights(**task):
    return load_random(RunConfig(task=TaskConfig(**task), model=ModelConfig(units=6)))


def test_a_range_includes_its_last_length():
    for text, step, expected in (
        ("1-5", 1, [1, 2, 3, 4, 5]), ("7", 1, [7]), ("1-10", 4, [1, 5, 9, 10]),
        ("2-10", 4, [2, 6, 10]), ("5-6", 100, [5, 6]), ("1-21:10", None, [1, 11, 21]),
        ("1-20:10", None, [1, 11, 20]), ("7:3", None, [7]), ("1-3", None, [1, 2, 3]),
    ):  # fmt: skip
        assert parse_range(text, step) == expected
    for wrong in ("", "0-4", "4-1", "a", "1-", "1,2", "1-4:", "1-4:0", "1-4:-1", "1-4:1:1", ":2"):
        with pytest.raises(ConfigurationError, match="lengths = "):
            parse_range(wrong)
    with pytest.raises(ConfigurationError, match="give the step once"):
        parse_range("1-4:2", 2)
    with pytest.raises(ConfigurationError, match="step = 0"):
        parse_range("1-4", 0)
    with pytest.raises(ConfigurationError, match="larger step"):
        parse_range(f"1-{10**12}")


@pytest.mark.parametrize("n_in", [5, "2-5"])
def test_each_length_is_evaluated_as_by_evaluate(n_in):
    run = random_weights(n_in=n_in, n_out=2, cardinality=31)
    curve = evaluate_lengths(run, [2, 5, 9], 60, seed=3)
    assert [item.length for item in curve.lengths] == [2, 5, 9]
    for item in curve.lengths:
        alone = evaluate(run, 60, n_in=item.length, seed=3)
        for name in ("n_samples", "exact", "exact_match", "exact_match_low", "exact_match_high",
                     "token_accuracy"):  # fmt: skip
            assert getattr(item, name) == getattr(alone, name)
    assert [item.is_trained for item in curve.lengths] == [n_in != 5, True, False]
    assert curve.longest_trained == 5


def test_a_length_with_few_sources_has_their_number():
    run = random_weights(n_in="1-9", name="copy", cardinality=9)
    second, ninth = evaluate_lengths(run, [2, 9], 50).lengths
    assert second.exact
    assert second.n_possible == second.n_samples < 10
    assert ninth.n_possible is None
    assert (ninth.n_samples, ninth.exact) == (50, False)
    few = evaluate_lengths(random_weights(n_in="1-12", name="copy", cardinality=4), [2], 50)
    assert few.lengths == [LengthResult(2, True, 0, 0, False, None, None, None, None)]


def test_lengths_that_a_task_does_not_have_are_skipped():
    run = random_weights(n_in=5, name="associative-recall", cardinality=21)
    curve = evaluate_lengths(run, [3, 4, 5, 6, 7], 20)
    assert [item.length for item in curve.lengths] == [3, 5, 7]
    assert "2 of the lengths are skipped: " in curve.notes[0]
    with pytest.raises(ConfigurationError, match="lengths = 4 to 6"):
        evaluate_lengths(run, [4, 6], 20)


def set_results(monkeypatch, shares):
    """Let each length have this exact match."""

    def result(loaded, length, *_):
        share = shares[length]
        return LengthResult(length, length <= 5, None, 10, False, share, 0.0, 1.0, share), []

    monkeypatch.setattr(generalization, "_evaluate_length", result)


@pytest.mark.parametrize(
    ("shares", "longest", "beyond"),
    [
        ({3: 1.0, 5: 0.99, 7: 0.6, 9: 0.2}, 5, 0.4),
        ({3: 0.5, 5: 0.98, 7: 0.995}, 7, 0.995),
        ({3: 0.5, 5: 0.98}, None, None),
        ({5: 1.0, 6: None, 8: 0.5}, 5, 0.5),
    ],
)
def test_lengths_are_summarized(monkeypatch, shares, longest, beyond):
    set_results(monkeypatch, shares)
    advances = []
    curve = evaluate_lengths(random_weights(n_in=5), list(shares), progress=advances.append)
    assert curve.longest_learned == longest
    assert curve.mean_beyond == (None if beyond is None else pytest.approx(beyond))
    assert advances == [1] * len(shares)


def test_the_command_prints_the_numbers_of_its_json(monkeypatch, capsys):
    monkeypatch.setattr(output, "end_with_reader", lambda: None)
    run = random_weights(n_in="1-5", name="copy", cardinality=9)
    monkeypatch.setattr("seq2seq_cli.inference.loading.load_run", lambda *_: run)
    set_results(monkeypatch, {2: 1.0, 5: 0.99951, 8: 0.25})
    command(lengths="2-8", step=3)
    shown = capsys.readouterr()
    for text in ("100%", "99.95%", "25%", "at least 99% exact", "beyond 5"):
        assert text in shown.out
    verdict = "exact match at least 99% up to length 5, half wrong from length 8"
    assert shown.err.splitlines()[-1] == f"{verdict}; the longest length trained on is 5"
    command(lengths="2-8", step=3, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert [item["exact_match"] for item in document["lengths"]] == [1.0, 0.99951, 0.25]
    assert (document["longest_learned"], document["mean_beyond"]) == (5, 0.25)
    with pytest.raises(AccuracyError, match="exact match 25.0% is below"):
        command(lengths="2-8", step=3, as_json=True, min_accuracy=0.3)
    for wrong in ({"n_in": "4"}, {"data": "a.csv"}, {"examples": 3}):
        with pytest.raises(ConfigurationError, match="use only one of it and --lengths"):
            command(lengths="2-8", **wrong)
    with pytest.raises(ConfigurationError, match="--step 3"):
        command(step=3)


def test_an_accuracy_is_not_demanded_of_nothing(monkeypatch, capsys):
    monkeypatch.setattr(output, "end_with_reader", lambda: None)
    run = random_weights(n_in="1-12", name="copy", cardinality=4)
    monkeypatch.setattr("seq2seq_cli.inference.loading.load_run", lambda *_: run)
    with pytest.raises(AccuracyError, match=r"--min-accuracy 0\.5: no source is held out"):
        command(lengths="2", min_accuracy=0.5)
    capsys.readouterr()
    command(lengths="2")
    assert "exact match" not in capsys.readouterr().err


def test_custom_data_has_no_other_lengths():
    with pytest.raises(ConfigurationError, match="lengths = 3 to 3: only generated tasks"):
        evaluate_lengths(random_weights(data="pairs.csv", n_in="1-4", cardinality=9), [3])
    with pytest.raises(ConfigurationError, match="n_samples = 0"):
        evaluate_lengths(random_weights(n_in=5), [3], 0)
