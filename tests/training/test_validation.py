"""Validation within an epoch: its results, what they decide, and that it changes no step."""

import itertools
import threading
from dataclasses import replace

import keras
import numpy as np
import pytest
from tiny import assert_identical, checkpoint_arrays, read_history, stop_after, tiny_config, untimed

from seq2seq_cli import train
from seq2seq_cli.config import RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.data.plan import prepare
from seq2seq_cli.data.sampling import Split
from seq2seq_cli.data.streams import GeneratedStream
from seq2seq_cli.errors import ConfigurationError, Interrupted
from seq2seq_cli.metrics import Tally
from seq2seq_cli.runs.checkpoint import TrainingStatus, load_checkpoint
from seq2seq_cli.runs.listing import open_run
from seq2seq_cli.runs.manifest import Results
from seq2seq_cli.runs.progress import Progress, scheduled_validations
from seq2seq_cli.training.events import Advanced, EpochEnded, Finished, Validated
from seq2seq_cli.training.models import build_models
from seq2seq_cli.training.program.loop import Loop
from seq2seq_cli.training.runner import Runner

pytestmark = pytest.mark.usefixtures("compiled_once")

EVERY = 250
"""Sequences: in an epoch of 40 steps of 16 they are 16 and 32 steps, and the end."""
VALIDATIONS = [(epoch, n) for epoch in (1, 2, 3) for n in (256, 512, 640)]


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """Return the folder of an uninterrupted training that is validated within its epochs."""
    folder = tmp_path_factory.mktemp("watched")
    with pytest.MonkeyPatch.context() as monkeypatch:
        from conftest import share_programs

        share_programs(monkeypatch)
        return train(tiny_config(validate_every=EVERY), folder, "watched").path


@pytest.fixture
def results(monkeypatch):
    """Return a function that sets the exact matches of the next validations."""

    def script(*shares):
        following = itertools.chain(shares, itertools.repeat(0.0))
        monkeypatch.setattr(
            Runner, "validate", lambda self: Results(
                exact_match=next(following), exact_match_low=0.0, exact_match_high=1.0,
                teacher_forced_token_accuracy=0.5, loss=1.0, n_samples=100,
            ),
        )  # fmt: skip

    return script


@pytest.fixture
def drawn(monkeypatch):
    """Return the numbers of held-out rows that trainings draw, and whether on the main thread."""
    numbers, draw = [], GeneratedStream.draw

    def counted(self, split, start, n):
        if split is Split.VALIDATION:
            numbers.append((n, threading.current_thread() is threading.main_thread()))
        return draw(self, split, start, n)

    monkeypatch.setattr(GeneratedStream, "draw", counted)
    return numbers


def varying(**training):
    """Return settings of a training in which sources have one of several widths."""
    tiny = tiny_config(epochs=2, **training)
    task = TaskConfig(name="reverse", n_in="1-7", cardinality=13)
    return tiny.model_copy(update={"task": task})


@pytest.fixture
def several_widths(monkeypatch):
    monkeypatch.setattr("seq2seq_cli.data.batches.PROGRAM_COLUMNS", 1)
    monkeypatch.setattr("seq2seq_cli.data.batches.MOST_WIDTHS", 2)
    monkeypatch.setattr("seq2seq_cli.training.runner.validation_batch", lambda config: 900)


