"""What is evaluated, and what is said of it: runs with random weights, no training."""

import json
from dataclasses import replace

import numpy as np
import pytest
from random_run import load_random, random_run

from seq2seq_cli.architecture import Architecture
from seq2seq_cli.cli.rendering.evaluation import evaluation_as_json, show_evaluation
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.data.files import read_pairs
from seq2seq_cli.data.plan import open_stream, prepare
from seq2seq_cli.data.sampling import SourceSpace, Split, hash_ragged, hash_sequences, split_codes
from seq2seq_cli.data.tasks import load_task
from seq2seq_cli.errors import ConfigurationError, DataError, ModelError
from seq2seq_cli.evaluation import evaluate
from seq2seq_cli.inference.loading import load_network
from seq2seq_cli.prediction import encode, predict


def settings(model=None, training=None, **task):
    return RunConfig(
        task=TaskConfig(**task), model=ModelConfig(units=6, **model or {}),
        training=TrainingConfig(**training or {}),
    )  # fmt: skip


def loaded(**given):
    return load_random(settings(**given))


def write_pairs(path, pairs):
    path.write_text("".join(json.dumps({"source": s, "target": t}) + "\n" for s, t in pairs))
    return path


@pytest.mark.parametrize("model", [
    {}, {"layers": 2, "bidirectional": True, "attention": "dot", "embedding": 3},
])  # fmt: skip
def test_files_are_checked_by_the_architecture(model):
    config = settings(model, n_in="1-4", cardinality=9)
    assert len(encode(load_random(config), [[1, 2]])[0].hidden) == config.model.layers
    for name in [layer.name for layer in Architecture.of(config).all_layers]:
        for change, words in (
            (lambda layer: replace(layer, kind="Masking"), f"layer {name}: it was not"),
            (
                lambda layer: replace(layer, shapes=(*layer.shapes[:-1], (5, 5))),
                f"layer {name} has arrays",
            ),
            (
                lambda layer: replace(layer, settings={**layer.settings, "use_bias": "x"}),
                f"layer {name} has use_bias",
            ),
        ):

            def changed(layer, name=name, change=change):
                return change(layer) if layer.name == name else layer

            kind = next(x.kind for x in Architecture.of(config).all_layers if x.name == name)
            if "use_bias" in words and kind in ("Embedding", "Bidirectional"):
                continue
            with pytest.raises(ModelError, match=words):
                load_network(random_run(config, change=changed))


@pytest.mark.parametrize("n_in", [5, "1-5"])
def test_evaluate_counts_what_predict_predicts(n_in):
    run = loaded(n_in=n_in, n_out=2, cardinality=40)
    report = evaluate(run, 300, n_examples=300)
    predictions = predict(run, [example.source for example in report.examples])
    assert [p.target for p in predictions] == [e.predicted for e in report.examples]
    right = [p.finished and p.target == e.target
             for p, e in zip(predictions, report.examples, strict=True)]  # fmt: skip
    assert report.exact_match == np.mean(right)
    assert all(value for example in report.examples for value in example.predicted)


def test_a_file_is_counted_by_the_same_prediction(tmp_path):
    run = loaded(n_in="1-4", name="copy", cardinality=9)
    sources = [[1], [2, 3, 4, 5], [7, 7], [8, 1, 2]]
    pairs = [(p.source, p.target or [1]) for p in predict(run, sources)]
    finished = [p.finished and bool(p.target) for p in predict(run, sources)]
    pairs = [
        (source, target if ends else [1])
        for (source, target), ends in zip(pairs, finished, strict=True)
    ]
    report = evaluate(run, data=write_pairs(tmp_path / "pairs.jsonl", pairs))
    assert report.exact_match == np.mean(finished)
    assert [e.predicted for e in report.examples] == [p.target for p in predict(run, sources)]


def test_targets_that_a_run_cannot_predict_are_refused_by_line(tmp_path):
    fixed = loaded(n_in=6, n_out=3, cardinality=51)
    csv = tmp_path / "two.csv"
    csv.write_text("22 17 23 5 29 11,23 17 22\n\n22 17 23 5 29 11,23 17\n1 2,2 1\n")
    with pytest.raises(
        DataError, match="two.csv, line 3: a target of 2 integers.* 6 .* predicts 3"
    ) as found:
        evaluate(fixed, data=csv)
    assert "\n" not in str(found.value)
    many = write_pairs(tmp_path / "many.jsonl", [([1, 2, 3], [1, 2, 3, 4])] * 12)
    with pytest.raises(DataError, match="and 2 more such targets") as found:
        evaluate(fixed, data=many)
    assert str(found.value).count("\n") == 10
    varying = loaded(name="copy", n_in="1-5", cardinality=9)
    with pytest.raises(
        DataError, match="line 1: a target of 4 .* 3 the run predicts 3 at the most"
    ):
        evaluate(varying, data=many)
    shorter = write_pairs(tmp_path / "shorter.jsonl", [([1, 2, 3], [1, 2])])
    assert evaluate(varying, data=shorter).n_samples == 1


