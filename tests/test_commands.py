"""Commands on runs with random weights."""

import io
import json
import sys

import numpy as np
import pytest
from random_run import load_random

from seq2seq_cli.cli.commands.encode import encode
from seq2seq_cli.cli.commands.evaluate import evaluate
from seq2seq_cli.cli.commands.generate import generate
from seq2seq_cli.cli.commands.inspect import inspect
from seq2seq_cli.cli.commands.predict import compare, predict
from seq2seq_cli.cli.commands.tasks import tasks
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.cli.rendering.training import TrainingProgress
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.data.files import read_pairs
from seq2seq_cli.data.sampling import SourceSpace, Split
from seq2seq_cli.data.tasks import TASKS
from seq2seq_cli.data.vocabulary import Vocabulary
from seq2seq_cli.errors import ConfigurationError, DataError
from seq2seq_cli.prediction import Prediction
from seq2seq_cli.training.events import (
    EpochEnded,
    Finished,
    Resumed,
    SeedBegun,
    SeedFailed,
    Validated,
)


@pytest.fixture
def use(monkeypatch):
    """Make the commands load a run with random weights, and return that."""
    monkeypatch.setattr(output, "end_with_reader", lambda: None)

    def load(**task):
        run = load_random(RunConfig(task=TaskConfig(**task), model=ModelConfig(units=6)))
        monkeypatch.setattr("seq2seq_cli.inference.loading.load_run", lambda *_: run)
        return run

    return load


