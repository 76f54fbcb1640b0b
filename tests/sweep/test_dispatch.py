"""Cells on an executor: complete ones are kept, and only attempts that may help are repeated."""

import csv
import json
import os
import shutil
import time

import pytest
from fake import Fake, describe, folder_at, report, run, small

from seq2seq_cli.errors import (
    ConfigurationError,
    ExistsError,
    Interrupted,
    ModelError,
    StorageError,
)
from seq2seq_cli.runs.lock import hold_lock
from seq2seq_cli.sweep import dispatch, executors
from seq2seq_cli.sweep.dispatch import CellAgain, CellEnded, CellStarted
from seq2seq_cli.sweep.folder import new_folder
from seq2seq_cli.sweep.job import Outcome, receive
from seq2seq_cli.sweep.results import summarize
from seq2seq_cli.sweep.session import prepare_sweep

GRID = "model.units=1,2,3"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(dispatch, "PAUSE_SECONDS", 0.0)


@pytest.fixture
def folder(tmp_path):
    return folder_at(tmp_path / "s")


def cells_of(events, kind):
    return [event.planned.name for event in events if isinstance(event, kind)]


def test_each_cell_and_seed_has_a_record_and_a_line(folder):
    learned = lambda settings, seed: settings["model.units"] / 4 + seed / 100  # noqa: E731
    result, events = run(describe(GRID), folder, Fake(folder, learned=learned))
    names = ["units-1", "units-2", "units-3"]
    assert cells_of(events, CellStarted) == cells_of(events, CellEnded) == names
    assert [(r.run, r.settings, r.exact_match) for r in result.records[:2]] == [
        ("s/units-1-seed-0", {"model.units": 1}, 0.25),
        ("s/units-1-seed-1", {"model.units": 1}, 0.26),
    ]
    lines = [json.loads(line) for line in folder.results.read_text().splitlines()]
    assert lines == [record.model_dump() for record in result.records]
    assert result.error is None
    result.write_table(folder.path / "a.csv")
    with (folder.path / "a.csv").open() as file:
        first, *others = csv.DictReader(file)
    assert len(others) == 5
    keys = ("model.units", "training.seed", "exact_match", "training.learning_rate")
    assert [first[key] for key in keys] == ["1", "0", "0.25", "0.01"]


def test_a_resumed_sweep_trains_only_what_is_new(folder):
    run(describe(GRID), folder)
    fake = Fake(folder)
    result, events = run(describe(GRID), folder_at(folder.path), fake)
    assert fake.jobs == []
    assert cells_of(events, CellEnded) == ["units-1", "units-2", "units-3"]
    assert [record.exact_match for record in result.records] == [1.0] * 6
    result, _ = run(describe("model.units=1,2,3,4", seeds=3), folder_at(folder.path), fake)
    assert [(job.cell, job.missing) for job in fake.jobs] == [
        ("units-1", (2,)), ("units-2", (2,)), ("units-3", (2,)), ("units-4", (0, 1, 2)),
    ]  # fmt: skip
    assert len(result.records) == 12


def test_lost_results_are_evaluated_again(folder, monkeypatch):
    run(describe(GRID), folder)
    lines = folder.results.read_text().splitlines()
    folder.results.write_text("\n".join([*lines[:-1], lines[-1][:40]]))
    evaluated = []
    monkeypatch.setattr(
        "seq2seq_cli.sweep.folder._evaluate", lambda run, _: evaluated.append(run) or report(0.125)
    )
    result, _ = run(describe(GRID), folder_at(folder.path))
    assert [run.name for run in evaluated] == ["units-3-seed-1"]
    assert result.records[-1].exact_match == 0.125
    assert len(folder.results.read_text().splitlines()) == 6


@pytest.mark.parametrize(
    "end", [Outcome(-9, "killed"), Outcome(6, "full"), Outcome(5), Outcome(143), OSError("lost")]
)
def test_a_cell_is_tried_again_if_that_may_help(folder, end):
    fake = Fake(folder, {"units-2": [end, end]})
    result, events = run(describe(GRID), folder, fake)
    assert cells_of(events, CellAgain) == ["units-2", "units-2"]
    assert [job.cell for job in fake.jobs].count("units-2") == 3
    assert result.error is None
    assert {record.problem for record in result.records} == {""}


@pytest.mark.parametrize(
    ("end", "attempts", "code"),
    [(Outcome(-9, "killed by SIGKILL"), 3, 6), (Outcome(6, "the disk is full"), 3, 6),
     (Outcome(6, "cannot write runs/s/a: Read-only file system"), 1, 6),
     *((Outcome(code, "it is wrong"), 1, code) for code in (1, 2, 3, 4))],
)  # fmt: skip
def test_a_failed_cell_is_reported_and_stops_no_other(folder, end, attempts, code):
    fake = Fake(folder, {"units-2": [end] * 9})
    result, events = run(describe(GRID), folder, fake)
    assert [job.cell for job in fake.jobs].count("units-2") == attempts
    assert result.error.exit_code == code
    assert str(result.error).splitlines()[0] == f"units-2: {end.reason}"
    assert "1 of 3 cells have failed" in str(result.error)
    assert [r.problem for r in result.records] == ["", "", end.reason, end.reason, "", ""]
    assert sorted(cells_of(events, CellEnded)) == ["units-1", "units-2", "units-3"]