def test_no_token_no_accuracy():
    run = loaded(name="reverse", n_in="1-5", cardinality=31)
    reports = [evaluate(run, 2, seed=seed) for seed in range(10)]
    short = [report for report in reports if max(report.length_accuracy) < 5]
    assert short
    for report in short:
        assert report.position_accuracy[-1] is None
        assert report.position_accuracy[0] is not None
        document = json.loads(json.dumps(evaluation_as_json(report), allow_nan=False))
        assert document["position_accuracy"][-1] is None


def test_what_there_is_no_accuracy_of_is_left_out_of_the_table(capsys):
    run = loaded(name="reverse", n_in="1-5", cardinality=11)
    report = evaluate(run, 20)
    show_evaluation(replace(report, position_accuracy=[0.5, None], loss=None, token_accuracy=None))
    shown = capsys.readouterr().out
    assert "position 1" in shown
    for words in ("position 2", "loss", "token accuracy", "nan", "None"):
        assert words not in shown


def test_the_table_says_that_a_number_is_exact(capsys):
    run = loaded(n_in=4, n_out=2, cardinality=11)
    report = evaluate(run)
    show_evaluation(report)
    shown = capsys.readouterr().out
    assert f"random: all {report.n_samples} held-out sequences, predicted freely" in shown
    assert "all of them" in shown
    assert "interval" not in shown
    show_evaluation(evaluate(run, 20))
    assert "95% interval" in capsys.readouterr().out


def test_all_of_a_small_space_is_exact():
    run = loaded(n_in=4, n_out=2, cardinality=11)
    n = len(SourceSpace.of(run.config.task).enumerate(Split.TEST))
    report = evaluate(run)
    assert report.exact
    assert (report.n_samples, report.origin) == (n, f"all {n} held-out sequences")
    assert report.exact_match_low == report.exact_match == report.exact_match_high
    some = evaluate(run, 100)
    assert not some.exact
    assert (some.n_samples, some.origin) == (100, "held-out sequences")
    assert some.exact_match_low < some.exact_match_high


def test_an_unsplit_space_says_what_training_saw():
    run = loaded(name="copy", n_in="1-3", cardinality=10)
    report = evaluate(run)
    assert report.origin == "all 819 sequences"
    assert report.notes == ["with 819 possible sources none are held out: training saw these too"]
    assert evaluate(run, 10).origin == "random sequences"
    other = evaluate(run, 50, n_in="4-5")
    assert not any("training saw" in note for note in other.notes)
    part = evaluate(run, 50, n_in="3-4")
    assert "training saw those of the lengths that it was trained on" in part.notes[0]


def test_other_lengths_keep_the_runs_split():
    run = loaded(name="copy", n_in=10, cardinality=51)
    report = evaluate(run, 10_000, n_in=2)
    assert not any("training saw" in note for note in report.notes)
    sources = np.array(
        [example.source for example in evaluate(run, 50, n_in=2, n_examples=50).examples]
    )
    assert (split_codes(hash_sequences(sources)) == 2).all()
    assert report.exact
    with pytest.raises(ConfigurationError, match="give one length, such as 6"):
        evaluate(run, n_in="5-6")
    with pytest.raises(ConfigurationError, match="range"):
        evaluate(loaded(name="copy", n_in="1-4", cardinality=13), n_in="6-5")


def test_lengths_without_held_out_sources_are_refused():
    run = loaded(name="copy", n_in=10, cardinality=3)
    with pytest.raises(ConfigurationError, match="none of the 2 sources is held out"):
        evaluate(loaded(name="copy", n_in=20, cardinality=3), n_in=1)
    assert evaluate(run, 5).n_samples == 5


def own(tmp_path, n=400, validation=0, **training):
    generator = np.random.default_rng(1)
    rows = [
        generator.integers(1, 30, generator.integers(2, 5)).tolist() for _ in range(n + validation)
    ]
    data = write_pairs(tmp_path / "data.jsonl", [(row, row[::-1]) for row in rows[:n]])
    task = {"data": str(data)}
    if validation:
        held = write_pairs(tmp_path / "held.jsonl", [(row, row[::-1]) for row in rows[n:]])
        task["validation_data"] = str(held)
    config = RunConfig(
        task=TaskConfig(**task), model=ModelConfig(units=6), training=TrainingConfig(**training)
    )
    return load_random(prepare(config).config)


