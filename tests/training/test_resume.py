"""Nothing is lost: a training stopped at any point resumes to the same bits."""

import itertools
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import keras
import numpy as np
import pytest
from tiny import (
    EPOCH_STEPS,
    assert_identical,
    checkpoint_arrays,
    contents,
    read_history,
    stop_after,
    tiny_config,
    untimed,
)

from seq2seq_cli import train
from seq2seq_cli.config import RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.data.plan import prepare
from seq2seq_cli.data.sampling import Split
from seq2seq_cli.errors import ConfigurationError, Interrupted
from seq2seq_cli.runs import progress
from seq2seq_cli.runs.checkpoint import load_checkpoint
from seq2seq_cli.runs.listing import list_runs, open_run
from seq2seq_cli.runs.manifest import RECORDED
from seq2seq_cli.runs.names import training_path
from seq2seq_cli.training import distribution
from seq2seq_cli.training.cluster import ALONE
from seq2seq_cli.training.distribution import SharedLoop
from seq2seq_cli.training.events import Advanced, Built, EpochEnded, Finished, Resumed
from seq2seq_cli.training.program.optimizer import learning_rates
from seq2seq_cli.training.runner import Runner

pytestmark = pytest.mark.usefixtures("compiled_once")

TINY = ["--n-in", "4", "--n-out", "2", "--cardinality", "13", "--units", "8", "--batch-size", "16",
        "--n-samples", "640", "--seed", "4"]  # fmt: skip


def interrupt(config, runs_dir, name, progress, **options):
    """Train until `progress` interrupts it; return the message."""
    with pytest.raises(Interrupted) as interrupted:
        train(config, runs_dir, name, progress=progress, **options)
    return str(interrupted.value)


@pytest.mark.parametrize(("n_events", "kind"), [(3, Advanced), (2, EpochEnded)])
def test_an_interrupted_training_resumes_bit_for_bit(tmp_path, whole, n_events, kind):
    message = interrupt(tiny_config(), tmp_path, "part", stop_after(n_events, kind))
    assert "checkpoint saved at step" in message
    assert message.endswith(f"resume with: s2s train --resume --run part --runs-dir {tmp_path}")
    assert not (tmp_path / "part").exists()
    assert list_runs(tmp_path)[0].problem == "stopped"
    events = []
    train(RunConfig(), tmp_path, progress=events.append, resume=True)
    resumed = next(event for event in events if isinstance(event, Resumed))
    assert resumed.notes == ()
    assert_identical(tmp_path / "part", whole)
    assert untimed(tmp_path / "part") == untimed(whole)
    for record in read_history(tmp_path / "part" / "history.jsonl"):
        assert sum(call.steps for call in record.calls) == EPOCH_STEPS  # those before it too


def test_a_resume_without_part_of_the_state_ends_elsewhere(whole):
    """The negative control: the comparison shows each part that is left out."""
    config = tiny_config()
    plan = prepare(config)
    loop = SharedLoop(ALONE).begin(plan)
    sources, targets = plan.stream.draw(Split.TRAIN, 0, 3 * EPOCH_STEPS * 16)

    def steps(start, stop):
        for step in range(start, stop, 20):
            rows = slice(step * 16, (step + 20) * 16)
            loop.train(sources[rows], targets[rows], learning_rates(config.training, step, 20))

    steps(0, 60)
    stopped, theirs = loop.state, checkpoint_arrays(whole)

    def ends_equally(state):
        loop.state = state
        steps(60, 120)
        ours = loop.state
        return all(
            array.tobytes() == theirs[f"{name}/{number}"].tobytes()
            for name in ("weights", "first", "second")
            for number, array in enumerate(getattr(ours, name))
        )

    assert ends_equally(stopped)
    for omitted in ("weights", "first", "second"):
        zeros = [np.zeros_like(array) for array in getattr(stopped, omitted)]
        assert not ends_equally(stopped._replace(**{omitted: zeros})), omitted
    assert not ends_equally(stopped._replace(steps_done=59)), "steps_done"


