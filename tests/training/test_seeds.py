"""Several seeds: each run equals that of a single training, and one program trains them all."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import share_programs
from tiny import assert_identical, contents, stop_after, tiny_config, untimed

from seq2seq_cli import train, train_seeds
from seq2seq_cli.cli.process import run_command
from seq2seq_cli.cli.rendering.evaluation import seeds_as_json, show_seeds
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.data.plan import prepare
from seq2seq_cli.data.sampling import Split
from seq2seq_cli.errors import ConfigurationError, ExistsError, Interrupted, ModelError
from seq2seq_cli.evaluation import Evaluation
from seq2seq_cli.runs.checkpoint import load_checkpoint
from seq2seq_cli.runs.listing import SeedRun, list_runs, open_run
from seq2seq_cli.runs.names import training_path
from seq2seq_cli.runs.resumption import State
from seq2seq_cli.training.events import (
    Advanced,
    Built,
    Compiling,
    EpochEnded,
    Planned,
    Resumed,
    SeedBegun,
    SeedFailed,
)
from seq2seq_cli.training.program.loop import Loop, dropout_seed
from seq2seq_cli.training.start import resumed_seeds

TINY = ["--n-in", "4", "--n-out", "2", "--cardinality", "13", "--units", "8", "--batch-size", "16",
        "--n-samples", "640", "--epochs", "1"]  # fmt: skip

DROPOUT = ModelConfig(units=8, dropout=0.2, token_dropout=0.2, recurrent_dropout=0.2)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """Return the folder with the runs of three seeds of `tiny_config(epochs=2)`, from 4 on."""
    folder = tmp_path_factory.mktemp("three")
    with pytest.MonkeyPatch.context() as monkeypatch:
        share_programs(monkeypatch)
        train_seeds(tiny_config(epochs=2), 3, folder, "t")
    return folder


def assert_same_runs(ours: Path, theirs: Path) -> None:
    assert_identical(ours, theirs)
    assert untimed(ours) == untimed(theirs)
    assert (ours / "config.toml").read_bytes() == (theirs / "config.toml").read_bytes()
    runs = [open_run(folder.parent, folder.name) for folder in (ours, theirs)]
    assert runs[0].manifest.results == runs[1].manifest.results


def test_each_seed_equals_a_single_training_and_the_program_is_compiled_once(
    tmp_path, monkeypatch, nothing_kept
):
    loops = []
    initialise = Loop.__init__
    monkeypatch.setattr(
        Loop, "__init__", lambda self, *args: (loops.append(self), initialise(self, *args))[1]
    )
    config = tiny_config(epochs=1).model_copy(update={"model": DROPOUT})
    events = []
    several = train_seeds(config, 2, tmp_path, "t", progress=events.append)
    assert [loop.traces for loop in loops] == [1]
    assert sum(isinstance(event, Compiling) for event in events) == 1
    assert [item.seed for item in several] == [4, 5]
    for item in several:
        assert item.run is not None
        assert item.run.config.training.seed == item.seed
        assert item.path.name == item.run.name == f"t-seed-{item.seed}"
    first, second = (load_checkpoint(item.path)[0].state.weights for item in several)
    assert not any(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    training = config.training.model_copy(update={"seed": 5})
    single = train(config.model_copy(update={"training": training}), tmp_path)
    assert_same_runs(several[1].path, single.path)

    # The negative control: a part of the state that is kept changes the weights.
    loop, begin = loops[0], [np.ones_like(array) for array in first]
    pairs, rates = prepare(config).stream.draw(Split.TRAIN, 0, 160), np.full(10, 0.01, np.float32)

    def ends(seed, keep=()):
        after = loop.state
        loop.restart(begin, seed)
        loop.state = loop.state._replace(**{name: getattr(after, name) for name in keep})
        loop.train(*pairs, rates)
        return b"".join(array.tobytes() for array in loop.state.weights)

    expected = ends(4)
    assert ends(4) == expected
    assert ends(5) != expected
    for name in ("first", "second", "steps_done"):
        assert ends(4, [name]) != expected, name
    assert loop.traces == 1


@pytest.mark.usefixtures("compiled_once")
def test_names_are_free_before_anything_begins(tmp_path, three):
    shutil.copytree(three / "t-seed-5", tmp_path / "t-seed-5")
    before, events = contents(tmp_path), []
    with pytest.raises(ExistsError, match="t-seed-5 exists"):
        train_seeds(tiny_config(), 3, tmp_path, "t", progress=events.append)
    assert (contents(tmp_path), events) == (before, [])
    with pytest.raises(ConfigurationError, match="run name"):
        train_seeds(tiny_config(), 3, tmp_path, "a/b")
    with pytest.raises(ConfigurationError, match="seeds = 0"):
        train_seeds(tiny_config(), 0, tmp_path)
    with pytest.raises(ConfigurationError, match="should be at most"):
        train_seeds(tiny_config(seed=2**63 - 2), 3, tmp_path)


def test_several_workers_train_one_seed(tmp_path, monkeypatch):
    task = {"type": "worker", "index": 0}
    document = {"cluster": {"worker": ["a:1", "b:1"]}, "task": task}
    monkeypatch.setenv("TF_CONFIG", json.dumps(document))
    with pytest.raises(ConfigurationError, match="TF_CONFIG names 2 workers"):
        train_seeds(tiny_config(), 2, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("compiled_once")
def test_resuming_keeps_complete_seeds_and_trains_the_others(tmp_path, three):
    config = tiny_config(epochs=2)
    with pytest.raises(Interrupted) as interrupted:
        train_seeds(config, 3, tmp_path, "t", progress=stop_after(3, EpochEnded))
    message = str(interrupted.value)
    assert "checkpoint saved at step 40; resume with: " in message
    assert message.endswith(f"s2s train --seeds 3 --seed 4 --resume --run t --runs-dir {tmp_path}")
    assert {run.name: run.run is not None for run in list_runs(tmp_path)} == {
        "t-seed-4": True, "t-seed-5": False,
    }  # fmt: skip
    # A setting that changes nothing in a complete run does not touch it.
    other = RunConfig(training=TrainingConfig(stop_at=0.99))
    with pytest.raises(Interrupted, match="--seeds 3 --seed 4 --resume --run t"):
        train_seeds(other, 3, tmp_path, progress=stop_after(1, Built), resume=True)
    before, events = contents(tmp_path / "t-seed-4"), []
    unsaved = training_path(tmp_path / "t-seed-6")  # of a process killed before a checkpoint
    unsaved.mkdir()
    (unsaved / "config.toml").write_text("")
    several = train_seeds(RunConfig(), 3, tmp_path, progress=events.append, resume=True)
    assert contents(tmp_path / "t-seed-4") == before
    begun = [(event.seed, event.is_complete) for event in events if isinstance(event, SeedBegun)]
    assert begun == [(4, True), (5, False), (6, False)]
    assert sum(isinstance(event, Resumed) for event in events) == 1
    assert [item.seed for item in several] == [4, 5, 6]
    for item in several:
        assert_same_runs(item.path, three / item.path.name)
    # If all are complete nothing is trained, and TensorFlow is not imported.
    events = []
    again = train_seeds(RunConfig(), 3, tmp_path, "t", progress=events.append, resume=True)
    assert [item.run for item in again] == [item.run for item in several]
    assert not any(isinstance(event, Planned | Built | Advanced) for event in events)


@pytest.mark.usefixtures("compiled_once")
def test_an_interrupt_before_a_checkpoint_shows_no_command(tmp_path, three):
    for folder in three.iterdir():
        shutil.copytree(folder, tmp_path / folder.name)
    before, other = contents(tmp_path), tiny_config(epochs=2, learning_rate=0.02)
    with pytest.raises(Interrupted) as interrupted:
        train_seeds(other, 3, tmp_path, "t", force=True, progress=stop_after(1, SeedBegun))
    assert "--resume" not in str(interrupted.value)
    assert contents(tmp_path) == before


@pytest.mark.usefixtures("compiled_once")
def test_forced_seeds_resume_with_their_new_settings(tmp_path, three):
    for folder in three.iterdir():
        shutil.copytree(folder, tmp_path / folder.name)
    other = tiny_config(epochs=2, learning_rate=0.02)
    with pytest.raises(Interrupted) as interrupted:
        train_seeds(other, 3, tmp_path, "t", force=True, progress=stop_after(3, EpochEnded))
    assert "s2s train --seeds 3 --seed 4 --force --resume --run t" in str(interrupted.value)
    with pytest.raises(ConfigurationError, match="t-seed-6: training.learning_rate = 0.02: the ru"):
        train_seeds(RunConfig(), 3, tmp_path, resume=True)
    several = train_seeds(RunConfig(), 3, tmp_path, "t", force=True, resume=True)
    assert [item.run.config.training.learning_rate for item in several] == [0.02] * 3
    assert len({item.path for item in several}) == 3


@pytest.mark.usefixtures("compiled_once")
def test_complete_seeds_are_trained_further_and_new_ones_begin(tmp_path, three):
    for folder in three.iterdir():
        shutil.copytree(folder, tmp_path / folder.name)
    more = RunConfig(training=TrainingConfig(epochs=3))
    several = train_seeds(more, 4, tmp_path, "t", resume=True)
    assert [item.seed for item in several] == [4, 5, 6, 7]
    for item in several:
        assert item.run.config.training.epochs == 3
        assert [line["epoch"] for line in untimed(item.path)] == [1, 2, 3]
    with pytest.raises(ModelError, match="there is no run .*none-seed-... to resume"):
        train_seeds(more, 2, tmp_path, "none", resume=True)
    with pytest.raises(ConfigurationError, match="there are only 4, 5, 6, 7"):
        train_seeds(RunConfig(training=TrainingConfig(seed=90)), 2, tmp_path, resume=True)


@pytest.mark.usefixtures("compiled_once")
def test_a_loss_that_is_not_finite_ends_only_its_seed(tmp_path, three, monkeypatch):
    def diverge(self, *pairs, original=Loop.train):
        result = original(self, *pairs)
        is_second = int(self._seed) == dropout_seed(5) and self.steps_done > 40
        return result._replace(loss=float("nan")) if is_second else result

    events = []
    with monkeypatch.context() as patched:
        patched.setattr(Loop, "train", diverge)
        several = train_seeds(tiny_config(epochs=2), 3, tmp_path, "t", progress=events.append)
    assert [item.run is not None for item in several] == [True, False, True]
    (failed,) = (event for event in events if isinstance(event, SeedFailed))
    assert several[1].problem == failed.problem
    assert "the loss became nan at step" in failed.problem
    assert load_checkpoint(tmp_path / "t-seed-5")[0].state.steps_done == 40
    for seed in (4, 6):
        assert_same_runs(tmp_path / f"t-seed-{seed}", three / f"t-seed-{seed}")


def test_a_plan_under_another_seed_is_the_plan_of_that_seed(tmp_path):
    rows = [f"{a} {b} {c},{c} {a}" for a in range(1, 10) for b in range(1, 8) for c in range(1, 9)]
    (tmp_path / "own.csv").write_text("\n".join(rows))
    for config in (
        RunConfig(task=TaskConfig(n_in=4, n_out=2, cardinality=13)),
        RunConfig(task=TaskConfig(data=str(tmp_path / "own.csv"))),
    ):
        training = config.training.model_copy(update={"seed": 9})
        training.model_fields_set.discard("seed")
        expected = prepare(config.model_copy(update={"training": training}))
        plan = prepare(config).with_seed(9)
        assert plan.config.model_dump() == expected.config.model_dump()
        for split in (Split.TRAIN, Split.TEST):
            drawn = [stream.draw(split, 5, 40) for stream in (plan.stream, expected.stream)]
            np.testing.assert_array_equal(drawn[0][0], drawn[1][0])
            np.testing.assert_array_equal(drawn[0][1], drawn[1][1])
        other = prepare(config).stream.draw(Split.TRAIN, 5, 40)[0]
        assert not np.array_equal(other, plan.stream.draw(Split.TRAIN, 5, 40)[0])


@pytest.mark.usefixtures("compiled_once")
def test_later_seeds_have_the_pretrained_embedding_too(tmp_path):
    table = tmp_path / "table.npy"
    np.save(table, np.random.default_rng(1).normal(size=(13, 4)).astype(np.float32))
    model = ModelConfig(units=8, embedding=4, pretrained_embedding=str(table))
    config = tiny_config(epochs=1, n_samples=64).model_copy(update={"model": model})
    with pytest.raises(Interrupted):
        train_seeds(config, 1, tmp_path / "runs", "t", progress=stop_after(1, Built))
    seeds = resumed_seeds(RunConfig(), 2, tmp_path / "runs", "t", force=False)
    assert seeds.states == {4: State.STOPPED, 5: State.NEW}
    with seeds.hold_start(5) as start:
        np.testing.assert_array_equal(start.plan.embedding, np.load(table))
    np.save(table, np.zeros((13, 4), np.float32))
    with pytest.raises(ConfigurationError, match="model.pretrained_embedding = .* the file is not"):
        resumed_seeds(RunConfig(), 2, tmp_path / "runs", "t", force=False)


def a_report(share: float) -> Evaluation:
    low, high = share - 0.01, min(1, share + 0.01)
    return Evaluation("t", "held-out sequences", 100, False, share, low, high,
                      share, [share], {4: share}, 0.1, None, 1.0, 100.0, [], ["few"])  # fmt: skip


def test_the_table_has_every_seed_and_their_median_and_range(capsys, monkeypatch):
    rows = [(SeedRun(seed, Path(f"runs/t-seed-{seed}"), None, None), a_report(share))
            for seed, share in enumerate([0.5, 0.9995, 1.0, 0.999])]  # fmt: skip
    show_seeds(rows)
    shown = capsys.readouterr()
    table = [line.split() for line in shown.out.splitlines()]
    assert table[0][:2] == ["t-seed-...:", "100"]
    for seed in range(4):
        assert any(words[:1] == [str(seed)] and "to" in words for words in table)
    assert ["median", "99.92%"] in table
    assert ["range", "50.00%", "to", "100%"] in table
    assert "at least 99% 75% 3 of 4 seeds".split() in table
    last = "median exact match 99.92%: 3 of 4 seeds learned the task"
    assert shown.err == f"note: few\n{last}\n"
    monkeypatch.setenv("FORCE_COLOR", "1")
    for shares, colour in (([1.0, 1.0], 32), ([1.0, 0.5], 33), ([0.98, 0.5], 31)):
        show_seeds([(rows[0][0], a_report(share)) for share in shares])
        assert f"\x1b[1;{colour}mmedian exact match" in capsys.readouterr().err
    monkeypatch.delenv("FORCE_COLOR")
    nan = SeedRun(4, Path("runs/t-seed-4"), None, None, "the loss became nan")
    failed = [*rows, (nan, None)]
    document = seeds_as_json(failed)
    assert document["exact_match_median"] == pytest.approx(0.99925)
    assert (document["exact_match_least"], document["exact_match_most"]) == (0.5, 1.0)
    assert (document["learned"], document["learned_from"]) == (0.6, 0.99)
    assert document["seeds"][4]["problem"] == "the loss became nan"
    nothing = seeds_as_json(failed[-1:])
    assert (nothing["exact_match_median"], nothing["learned"]) == (None, 0.0)
    show_seeds(failed)
    shown = capsys.readouterr().out
    assert "its loss is not finite" in shown
    assert "median of 4" in shown
    show_seeds(failed[-1:])
    shown = capsys.readouterr()
    assert shown.out.startswith("t-seed-...: no seed finished")
    assert "at least" not in shown.out
    assert shown.err == ""


@pytest.mark.usefixtures("compiled_once")
def test_the_command_trains_evaluates_and_resumes(tmp_path, monkeypatch, capsys):
    def s2s(*arguments):
        monkeypatch.setattr("sys.argv", ["s2s", *arguments])
        message, code = run_command()
        return message, code, *capsys.readouterr()

    monkeypatch.chdir(tmp_path)
    _, _, output, _ = s2s("train", *TINY, "--seeds", "2", "--json")
    document = json.loads(output)
    assert [item["seed"] for item in document["seeds"]] == [0, 1]
    shares = [item["exact_match"] for item in document["seeds"]]
    assert document["exact_match_median"] == pytest.approx(sum(shares) / 2)
    name = "reverse-prefix-4-2-13"
    paths = [item["path"] for item in document["seeds"]]
    assert paths == [f"runs/{name}-seed-0", f"runs/{name}-seed-1"]
    _, _, output, _ = s2s("evaluate", "--run", f"{name}-seed-1", "--json")
    assert json.loads(output)["exact_match"] == shares[1]
    _, code, output, errors = s2s("train", "--seeds", "3", "--resume")
    assert code == 0
    assert f"seed 0: {name}-seed-0 is complete" in errors
    assert "seed 2, epoch 1/1: 640 sequences in" in errors
    assert "seed 1, epoch" not in errors
    assert errors.count("encoder_lstm") == 1
    assert f"{name}-seed-...: " in output
    assert s2s("train", *TINY, "--seeds", "2", "--run", name)[1] == 5
    message, code, output, errors = s2s(
        "train", *TINY, "--seeds", "2", "--run", "far", "--learning-rate", "3e38"
    )
    assert code == 2
    assert "far-seed-...: no seed finished" in output
    assert (errors + message).count("seed 1: the loss became") >= 1