def test_the_training_file_is_known_by_its_hash(tmp_path):
    run = own(tmp_path)
    copied = tmp_path / "copied.jsonl"
    copied.write_bytes((tmp_path / "data.jsonl").read_bytes())
    report = evaluate(run, data=copied)
    n = int((split_codes(hash_ragged(read_pairs(copied).pairs.sources), custom=True) == 0).sum())
    assert 0 < n < 400
    assert report.n_trained_on == n
    assert f"{n} of 400 pairs were trained on" in report.notes
    copied.write_text('{"source": [1, 2], "target": [2, 1]}\n')
    other = evaluate(run, data=copied)
    assert (other.n_trained_on, other.notes) == (None, [])
    held = evaluate(run)
    assert held.origin == f"held-out pairs of {tmp_path / 'data.jsonl'}"
    assert held.n_samples == 400 - n
    assert not held.exact


def test_the_validation_file_is_named(tmp_path):
    run = own(tmp_path, validation=30)
    assert evaluate(run).origin == f"held-out pairs of {tmp_path / 'held.jsonl'}"
    assert evaluate(run, data=tmp_path / "held.jsonl").origin == "the validation data"
    report = evaluate(run, data=tmp_path / "data.jsonl")
    assert report.n_trained_on == 400
    assert "400 of 400 pairs were trained on" in report.notes
    (tmp_path / "held.jsonl").unlink()
    with pytest.raises(DataError, match="held.jsonl, is not here"):
        evaluate(run)


def test_data_that_is_read_already_is_not_read_again(tmp_path):
    run = own(tmp_path)
    stream, wanted = open_stream(run.config), evaluate(run)
    (tmp_path / "data.jsonl").unlink()
    found = evaluate(run, stream=stream)
    assert (found.origin, found.examples) == (wanted.origin, wanted.examples)
    with pytest.raises(DataError, match="data.jsonl, is not here: give other data"):
        evaluate(run)


def test_pairs_that_chose_the_epoch_are_told_of(tmp_path):
    (tmp_path / "many").mkdir()
    words = "also chose the best weights"
    assert not any(words in note for note in evaluate(own(tmp_path)).notes)
    assert any(words in note for note in evaluate(own(tmp_path, epochs=2)).notes)
    assert any(words in note for note in evaluate(own(tmp_path, validate_every=99)).notes)
    assert not any(words in note for note in evaluate(own(tmp_path, validate_every=999)).notes)
    assert any(words in n for n in evaluate(own(tmp_path, validation=20, epochs=2)).notes)
    enough = own(tmp_path / "many", n=40_000, epochs=2)
    assert not any(words in note for note in evaluate(enough, 20).notes)


def test_sources_on_the_training_side_are_counted(tmp_path):
    run = loaded(name="copy", n_in=3, cardinality=51)
    space = SourceSpace.of(run.config.task)
    train, test = (space.draw(split, 0, 0, 8).tolist() for split in (Split.TRAIN, Split.TEST))
    file = write_pairs(tmp_path / "mixed.jsonl", [(row, row) for row in train + test])
    notes = evaluate(run, data=file).notes
    assert notes == [
        "8 of 16 sources are on the training side of the split: training may have seen them"
    ]
    longer = write_pairs(
        tmp_path / "longer.jsonl", [([1, 2, 3, k], [1, 2, 3, k]) for k in range(1, 9)]
    )
    assert not any("training side" in note for note in evaluate(run, data=longer).notes)
    small = loaded(name="copy", n_in=3, cardinality=10)
    written = write_pairs(tmp_path / "small.jsonl", [([1, 2, 3], [1, 2, 3])])
    assert "none are held out" in evaluate(small, data=written).notes[0]


def test_a_custom_task_is_evaluated_when_it_is_passed(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "import numpy as np\n\ndef doubled(sources):\n    return np.repeat(sources, 2, axis=1)\n"
    )
    name = f"{path}:doubled"
    run = loaded(name=name, n_in=3, n_out=6, cardinality=30)
    with pytest.raises(ConfigurationError, match="add --task"):
        evaluate(run)
    report = evaluate(run, 40, task=load_task(name))
    stream = open_stream(run.config, load_task(name))
    assert evaluate(run, 40, stream=stream).examples == report.examples
    assert len(report.position_accuracy) == 6
    with pytest.raises(ConfigurationError, match="have 8 integers there, and the run predicts 6"):
        evaluate(run, 40, n_in=4, task=load_task(name))
    with pytest.raises(ConfigurationError, match="the run's task is"):
        evaluate(loaded(n_in=3, n_out=2), task=load_task(name))