def test_a_blank_line_stays_blank(use, capsys, tmp_path, monkeypatch):
    use(n_in=3, n_out=2, cardinality=9)
    file = tmp_path / "lines.txt"
    file.write_bytes(b"\xef\xbb\xbf1 2 3\r\n\n4 5 6\n \n")
    predict(None, file)
    lines = capsys.readouterr().out.split("\n")
    assert [len(line.split()) for line in lines] == [2, 0, 2, 0, 0]
    stdin = io.TextIOWrapper(io.BytesIO(file.read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)
    predict(["-"], as_json=True)
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [document and len(document["target"]) for document in documents] == [2, None, 2, None]
    encode(None, file)
    assert len(capsys.readouterr().out.splitlines()) == 4
    encode(None, file, tmp_path / "states.npz")
    with np.load(tmp_path / "states.npz") as arrays:
        assert arrays["sources"].tolist() == [[1, 2, 3], [4, 5, 6]]
    file.write_text("\n")
    with pytest.raises(DataError, match="there is no sequence"):
        encode(None, file, tmp_path / "none.npz")


def test_a_target_cut_at_the_limit_has_a_note(use, capsys):
    run = use(name="copy", n_in="1-3", cardinality=9)
    run.decoder.bias[:] = 0
    run.decoder.bias[Vocabulary.of(run.config.task).end] = -50
    predict(["1 2", "3"], as_json=True)
    shown = capsys.readouterr()
    assert [json.loads(line)["finished"] for line in shown.out.splitlines()] == [False, False]
    assert "note: 2 targets were cut at the limit of tokens" in shown.err
    run.decoder.bias[-1] = 50
    predict(["1 2", "3"], as_json=True)
    shown = capsys.readouterr()
    assert [json.loads(line)["finished"] for line in shown.out.splitlines()] == [True, True]
    assert shown.err == ""


def test_the_same_target_is_never_shown_twice(use, capsys):
    run = use(name="copy", n_in="1-3", cardinality=9)
    run.decoder.bias[0] = 9  # id 0 would be the likeliest
    predict(["1 2 3"], beam=8, top=8)
    targets = [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()]
    assert len(set(targets)) == len(targets) == 8
    assert not any("0" in target.split() for target in targets)


def test_evaluate_gives_null_for_what_it_does_not_know(use, capsys):
    use(name="reverse", n_in="1-5", cardinality=31)
    accuracies = set()
    for seed in range(6):
        evaluate(n_samples=1, seed=seed, as_json=True)
        document = json.loads(capsys.readouterr().out)
        longest = max(map(int, document["length_accuracy"]))
        assert document["position_accuracy"][longest + 1 :] == [None] * (5 - longest)
        accuracies.update(document["position_accuracy"])
        assert document["n_trained_on"] is None
        assert document["exact"] is False
    assert None in accuracies


def test_a_small_space_gives_each_held_out_source_once(use, capsys):
    generate("copy", 4, cardinality=11, n_samples=10_000, split="test", as_json=True)
    shown = capsys.readouterr()
    sources = [tuple(json.loads(line)["source"]) for line in shown.out.splitlines()]
    space = SourceSpace.of(TaskConfig(n_in=4, cardinality=11))
    assert sorted(sources) == sorted(map(tuple, space.enumerate(Split.TEST).tolist()))
    assert f"note: there are only {len(sources)}, each given once" in shown.err


def test_generate_takes_custom_tasks_and_refuses_ignored_settings(use, capsys, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "import numpy as np\n\ndef doubled(sources):\n    return np.repeat(sources, 2, axis=1)\n"
    )
    generate(f"{path}:doubled", 3, cardinality=20, as_json=True)
    for line in capsys.readouterr().out.splitlines():
        pair = json.loads(line)
        assert pair["target"] == [value for value in pair["source"] for _ in range(2)]
    with pytest.raises(ConfigurationError, match="task.n_out = 2: .* remove it"):
        generate("copy", 5, 2)
    with pytest.raises(ConfigurationError, match="task.n_out = 2: .* remove it"):
        generate(f"{path}:doubled", 5, 2)
    with pytest.raises(ConfigurationError, match="pairs of a file already exist"):
        generate(settings=["task.data=pairs.csv"])


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".npz"])
def test_generate_writes_empty_targets_that_are_read_back(use, capsys, tmp_path, suffix):
    path = tmp_path / f"pairs{suffix}"
    generate("filter", 3, cardinality=6, n_samples=200, file=path)
    pairs = read_pairs(path).pairs
    assert set(pairs.targets.lengths.tolist()) == {0, 1, 2}
    generate("filter", 3, cardinality=6, n_samples=200, as_json=True)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    rows = np.arange(200)
    targets = [row[row > 0].tolist() for row in pairs.targets.padded(rows, 3)]
    assert targets == [json.loads(line)["target"] for line in lines]
    generate("filter", 3, cardinality=6, n_samples=50)
    assert "encoded: (50, 3, 6) (50, 4, 7) (50, 4, 7)" in capsys.readouterr().out


def test_tasks_are_listed_with_level_and_example(use, capsys):
    tasks()
    shown = capsys.readouterr().out
    assert all(len(line.rstrip()) <= 80 for line in shown.splitlines())
    for words in ("Tasks, context-free", "(k = 2)", "4 9 2 4 10 2 -> 9", "in another order"):
        assert words in shown
    tasks(as_json=True)
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [document["name"] for document in listed] == list(TASKS)
    for document in listed:
        assert document["level"] in ("regular", "context-free", "context-sensitive")
        assert set(document) == {
            "name", "summary", "level", "settings", "cardinality", "source", "target", "alike"
        }  # fmt: skip
    by_name = {document["name"]: document for document in listed}
    assert by_name["sort"]["target"] == [2, 4, 4, 7, 9]
    assert by_name["addition"]["settings"] == {"digit_order": "big-endian"}
    assert by_name["selective-copy"]["settings"] == {"k": 5}