def test_a_cell_killed_after_its_last_run_is_complete(folder, monkeypatch):
    monkeypatch.setattr("seq2seq_cli.sweep.folder._evaluate", lambda *_: report(0.125))
    fake = Fake(folder)

    def work(job):
        Fake.work(fake, job)
        return Outcome(-9, "killed by SIGKILL")

    monkeypatch.setattr(fake, "work", work)
    fake.workers = executors.Workers(fake.workers.executor, work, lambda: 1, fake.stop)
    result, events = run(describe("model.units=1"), folder, fake)
    assert cells_of(events, CellAgain) == []
    assert result.error is None
    assert [record.exact_match for record in result.records] == [0.125] * 2


def test_a_seed_without_a_finite_loss_is_a_result_and_not_a_failure(folder):
    reports = {0: {"problem": "the loss became nan"}, 1: {"problem": "the loss became inf"}}
    fake = Fake(folder, {"units-1": [Outcome(2, "seed 0: the loss became nan", reports)]})
    result, _ = run(describe("model.units=1"), folder, fake)
    assert result.error is None
    assert [r.problem for r in result.records] == ["the loss became nan", "the loss became inf"]
    (summary,) = summarize(result.records)
    assert (summary.shares, summary.n_learned) == ([], 0)
    assert summary.as_json()["exact_match_median"] is None


def test_no_cell_is_started_that_would_not_end_in_time(folder):
    fake = Fake(folder)
    result, _ = run(describe(GRID), folder, fake, deadline=time.monotonic() + 1)
    assert fake.jobs == []
    assert [planned.name for planned in result.left] == ["units-1", "units-2", "units-3"]
    result, _ = run(describe(GRID), folder, fake, deadline=time.monotonic() + 9999)
    assert (len(fake.jobs), result.left) == (3, [])


@pytest.mark.parametrize(
    ("slots", "seconds", "order"),
    [(1, None, "1 900 30"), (2, None, "900 30 1"), (2, 9999, "1 900 30")],
)
def test_in_parallel_the_longest_cells_begin_first(folder, slots, seconds, order):
    fake = Fake(folder, slots=slots)
    deadline = None if seconds is None else time.monotonic() + seconds
    result, _ = run(describe("model.units=1,900,30"), folder, fake, deadline=deadline)
    assert [job.cell.removeprefix("units-") for job in fake.jobs] == order.split()
    assert [cell.planned.name for cell in result.ended] == ["units-1", "units-900", "units-30"]


def train_further(folder, planned, seed):
    """Train a cell's run to 9 epochs."""
    config = planned.with_seed(seed)
    longer = config.training.model_copy(update={"epochs": 9})
    config, name = config.model_copy(update={"training": longer}), f"{planned.name}-seed-{seed}"
    small.train(folder.path, name, now="2026-02-01T12:00:00Z", config=config, force=True)


def test_a_run_that_was_trained_further_fails_its_cell_alone(folder):
    sweep = describe("model.units=1,2,3")
    run(sweep, folder, Fake(folder, {"units-3": [Outcome(3, "bad data")]}))
    train_further(folder, prepare_sweep(sweep).planned[0], 1)
    fake = Fake(folder)
    result, _ = run(sweep, folder_at(folder.path), fake)
    assert [job.cell for job in fake.jobs] == ["units-3"]
    assert result.error.exit_code == 2
    reason, _ = str(result.error).splitlines()
    assert "units-1-seed-1: it has been trained further, to training.epochs = 9" in reason
    assert "runs --remove s/units-1-seed-1" in reason
    assert [record.exact_match for record in result.records] == [1.0, None, 1.0, 1.0, 1.0, 1.0]


def test_results_are_those_of_the_runs_as_they_are_now(folder):
    sweep = describe("model.units=1,2")
    run(sweep, folder)
    train_further(folder, prepare_sweep(sweep).planned[0], 1)
    shutil.rmtree(folder.path / "units-2-seed-0")
    records = folder_at(folder.path).read_results()[1]
    assert [record.run for record in records] == ["s/units-1-seed-0", "s/units-2-seed-1"]


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_results_are_read_from_regular_files_only(folder, make):
    run(describe("model.units=1"), folder)
    make(folder.path / "sweep-0-of-2.jsonl")
    with pytest.raises(StorageError, match=r"sweep-0-of-2.jsonl: it is not a regular file"):
        folder.read_results()


def test_an_empty_description_is_damaged(folder):
    (folder.path / "sweep.toml").write_text("")
    with pytest.raises(ModelError, match="is damaged"):
        folder.read()