def test_batches_of_several_widths_are_prepared_once_and_resume_bit_for_bit(
    tmp_path, drawn, several_widths, monkeypatch
):
    traced, scores = [], Loop._validation_scores

    def counted(self, sources, *rest):
        traced.append(sources.shape[1])
        return scores(self, sources, *rest)

    monkeypatch.setattr(Loop, "_validation_scores", counted)
    events = []
    whole = train(varying(), tmp_path, "whole", progress=events.append).path
    assert drawn == [(10_000, False)]
    calls = sum(isinstance(event, Advanced) for event in events)
    assert calls > 20  # a call has batches of one width
    with pytest.raises(Interrupted):
        train(varying(), tmp_path, "part", progress=stop_after(calls // 3))
    train(RunConfig(), tmp_path, "part", resume=True)
    assert_same_end(tmp_path / "part", whole)
    assert len(set(traced)) == len(traced) > 1


def test_more_rows_than_are_kept_are_drawn_again_some_at_a_time(
    tmp_path, watched, drawn, monkeypatch
):
    monkeypatch.setattr("seq2seq_cli.training.runner.validation_batch", lambda config: 100)
    monkeypatch.setattr("seq2seq_cli.data.batches.KEPT_BYTES", 4 * 250 * 6)
    run = train(tiny_config(validate_every=EVERY), tmp_path, "run")
    assert_identical(run.path, watched)
    n = run.manifest.results.n_samples
    numbers = [number for number, _ in drawn]
    assert max(numbers) <= 250 < n
    assert n * len(VALIDATIONS) <= sum(numbers) <= n * len(VALIDATIONS) + 250


def test_widths_and_filled_batches_change_no_result(several_widths):
    config = varying()
    plan = prepare(config)
    loop = Loop(build_models(config)[0], plan.config)
    assert len(plan.widths) > 1
    runner = Runner(loop, plan)
    results = runner.validate()
    runner.close()
    pairs = plan.stream.draw(Split.VALIDATION, 0, 10_000)
    tokens, log_likelihood = loop.validate(*pairs)
    tally = Tally()
    tally.add(tokens, pairs[1], log_likelihood)
    assert results.n_samples == 10_000
    assert results.exact_match == tally.exact_match
    assert results.teacher_forced_token_accuracy == tally.token_accuracy
    assert results.loss == pytest.approx(tally.loss, rel=1e-6)


def status_of(folder):
    return load_checkpoint(folder)[0].status.model_copy(update={"seconds": 0.0})


def assert_same_end(ours, theirs):
    assert_identical(ours, theirs)
    assert untimed(ours) == untimed(theirs)
    assert status_of(ours) == status_of(theirs)
    runs = [open_run(folder.parent, folder.name) for folder in (ours, theirs)]
    assert runs[0].manifest.results == runs[1].manifest.results


def test_validations_are_after_whole_batches_and_scheduled_per_epoch():
    training = TrainingConfig(n_samples=640, batch_size=16, validate_every=EVERY)
    assert scheduled_validations(training, 1) == [16, 32, 40]
    assert scheduled_validations(training, 3) == [96, 112, 120]
    for every, expected in ((0, [40]), (1, [*range(1, 41)]), (320, [20, 40]), (10**9, [40])):
        other = training.model_copy(update={"validate_every": every})
        assert scheduled_validations(other, 1) == expected
    progress = Progress(TrainingStatus(), [], ())
    assert progress.validations_left(training, 1, 16) == [16, 32, 40]
    assert progress.validations_left(training, 1, 17) == [32, 40]


def test_each_validation_has_a_line_and_no_step_is_changed(watched, whole):
    history = read_history(watched / "history.jsonl")
    assert [(line.epoch, line.n_samples) for line in history] == VALIDATIONS
    assert [line.steps_done for line in history] == [16, 32, 40, 56, 72, 80, 96, 112, 120]
    assert [line.is_whole for line in history] == [False, False, True] * 3
    assert len({line.loss for line in history}) == len(history)
    assert_identical(watched, whole, but=["best"])
    wholes = [line for line in untimed(watched) if line["is_whole"]]
    assert wholes == untimed(whole)


@pytest.mark.parametrize(
    ("n_events", "kind"), [(1, Advanced), (1, Validated), (4, Validated), (2, EpochEnded)]
)
def test_a_training_stopped_after_an_event_resumes_bit_for_bit(tmp_path, watched, n_events, kind):
    with pytest.raises(Interrupted):
        train(tiny_config(validate_every=EVERY), tmp_path, "part",
              progress=stop_after(n_events, kind))  # fmt: skip
    run = train(RunConfig(), tmp_path, resume=True)
    assert_same_end(run.path, watched)


@pytest.mark.parametrize("number", [2, 3])
def test_a_training_stopped_in_a_validation_repeats_it(tmp_path, watched, monkeypatch, number):
    calls = itertools.count(1)

    def stopped(self, original=Runner.validate):
        if next(calls) == number:
            raise Interrupted("interrupted")
        return original(self)

    with monkeypatch.context() as patched:
        patched.setattr(Runner, "validate", stopped)
        with pytest.raises(Interrupted):
            train(tiny_config(validate_every=EVERY), tmp_path, "part")
    assert len(untimed(tmp_path / "part.training")) == number - 1
    run = train(RunConfig(), tmp_path, resume=True)
    assert_same_end(run.path, watched)


def test_the_saved_weights_are_those_of_the_best_validation(tmp_path, results):
    results(0.1, 0.2, 0.3, 0.2, 0.8, 0.7, 0.8)  # the fifth, in the second epoch
    events = []
    config = tiny_config(validate_every=EVERY)
    run = train(config, tmp_path, "best", progress=events.append)
    assert replace(events[-1], shortfall="") == Finished(
        epoch=3, epochs=3, n_samples=None, best_epoch=2, best_n_samples=512, reason=""
    )
    assert run.manifest.results.exact_match == 0.8
    best = checkpoint_arrays(run.path)
    results(0.1, 0.2, 0.3, 0.2, 0.8)
    config = tiny_config(validate_every=EVERY, stop_at=0.8)
    there = checkpoint_arrays(train(config, tmp_path, "there").path)
    assert there["steps"] == 72
    for number, array in enumerate(keras.models.load_model(run.path / "train.keras").get_weights()):
        np.testing.assert_array_equal(array, there[f"weights/{number}"])
        np.testing.assert_array_equal(array, best[f"best/{number}"])
    assert not np.array_equal(best["best/0"], best["weights/0"])


def test_stop_at_ends_a_training_within_an_epoch_and_it_can_be_resumed(tmp_path, watched):
    *earlier, enough = (line["exact_match"] for line in untimed(watched)[:5])
    assert enough > max(earlier)

    class Count(keras.callbacks.Callback):
        ends = 0

        def on_epoch_end(self, epoch, logs=None):
            self.ends += 1

    count, events = Count(), []
    config = tiny_config(validate_every=EVERY, stop_at=enough)
    run = train(config, tmp_path, "run", progress=events.append, callbacks=[count])
    assert count.ends == 2
    assert "has reached stop_at" in events[-1].reason
    assert (events[-1].epoch, events[-1].n_samples) == (2, 512)
    assert untimed(run.path) == untimed(watched)[:5]
    with pytest.raises(ConfigurationError, match="training.stop_at = .*has reached stop_at; set"):
        train(RunConfig(), tmp_path, "run", resume=True)
    further = RunConfig(training=TrainingConfig(stop_at=0.0))
    run = train(further, tmp_path, "run", resume=True)
    assert_same_end(run.path, watched)


def test_patience_counts_epochs(tmp_path, results):
    results(0.1, 0.2, 0.3, 0.1, 0.1, 0.1, 0.1, 0.4, 0.1)
    events = []
    config = tiny_config(epochs=9, validate_every=EVERY, patience=2)
    train(config, tmp_path, progress=events.append)
    assert events[-1].reason == "no improvement in 2 epochs"
    assert (events[-1].epoch, events[-1].best_epoch, events[-1].best_n_samples) == (5, 3, 512)


def test_callbacks_see_only_epochs_and_a_cut_epoch_is_validated_again(
    tmp_path, watched, monkeypatch
):
    class StopAt(keras.callbacks.Callback):
        """Stop after the first call that goes beyond 16 steps of the second epoch."""

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = self.epoch == 1 and batch > 16

        def on_epoch_end(self, epoch, logs=None):
            ended.append(epoch)

    ended, events = [], []
    with monkeypatch.context() as patched:
        patched.setattr("seq2seq_cli.training.runner.CALL_SECONDS", 0.0)
        config = tiny_config(validate_every=EVERY)
        run = train(config, tmp_path, "run", progress=events.append, callbacks=[StopAt()])
    assert ended == [0, 1]
    assert events[-1].reason == "a callback stopped it"
    assert [line["steps_done"] for line in untimed(run.path)] == [16, 32, 40, 56, 58]
    calls = [event.loss for event in events if isinstance(event, Advanced)][-18:]
    assert untimed(run.path)[-1]["training_loss"] == pytest.approx(np.mean(calls))
    run = train(RunConfig(), tmp_path, "run", resume=True)
    assert_identical(run.path, watched, but=["best"])
    assert untimed(run.path) == untimed(watched)
    history = read_history(run.path / "history.jsonl")
    assert sum(call.steps for record in history for call in record.calls) == 120


def test_a_resumed_training_may_be_validated_at_other_steps(tmp_path, whole):
    with pytest.raises(Interrupted):
        train(tiny_config(), tmp_path, "run", progress=stop_after(1, EpochEnded))
    more = RunConfig(training=TrainingConfig(validate_every=EVERY))
    run = train(more, tmp_path, resume=True)
    assert_identical(run.path, whole, but=["best"])
    history = read_history(run.path / "history.jsonl")
    assert [line.steps_done for line in history] == [40, 56, 72, 80, 96, 112, 120]