def test_a_run_is_inspected_predicted_and_evaluated(random_runs, capsys, monkeypatch):
    monkeypatch.setattr(output, "end_with_reader", lambda: None)
    inspect("complete", random_runs)
    shown = capsys.readouterr().out
    for words in ("encoder_lstm", "validation exact match", "token accuracy (teacher-forced)"):
        assert words in shown
    inspect("complete", random_runs, as_json=True)
    document = json.loads(capsys.readouterr().out)
    shapes = [layer["shapes"] for layer in document["layers"]]
    assert shapes[0] == [[13, 32], [8, 32], [32]]
    assert document["parameters"] == 1525
    predict(["1 2 3 4"], run="complete", runs_dir=random_runs, as_json=True)
    prediction = json.loads(capsys.readouterr().out)
    assert prediction["finished"] is True
    assert len(prediction["target"]) == 2
    evaluate("complete", random_runs, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert document["exact"] is True
    assert document["exact_match"] < 0.1


def test_a_validation_within_an_epoch_is_shown_as_such(capsys):
    progress = TrainingProgress(quiet=False)
    figures = (0.0001234, 1.25, 0.5, 0.4, 0.6, 0.75, 0.01, 2.0, 320.0)
    progress.show(Validated(1, 2, 256, *figures, steps_done=16, is_whole=False))
    progress.show(EpochEnded(1, 2, 640, *figures, steps_done=40, is_whole=True))
    progress.show(Finished(2, 2, 256, 1, None, "enough"))
    progress.show(Finished(2, 2, None, 1, 256, ""))
    progress.show(Finished(2, 2, None, 2, None, ""))
    beginning = ("epoch 1/2: its first 256 sequences in 2.0 s", "epoch 1/2: 640 sequences in")
    first, second, *ends = capsys.readouterr().err.splitlines()
    assert (first[:43], second[:27]) == beginning
    assert first.endswith("s, loss 1.23e-4; validation: loss 1.25, exact match 50%")
    assert ends == [
        "stopped after 256 sequences of epoch 2/2: enough",
        "the weights are those after epoch 1",
        "the weights are those after 256 sequences of epoch 1",
    ]


def test_messages_name_the_current_seed(capsys):
    progress = TrainingProgress(quiet=False)
    figures = (1.5, 1.25, 0.5, 0.4, 0.6, 0.75, 0.01, 2.0, 320.0)
    progress.show(SeedBegun(1, 2, 3, "t-seed-3", is_complete=True))
    progress.show(SeedBegun(1, 2, 4, "t-seed-4", is_complete=False))
    progress.show(Resumed(1, 2, 320, ()))
    progress.show(EpochEnded(1, 2, 640, *figures, steps_done=40))
    progress.show(Finished(1, 2, None, 1, None, "enough", "few steps"))
    progress.show(SeedFailed(1, 2, 4, "the loss became nan"))
    complete, resumed, ended, stopped, short, failed = capsys.readouterr().err.splitlines()
    assert complete == "seed 3: t-seed-3 is complete"
    assert resumed == "t-seed-4 resumes in epoch 1/2 after 320 sequences"
    assert ended.startswith("seed 4, epoch 1/2: 640 sequences in")
    assert stopped == "seed 4, stopped after epoch 1/2: enough"
    assert (short, failed) == ("seed 4: few steps", "seed 4: the loss became nan")


def on_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)


def test_on_a_terminal_a_prediction_is_compared_with_its_target(use, capsys, monkeypatch):
    use(n_in=3, n_out=2, cardinality=9)
    predict(["1 2 3"])
    (first, second) = capsys.readouterr().out.split()
    right, wrong = f"{second} {first} 5", f"{second} {8 if first != '8' else 7} 5"
    monkeypatch.setattr(
        "seq2seq_cli.prediction.predict_each",
        lambda _, sources, *__: [
            [Prediction(source, [int(first), int(second)], -1.0)] for source in sources
        ],
    )
    on_terminal(monkeypatch)
    predict([right, wrong])
    expected = f"expected {wrong[2]} {second}, wrong from token 1"
    assert capsys.readouterr().out == f"{first} {second}  ok\n{first} {second}  {expected}\n"
    predict([right], plain=True)
    assert capsys.readouterr().out == f"{first} {second}\n"
    monkeypatch.setenv("COLUMNS", "24")
    predict([wrong])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{first} {second}"
    assert " ".join(" ".join(lines[1:]).split()) == expected
    assert max(map(len, lines)) <= 24