def test_a_resumed_cell_has_as_many_threads_as_before(folder, monkeypatch):
    monkeypatch.setattr(executors, "cores", lambda: 8)
    monkeypatch.setattr(executors, "available_memory", lambda: None)
    sweep = describe(GRID)
    assert prepare_sweep(sweep, folder).fitting_jobs == 3
    run(sweep, folder, Fake(folder, {"units-2": [Outcome(2, "it is wrong")]}))
    again = prepare_sweep(sweep, folder)
    assert [planned.missing for planned in again.planned] == [(), (0, 1), ()]
    assert again.fitting_jobs == 3


def test_shards_have_all_cells_once(folder):
    sweep, trained = describe("model.units=1,2,3,4,5"), []
    for index in range(2):
        fake = Fake(folder_at(folder.path, (index, 2)))
        run(sweep, fake.folder, fake, shard=(index, 2))
        trained.append([job.cell for job in fake.jobs])
    assert trained == [["units-1", "units-3", "units-5"], ["units-2", "units-4"]]
    fake = Fake(folder)
    result, _ = run(sweep, folder, fake)
    assert fake.jobs == []
    assert len(result.records) == len(folder.results.read_text().splitlines()) == 10


def test_a_stopped_sweep_stops_its_workers_and_can_be_resumed(folder):
    fake = Fake(folder, {"units-2": [Interrupted("interrupted")]})
    with pytest.raises(Interrupted):
        run(describe(GRID), folder, fake)
    assert fake.is_stopped
    result, _ = run(describe(GRID), folder_at(folder.path))
    assert [r.exact_match for r in result.records] == [1.0] * 6


def test_a_new_sweep_replaces_nothing(tmp_path):
    (tmp_path / "a").mkdir()
    assert new_folder(tmp_path, "a", "s").path == tmp_path / "a"
    (tmp_path / "a" / "someone's").touch()
    with pytest.raises(ExistsError, match="resume it with --resume a"):
        new_folder(tmp_path, "a", "s")
    assert new_folder(tmp_path, None, "a").path == tmp_path / "a-2"


def test_two_processes_do_not_train_one_sweep(folder):
    with hold_lock(folder.path), pytest.raises(ExistsError, match="is in use"):
        run(describe(GRID), folder)


def test_runs_with_other_settings_are_refused_before_anything_starts(folder):
    run(describe(GRID), folder)
    fake = Fake(folder)
    with pytest.raises(
        ConfigurationError, match="units-1-seed-0: training.batch_size = 8: the run"
    ):
        run(describe(GRID, settings=["training.batch_size=8"]), folder, fake)
    assert fake.jobs == []


def test_more_epochs_train_complete_runs_further(folder):
    run(describe("model.units=1"), folder)
    longer = describe("model.units=1", settings=["training.epochs=5"])
    assert prepare_sweep(longer, folder).planned[0].missing == (0, 1)


SEARCH = describe(until=(0.99, "task.n_in"), settings=["task.n_out=1", "task.n_in=4"])


def values(result):
    return [reach.value for reach in result.searches.searches["base"].reaches()]


@pytest.mark.parametrize("limits", [[13, 13], [5, 22]])
def test_a_search_trains_few_cells_and_none_again(folder, limits):
    learned = lambda settings, seed: float(settings["task.n_in"] <= limits[seed])  # noqa: E731
    fake = Fake(folder, learned=learned)
    result, _ = run(SEARCH, folder, fake)
    assert values(result) == limits
    assert len(fake.jobs) == len({job.cell for job in fake.jobs})
    again = Fake(folder, learned=learned)
    result, _ = run(SEARCH, folder_at(folder.path), again)
    assert again.jobs == []
    assert values(result) == limits
    names = [cell.planned.name for cell in result.ended]
    assert names == sorted(names, key=lambda name: int(name.rpartition("-")[2]))


def test_the_cells_of_searches_are_sorted_by_their_numbers(folder):
    sweep = describe(
        "task.n_in=4,9", "model.units=8,16,128", settings=["task.n_out=1"],
        until=(0.99, "task.n_in"), seeds=1,
    )  # fmt: skip
    result, _ = run(sweep, folder, Fake(folder, slots=3))
    names = [cell.planned.name for cell in result.ended]
    assert names == [f"units-{units}-n_in-{n}" for units in (8, 16, 128) for n in (4, 8, 9)]


def test_a_search_with_a_failed_cell_is_unfinished(folder):
    result, _ = run(SEARCH, folder, Fake(folder, {"n_in-8": [Outcome(1, "a bug")]}))
    assert not result.searches.searches["base"].is_over
    assert values(result) == [4, 4]


def test_received_runs_replace_nothing(tmp_path):
    run = small.stop(tmp_path, 40, "a-seed-0")
    files = {"a-seed-0/run.json": b"first", "a-seed-0/checkpoint/1.npz": b"y"}
    receive(tmp_path, files)
    assert small.contents(tmp_path) == files
    receive(tmp_path, {"a-seed-0/run.json": b"second", "a-seed-0/config.toml": b"z"})
    assert (run / "run.json").read_bytes() == b"first"
    for name in ("../b/run.json", "/etc/x", "run.json", "a/../../b"):
        with pytest.raises(ValueError, match="is not a run's file"):
            receive(tmp_path, {name: b""})