def test_the_bits_do_not_depend_on_the_number_of_steps_per_call(tmp_path, whole, monkeypatch):
    monkeypatch.setattr("seq2seq_cli.training.runner.CALL_SECONDS", 0.0)
    calls = []
    train(tiny_config(), tmp_path, "single", progress=calls.append)
    assert sum(isinstance(event, Advanced) for event in calls) > 100
    assert_identical(tmp_path / "single", whole)


def test_an_interrupt_while_the_models_are_saved_loses_nothing(tmp_path, whole, monkeypatch):
    """The best epoch, here the first, is not the last one: its weights are only saved."""
    monkeypatch.setattr(progress, "is_better", lambda results, best: best is None)
    saved = []

    def save(self, path, original=keras.Model.save):
        saved.append(path)
        if len(saved) == 2:
            raise Interrupted("interrupted")
        original(self, path)

    with monkeypatch.context() as patched:
        patched.setattr(keras.Model, "save", save)
        message = interrupt(tiny_config(), tmp_path, "part", None)
    assert "--resume --run part" in message
    assert not list(tmp_path.rglob(".*"))
    assert_identical(tmp_path / "part", whole, but=["best"])
    events = []
    run = train(RunConfig(), tmp_path, progress=events.append, resume=True)
    assert not any(isinstance(event, Advanced) for event in events)
    assert replace(events[-1], shortfall="") == Finished(
        epoch=3, epochs=3, n_samples=None, best_epoch=1, best_n_samples=None, reason=""
    )
    assert_identical(run.path, whole, but=["best"])
    arrays = checkpoint_arrays(run.path)
    assert not np.array_equal(arrays["best/0"], arrays["weights/0"])
    for number, array in enumerate(keras.models.load_model(run.path / "train.keras").get_weights()):
        np.testing.assert_array_equal(array, arrays[f"best/{number}"])


def test_a_training_forced_over_a_run_leaves_it_until_it_is_complete(tmp_path, whole):
    folder = shutil.copytree(whole, tmp_path / "run")
    before, other = contents(folder), tiny_config(seed=5, epochs=2)
    for kind in (Built, EpochEnded):
        message = interrupt(other, tmp_path, "run", stop_after(1, kind), force=True)
        assert "resume with: s2s train --resume --run run" in message
        assert contents(folder) == before
        assert list_runs(tmp_path)[0].under_way == "stopped"
    run = train(RunConfig(), tmp_path, resume=True)
    assert open_run(tmp_path, "run") == run
    for file in RECORDED:
        run.read(file)
    assert run.config.training.seed == 5
    assert [line["epoch"] for line in untimed(folder)] == [1, 2]