@pytest.mark.parametrize(
    ("target", "expected", "verdict"),
    [
        ([1, 2], [1, 2], "ok"),
        ([1, 2], [1, 2, 3], "expected 1 2 3, wrong from token 3"),
        ([1, 2, 3], [1, 2], "expected 1 2, wrong from token 3"),
        ([1], [], "expected no tokens, wrong from token 1"),
        ([1] * 40, [1] * 39, f"expected from 28: {'1 ' * 12}(39), wrong from token 40"),
    ],
)
def test_a_comparison_names_the_first_wrong_token(target, expected, verdict):
    assert compare(target, expected) == verdict


def test_predictions_in_json_have_the_expected_target(use, capsys):
    def documents(*sources):
        predict(list(sources), as_json=True)
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    use(name="missing-duplicate", n_in=6, n_out=1, cardinality=11)
    lines = documents("4 9 2 4 10 2", "4 9 10 9", "4 9 2")
    assert [line["expected"] for line in lines] == [[9], [4], None]  # not of an odd length
    use(name="copy", n_in=3, n_out=3, cardinality=9)
    assert documents("1 2 3")[0]["expected"] == [1, 2, 3]
    use(name="some.py:function", n_in=3, n_out=3, cardinality=9)
    assert documents("1 2 3")[0]["expected"] is None


def test_on_a_terminal_an_excerpt_of_the_states_is_shown(use, capsys, monkeypatch):
    run = use(n_in=3, n_out=2, cardinality=9)
    encode(["1 2 3"], as_json=True)
    whole = capsys.readouterr().out
    hidden, cell = (np.array(json.loads(whole)[name][0]) for name in ("hidden", "cell"))
    encode(["1 2 3"])
    piped = capsys.readouterr().out.splitlines()
    assert piped[0] == "hidden 1: " + " ".join(f"{value:.4f}" for value in hidden)
    on_terminal(monkeypatch)
    encode(["1 2 3"])
    source, *lines = capsys.readouterr().out.splitlines()
    assert source == "1 2 3"
    assert len(hidden) == run.config.model.units == 6
    for line, name, state in zip(lines, ("hidden 1", "cell 1"), (hidden, cell), strict=True):
        first = " ".join(f"{value:7.4f}" for value in state[:5])
        norm = f"{np.linalg.norm(state):.4f}"
        assert line == f"{name}: norm {norm}, values {first} ... (6)"
        assert len(line) <= 80
    encode(["1 2 3"], as_json=True)
    assert capsys.readouterr().out == whole


@pytest.mark.parametrize("command", [predict, encode])
def test_single_integers_are_one_sequence(use, capsys, command):
    use(n_in=3, n_out=2, cardinality=9)
    command(["1 2 3"])
    quoted = capsys.readouterr().out
    command(["1", "2", "3"])
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("read as one sequence")) == (quoted, 1)
    command(["1", "2", "3"], quiet=True)
    assert capsys.readouterr().err == ""
    with pytest.raises(ConfigurationError, match='in quotes, such as "1 2"$'):
        command(["1", "2"])


def test_forgotten_quotes(use, capsys):
    use(n_in=3, n_out=2, cardinality=9)
    predict(["1 2 3"])
    quoted = capsys.readouterr().out
    predict(["1,", "2,", "3"])
    unquoted = capsys.readouterr()
    assert unquoted.out == quoted
    assert unquoted.err == 'note: the 3 integers are read as one sequence, "1 2 3"\n'
    predict(["1 2 3", "4"])
    with pytest.raises(ConfigurationError, match='in quotes, such as "1 2 3 4"$'):
        predict(["1", "2", "3", "4"])
    use(name="reverse", n_in="1-4", n_out=4, cardinality=9)
    capsys.readouterr()
    predict(["1", "2", "3"], as_json=True)
    documents = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["source"] for line in documents] == [[1], [2], [3]]
