"""What is evaluated, and the notes on it: runs with random weights, no training."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from random_run import load_random, random_run

from seq2seq_cli.architecture import Architecture
from seq2seq_cli.cli.commands.evaluate import evaluate as command
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.cli.rendering.evaluation import evaluation_as_json, show_evaluation
from seq2seq_cli.cli.rendering.tables import mark_errors
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.data.files import read_pairs
from seq2seq_cli.data.plan import open_stream, prepare
from seq2seq_cli.data.sampling import SourceSpace, Split, hash_ragged, hash_sequences, split_codes
from seq2seq_cli.data.tasks import load_task
from seq2seq_cli.errors import AccuracyError, ConfigurationError, DataError, ModelError
from seq2seq_cli.evaluation import evaluate
from seq2seq_cli.evaluation_data import SAME_SEQUENCES, compare_runs
from seq2seq_cli.inference.loading import load_network
from seq2seq_cli.metrics import Tally, difference
from seq2seq_cli.prediction import encode, predict
from seq2seq_cli.runs.manifest import Results


def random_weights(**task):
    return load_random(RunConfig(task=TaskConfig(**task), model=ModelConfig(units=6)))


def write_pairs(path, pairs):
    path.write_text("".join(json.dumps({"source": s, "target": t}) + "\n" for s, t in pairs))
    return path


@pytest.mark.parametrize("model", [
    {}, {"layers": 2, "bidirectional": True, "attention": "dot", "embedding": 3},
])  # fmt: skip
def test_files_are_checked_by_the_architecture(model):
    config = RunConfig(
        task=TaskConfig(n_in="1-4", cardinality=9), model=ModelConfig(units=6, **model)
    )
    assert len(encode(load_random(config), [[1, 2]])[0].hidden) == config.model.layers
    for expected in Architecture.of(config).all_layers:
        name = expected.name
        wrong = {
            f"it has no {expected.kind} layer {name}": {"kind": "Masking"},
            f"layer {name} has arrays": {"shapes": (*expected.shapes[:-1], (5, 5))},
            f"layer {name} has use_bias": {"settings": {**expected.settings, "use_bias": "x"}},
        }
        if expected.kind in ("Embedding", "Bidirectional"):
            del wrong[f"layer {name} has use_bias"]
        for message, changes in wrong.items():

            def changed(layer, name=name, changes=changes):
                return replace(layer, **changes) if layer.name == name else layer

            with pytest.raises(ModelError, match=message):
                load_network(random_run(config, change=changed))


@pytest.mark.parametrize("n_in", [5, "1-5"])
def test_evaluate_counts_what_predict_predicts(n_in):
    run = random_weights(n_in=n_in, n_out=2, cardinality=40)
    evaluation = evaluate(run, 300, n_examples=300)
    predictions = predict(run, [example.source for example in evaluation.examples])
    assert [p.target for p in predictions] == [e.predicted for e in evaluation.examples]
    right = [p.finished and p.target == e.target
             for p, e in zip(predictions, evaluation.examples, strict=True)]  # fmt: skip
    assert evaluation.exact_match == np.mean(right)
    assert all(value for example in evaluation.examples for value in example.predicted)


def test_targets_that_a_run_cannot_predict_are_refused_by_line(tmp_path):
    csv = tmp_path / "two.csv"
    csv.write_text("22 17 23 5 29 11,23 17 22\n\n22 17 23 5 29 11,23 17\n1 2,2 1\n")
    fixed = random_weights(n_in=6, n_out=3, cardinality=51)
    with pytest.raises(
        DataError, match=r"^[^\n]*two.csv, line 3: a target of 2 integers.* 6 .* predicts 3$"
    ):
        evaluate(fixed, data=csv)
    many = write_pairs(tmp_path / "many.jsonl", [([1, 2, 3], [1, 2, 3, 4])] * 12)
    with pytest.raises(DataError, match="and 9 more such targets") as refused:
        evaluate(fixed, data=many)
    assert str(refused.value).count("\n") == 3
    varying = random_weights(name="copy", n_in="1-5", cardinality=9)
    with pytest.raises(DataError, match="line 1: a target of 4 .* 3 the run predicts at most 3"):
        evaluate(varying, data=many)
    shorter = write_pairs(tmp_path / "shorter.jsonl", [([1, 2, 3], [1, 2])])
    assert evaluate(varying, data=shorter).n_samples == 1


def test_a_position_without_tokens_has_no_accuracy(capsys):
    run = random_weights(name="reverse", n_in="1-5", cardinality=31)
    evaluations = [evaluate(run, 2, seed=seed) for seed in range(10)]
    short = next(each for each in evaluations if max(each.length_accuracy) < 5)
    assert short.position_accuracy[0] is not None
    document = json.loads(json.dumps(evaluation_as_json(short), allow_nan=False))
    assert document["position_accuracy"][-1] is None
    show_evaluation(replace(short, loss=None))
    shown = capsys.readouterr().out
    assert "position 1" in shown
    for words in ("position 6", "loss", "nan", "None"):
        assert words not in shown


def test_an_accuracy_just_below_the_demanded_one_is_shown_apart(monkeypatch):
    run = random_weights(n_in=4, n_out=2, cardinality=11)
    nearly = replace(evaluate(run, 20), exact_match=1 - 1 / 3e6)
    monkeypatch.setattr(output, "end_with_reader", lambda: None)
    monkeypatch.setattr("seq2seq_cli.inference.loading.load_run", lambda *_: run)
    monkeypatch.setattr("seq2seq_cli.evaluation.evaluate", lambda *_: nearly)
    with pytest.raises(AccuracyError, match=r"99.999967% is below --min-accuracy 1\.0"):
        command(min_accuracy=1.0, as_json=True)


def test_all_of_a_small_space_is_exact(capsys):
    run = random_weights(n_in=4, n_out=2, cardinality=11)
    n = len(SourceSpace.of(run.config.task).enumerate(Split.TEST))
    evaluation = evaluate(run)
    assert evaluation.exact
    assert (evaluation.n_samples, evaluation.origin) == (n, f"all {n} held-out sequences")
    assert evaluation.exact_match_low == evaluation.exact_match == evaluation.exact_match_high
    show_evaluation(evaluation)
    shown = capsys.readouterr().out
    assert f"random: all {n} held-out sequences, predicted freely" in shown
    assert "interval" not in shown
    some = evaluate(run, 100)
    assert not some.exact
    assert (some.n_samples, some.origin) == (100, "held-out sequences")
    assert some.exact_match_low < some.exact_match_high
    show_evaluation(some)
    assert "95% interval" in capsys.readouterr().out


def test_a_space_that_is_not_split_has_a_note_on_what_training_saw():
    run = random_weights(name="copy", n_in="1-3", cardinality=10)
    evaluation = evaluate(run)
    assert evaluation.origin == "all 819 sequences"
    assert evaluation.notes == [
        "with 819 possible sources none are held out: training saw these too"
    ]
    assert evaluate(run, 10).origin == "random sequences"
    longer = evaluate(run, 50, n_in="4-5")
    assert not any("training saw" in note for note in longer.notes)
    part = evaluate(run, 50, n_in="3-4")
    assert "training saw those of the lengths that it was trained on" in part.notes[0]


def test_other_lengths_keep_the_runs_split():
    run = random_weights(name="copy", n_in=10, cardinality=51)
    evaluation = evaluate(run, 10_000, n_in=2, n_examples=50)
    assert not any("training saw" in note for note in evaluation.notes)
    sources = np.array([example.source for example in evaluation.examples])
    assert (split_codes(hash_sequences(sources)) == 2).all()
    assert evaluation.exact
    with pytest.raises(ConfigurationError, match="give one length, such as 6"):
        evaluate(run, n_in="5-6")
    with pytest.raises(ConfigurationError, match="range"):
        evaluate(random_weights(name="copy", n_in="1-4", cardinality=13), n_in="6-5")
    with pytest.raises(ConfigurationError, match="none of the 2 sources is held out"):
        evaluate(random_weights(name="copy", n_in=20, cardinality=3), n_in=1)


def run_on_pairs(tmp_path, n=400, n_validation=0, **training):
    """Return a run with random weights on pairs in data.jsonl, and others in held.jsonl."""
    generator = np.random.default_rng(1)
    rows = [
        generator.integers(1, 30, generator.integers(2, 5)).tolist()
        for _ in range(n + n_validation)
    ]
    pairs = [(row, row[::-1]) for row in rows]
    task = {"data": str(write_pairs(tmp_path / "data.jsonl", pairs[:n]))}
    if n_validation:
        task["validation_data"] = str(write_pairs(tmp_path / "held.jsonl", pairs[n:]))
    config = RunConfig(
        task=TaskConfig(**task), model=ModelConfig(units=6), training=TrainingConfig(**training)
    )
    return load_random(prepare(config).config)


def test_the_training_file_is_known_by_its_hash(tmp_path):
    run = run_on_pairs(tmp_path)
    copied = tmp_path / "copied.jsonl"
    copied.write_bytes((tmp_path / "data.jsonl").read_bytes())
    evaluation = evaluate(run, data=copied)
    n = int((split_codes(hash_ragged(read_pairs(copied).pairs.sources), custom=True) == 0).sum())
    assert 0 < n < 400
    assert evaluation.n_trained_on == n
    assert f"{n} of 400 pairs were trained on" in evaluation.notes
    copied.write_text('{"source": [1, 2], "target": [2, 1]}\n')
    other = evaluate(run, data=copied)
    assert (other.n_trained_on, other.notes) == (None, [])
    held_out = evaluate(run)
    assert held_out.origin == f"held-out pairs of {tmp_path / 'data.jsonl'}"
    assert held_out.n_samples == 400 - n
    assert not held_out.exact


def test_the_first_pairs_of_a_file_are_evaluated(tmp_path):
    run = run_on_pairs(tmp_path)
    data = tmp_path / "data.jsonl"
    whole, some = evaluate(run, data=data, n_examples=400), evaluate(run, 7, data, n_examples=400)
    assert (whole.evaluated, whole.n_samples) == (f"400 pairs of {data}", 400)
    assert (some.evaluated, some.examples) == (f"7 pairs of {data}", whole.examples[:7])
    assert f"{some.n_trained_on} of 7 pairs were trained on" in some.notes
    assert evaluate(run, 1, data).evaluated == f"1 pair of {data}"
    assert evaluate(run, 401, data).n_samples == 400
    assert evaluate(run, 1).evaluated == f"1 held-out pair of {data}"
    generated = random_weights(n_in=6)
    assert evaluate(generated, 1).evaluated == "1 held-out sequence"
    for evaluated, options in ((run, {}), (generated, {"data": data})):
        for wrong in ({"seed": 3}, {"n_in": 4}):
            with pytest.raises(ConfigurationError, match="= [34]: only generated tasks have other"):
                evaluate(evaluated, **options, **wrong)


def test_the_validation_file_is_named(tmp_path):
    run = run_on_pairs(tmp_path, n_validation=30)
    assert evaluate(run).origin == f"held-out pairs of {tmp_path / 'held.jsonl'}"
    assert evaluate(run, data=tmp_path / "held.jsonl").origin == "pairs of the validation data"
    evaluation = evaluate(run, data=tmp_path / "data.jsonl")
    assert evaluation.n_trained_on == 400
    assert "400 of 400 pairs were trained on" in evaluation.notes
    (tmp_path / "held.jsonl").unlink()
    with pytest.raises(DataError, match="held.jsonl, is missing"):
        evaluate(run)


def test_data_that_is_read_already_is_not_read_again(tmp_path):
    run = run_on_pairs(tmp_path)
    stream, expected = open_stream(run.config), evaluate(run)
    (tmp_path / "data.jsonl").unlink()
    evaluation = evaluate(run, stream=stream)
    assert (evaluation.origin, evaluation.examples) == (expected.origin, expected.examples)
    with pytest.raises(DataError, match="data.jsonl, is missing: put it back"):
        evaluate(run)


@pytest.mark.parametrize(
    ("options", "is_noted"),
    [
        ({}, False),
        ({"epochs": 2}, True),
        ({"validate_every": 99}, True),
        ({"validate_every": 999}, False),
        ({"n_validation": 20, "epochs": 2}, True),
        ({"n": 40_000, "epochs": 2}, False),
    ],
)
def test_pairs_that_chose_the_weights_have_a_note(tmp_path, options, is_noted):
    notes = evaluate(run_on_pairs(tmp_path, **options), 20).notes
    assert any("also chose the best weights" in note for note in notes) == is_noted


def test_sources_on_the_training_side_are_counted(tmp_path):
    run = random_weights(name="copy", n_in=3, cardinality=51)
    space = SourceSpace.of(run.config.task)
    train, test = (space.draw(split, 0, 0, 8).tolist() for split in (Split.TRAIN, Split.TEST))

    def notes(sources, run=run):
        file = write_pairs(tmp_path / "pairs.jsonl", [(source, source) for source in sources])
        return evaluate(run, data=file).notes

    assert notes(train + test) == [
        "8 of 16 sources are on the training side of the split: training may have seen them"
    ]
    assert not any("training side" in note for note in notes([[1, 2, 3, k] for k in range(1, 9)]))
    small = random_weights(name="copy", n_in=3, cardinality=10)
    assert "none are held out" in notes([[1, 2, 3]], small)[0]


def test_a_custom_task_is_evaluated_when_it_is_passed(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "import numpy as np\n\ndef doubled(sources):\n    return np.repeat(sources, 2, axis=1)\n"
    )
    name = f"{path}:doubled"
    run, task = random_weights(name=name, n_in=3, n_out=6, cardinality=30), load_task(name)
    with pytest.raises(ConfigurationError, match="is custom code, which runs only if you name it"):
        evaluate(run)
    evaluation = evaluate(run, 40, task=task)
    stream = open_stream(run.config, task)
    assert evaluate(run, 40, stream=stream).examples == evaluation.examples
    assert len(evaluation.position_accuracy) == 6
    with pytest.raises(ConfigurationError, match="have 8 integers there, and the run predicts 6"):
        evaluate(run, 40, n_in=4, task=task)
    with pytest.raises(ConfigurationError, match="the run's task is"):
        evaluate(random_weights(n_in=3, n_out=2), task=task)
    sizes = {"name": name, "n_in": 3, "n_out": 6, "cardinality": 30}
    for sha256, is_noted in ((task.sha256, False), ("0" * 64, True)):
        notes = evaluate(random_weights(**sizes, name_sha256=sha256), 40, task=task).notes
        assert any("has changed since the training" in note for note in notes) is is_noted


def test_an_evaluation_ends_with_its_verdict_in_colour(capsys, monkeypatch):
    report = evaluate(random_weights(name="copy", n_in="4-5", cardinality=51), 20, n_examples=0)
    details = "below 99% at every length; main error: (wrong tokens|too (short|long)) "
    details += r"\(\d+ of 20\), most wrong tokens at position \d"
    show_evaluation(report)
    plain = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(f"exact match 0%: no better than chance; {details}", plain)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")  # the message is still one line
    for exact, colour, status in ((0, 31, "no better"), (10, 33, "not learned"), (20, 32, "learn")):
        show_evaluation(replace(report, tally=replace(report.tally, exact=exact)))
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith(f"\x1b[1;{colour}mexact match 0%\x1b[0m: {status}")
    show_evaluation(report, quiet=True)
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("NO_COLOR", "1")
    show_evaluation(report)
    assert capsys.readouterr().err.splitlines()[-1] == plain


@pytest.mark.parametrize(
    ("target", "predicted", "shown"),
    [
        ([1, 2, 3], [1, 2, 3], "1 2 3"),
        ([1, 2, 3], [1, 4], "1 4! _!"),
        ([1, 2], [1, 2, 3, 4], "1 2 3! 4!"),
        ([1, 2], [], "_! _!"),
        ([], [5], "5!"),
    ],
)
def test_wrong_and_missing_tokens_are_marked(target, predicted, shown):
    expected, marked = mark_errors(target, predicted)
    assert (expected, str(marked)) == (" ".join(map(str, target)), shown)
    assert {str(marked)[span.start : span.end].strip() for span in marked.spans} == {
        word for word in shown.split() if "!" in word
    }


def test_of_long_predictions_the_part_near_the_first_wrong_token_is_shown():
    def shown(predicted):
        expected, marked = mark_errors(list(range(1, 101)), predicted)
        return expected, str(marked)

    right = list(range(1, 101))
    first = " ".join(map(str, right[:24]))
    assert shown(right) == (f"{first} ... (100)",) * 2
    early = [*right[:22], 7, *right[23:]]
    assert shown(early) == (f"{first} ... (100)", f"{first} ... (100, 1 wrong)".replace("23", "7!"))
    late = [*right[:50], 7, 8, *right[52:]]
    part = " ".join(map(str, right[38:62]))
    marked = f"from 39: {part} ... (100, 2 wrong)".replace("51 52", "7! 8!")
    assert shown(late) == (f"from 39: {part} ... (100)", marked)
    end = " ".join(map(str, right[86:]))
    assert shown(right[:98]) == (
        f"from 87: {end} (100)", f"from 87: {end} (98, 2 wrong)".replace("99 100", "_! _!")
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seed", "kinds"), [(0, {"too_long"}), (20, {"too_short", "wrong_tokens"})]
)
def test_json_has_the_kinds_of_errors(seed, kinds):
    task = TaskConfig(name="copy", n_in="1-5", cardinality=3)
    report = evaluate(
        load_random(RunConfig(task=task, model=ModelConfig(units=6)), seed), 60, n_examples=60
    )
    excess = [len(e.predicted) - len(e.target) for e in report.examples if e.predicted != e.target]
    errors = {
        "wrong_tokens": excess.count(0),
        "too_long": sum(n > 0 for n in excess),
        "too_short": sum(n < 0 for n in excess),
    }
    assert evaluation_as_json(report)["errors"] == errors
    assert {kind for kind, n in errors.items() if n} == kinds


RESULTS = Results(
    exact_match=0.5, exact_match_low=0.4, exact_match_high=0.6,
    teacher_forced_token_accuracy=0.75, loss=1.25, n_samples=100,
)  # fmt: skip


def run_of(seed=0, **task):
    return RunConfig(task=TaskConfig(**task), training=TrainingConfig(seed=seed))


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ({"n_in": 4, "cardinality": 13}, "task.n_in, task.cardinality"),
        ({"data": "a.csv", "data_sha256": "2"}, "task.data_sha256"),
    ],
)
def test_runs_of_different_tasks_are_not_compared(task, settings):
    differences, (note,) = compare_runs([run_of(), run_of(**task)], [RESULTS] * 2)
    assert differences == [None, None]
    assert note == f"the tasks differ ({settings}): their results are not comparable"


def test_a_moved_file_of_pairs_is_the_same_task():
    configs = [run_of(data=f"{name}.csv", data_sha256="1") for name in "ab"]
    assert compare_runs(configs, [RESULTS] * 2)[1] == [SAME_SEQUENCES]


@pytest.mark.parametrize(("seeds", "notes"), [((0, 1), []), ((0, 1, 1), [SAME_SEQUENCES])])
def test_runs_of_one_seed_are_compared_with_a_note(seeds, notes):
    differences, shown = compare_runs([run_of(seed) for seed in seeds], [RESULTS] * len(seeds))
    assert differences == [None, *[difference(RESULTS, RESULTS)] * (len(seeds) - 1)]
    assert shown == notes


def test_the_chance_level_is_the_share_of_the_most_frequent_target():
    parity = evaluate(random_weights(name="parity", n_in=4, n_out=1, cardinality=31), 400)
    assert parity.tally.chance_level == pytest.approx(0.5, abs=0.06)
    status, level, *_ = parity.tally.verdict
    assert status == "no better than chance"
    assert level.startswith("chance level 5")
    tally = Tally()
    for width in (3, 4):  # however wide the batch is
        targets = np.zeros((6, width), np.int32)
        targets[:, 0] = 256, 256, 256, 1, 2, 3
        tally.add(targets, targets, 0.0, targets)
    assert tally.chance_level == 0.5
    few = evaluate(random_weights(n_in=6, n_out=3, cardinality=51), 20)
    assert few.tally.chance_level == 0
    assert "chance level" not in str(few.tally.verdict)