def test_a_forced_training_that_cannot_begin_changes_nothing(tmp_path, whole, monkeypatch):
    folder = shutil.copytree(whole, tmp_path / "run")
    before = contents(folder)

    def fail(*arguments):
        raise MemoryError

    monkeypatch.setattr(distribution, "build_models", fail)
    with pytest.raises(MemoryError):
        train(tiny_config(seed=5), tmp_path, "run", force=True)
    assert contents(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_complete_run_is_trained_further_only_on_demand(tmp_path, whole):
    folder = shutil.copytree(whole, tmp_path / "run")
    before = contents(folder)
    with pytest.raises(ConfigurationError, match="is complete after 3"):
        train(RunConfig(), tmp_path, "run", resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    more = RunConfig(training=TrainingConfig(epochs=4))
    interrupt(more, tmp_path, "run", stop_after(1, Built), resume=True)
    interrupt(RunConfig(), tmp_path, None, stop_after(1), resume=True)
    assert contents(folder) == before
    run = train(RunConfig(), tmp_path, resume=True)
    assert run.config.training.epochs == 4
    assert checkpoint_arrays(run.path)["steps"] == 160
    assert [line["epoch"] for line in untimed(folder)] == [1, 2, 3, 4]


def test_a_second_ctrl_c_leaves_at_once(tmp_path, monkeypatch):
    """The first one waits for the current call; the second ends the wait, and saves nothing."""

    def interrupt_again(self, seconds):
        raise Interrupted("interrupted")

    monkeypatch.setattr(Runner, "wait", interrupt_again)
    message = interrupt(tiny_config(), tmp_path, "run", stop_after(1))
    assert message == "interrupted"
    assert load_checkpoint(tmp_path / "run")[0].state.steps_done == 0


@pytest.mark.parametrize(("number", "code"), [
    (signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
])  # fmt: skip
def test_a_signal_saves_a_checkpoint_and_shows_how_to_resume(tmp_path, number, code):
    process = subprocess.Popen(
        [sys.executable, "-m", "seq2seq_cli", "train", *TINY, "--run", "long", "--epochs",
         "100000", "--checkpoint-seconds", "3600"],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert any("epoch 1/100000" in line for line in process.stderr)  # the first one has ended
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in errors
    last = errors.splitlines()[-1]
    assert last.endswith("resume with: s2s train --resume --run long")
    assert not (tmp_path / "runs" / "long").exists()
    steps_done = load_checkpoint(tmp_path / "runs" / "long")[0].state.steps_done
    assert steps_done >= EPOCH_STEPS
    assert f"checkpoint saved at step {steps_done:,};" in last


def test_a_killed_training_resumes_bit_for_bit(tmp_path):
    """Here it is killed once; tests/kill_and_resume.py kills it again and again."""
    config = tiny_config(epochs=15)
    whole = train(config, tmp_path, "whole")
    folder = tmp_path / "runs" / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "seq2seq_cli", "train", *TINY, "--epochs", "15",
         "--checkpoint-seconds", "0.01", "-q", "--run", "killed"], cwd=tmp_path,
    )  # fmt: skip
    fourth = training_path(folder) / "checkpoint" / f"{4:012d}.json"
    while not fourth.exists() and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    assert process.wait() != 0
    assert not folder.exists()
    train(RunConfig(), tmp_path / "runs", resume=True)
    assert_identical(folder, whole.path)


def test_no_step_or_second_is_missing_after_an_interrupted_call(tmp_path, monkeypatch):
    calls = itertools.count(1)

    def interrupted(self, chunk, original=Runner.train):
        result = original(self, chunk)
        if next(calls) == 2:
            raise Interrupted("interrupted")
        return result

    with monkeypatch.context() as patched:
        patched.setattr(Runner, "train", interrupted)
        interrupt(tiny_config(), tmp_path, "run", None)
    seconds = load_checkpoint(tmp_path / "run")[0].status.epoch_seconds
    run = train(RunConfig(), tmp_path, resume=True)
    history = read_history(run.path / "history.jsonl")
    assert [sum(call.steps for call in line.calls) for line in history] == [EPOCH_STEPS] * 3
    assert history[0].seconds > seconds > 0
    assert history[0].samples_per_s == pytest.approx(640 / history[0].seconds, rel=0.05)


def test_an_edited_custom_task_is_refused_and_a_moved_one_is_not(tmp_path):
    def task(name):
        return TaskConfig(name=f"{tmp_path / name}:f", n_in=4, cardinality=13)

    code = "def f(sources):\n    return sources[:, 1::-1]\n"
    (tmp_path / "custom.py").write_text(code)
    config = tiny_config().model_copy(update={"task": task("custom.py")})
    interrupt(config, tmp_path / "runs", "run", stop_after(1, EpochEnded))
    (tmp_path / "custom.py").write_text(f"{code}# edited\n")
    with pytest.raises(ConfigurationError, match=r"task.name = .*: the file is not the one that"):
        train(RunConfig(task=task("custom.py")), tmp_path / "runs", resume=True)
    (tmp_path / "moved.py").write_text(code)
    assert train(RunConfig(task=task("moved.py")), tmp_path / "runs", resume=True)
