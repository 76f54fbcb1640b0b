"""Cells on an executor: what is complete is left, what may help is tried again, and no more."""

import json
import time

import pytest
import small
from fake import Fake, describe, folder_at, report, run

from seq2seq_cli.errors import (
    ConfigurationError,
    ExistsError,
    Interrupted,
    ModelError,
    StorageError,
)
from seq2seq_cli.runs.lock import hold_lock
from seq2seq_cli.runs.resumption import State
from seq2seq_cli.sweep import dispatch, executors
from seq2seq_cli.sweep.events import CellAgain, CellEnded, CellStarted
from seq2seq_cli.sweep.job import Outcome, receive
from seq2seq_cli.sweep.folder import new_folder
from seq2seq_cli.sweep.session import prepare_sweep, write_table
from seq2seq_cli.sweep.results import summarize

GRID = "model.units=1,2,3"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(dispatch, "PAUSE_SECONDS", 0.0)


def kinds(events, kind):
    return [event.planned.name for event in events if isinstance(event, kind)]


def test_each_cell_and_seed_has_a_record_and_a_line(tmp_path):
    folder = folder_at(tmp_path / "s")
    learned = lambda given, seed: given["model.units"] / 4 + seed / 100  # noqa: E731
    result, events = run(describe(GRID), folder, Fake(folder, learned=learned))
    assert (
        kinds(events, CellStarted) == kinds(events, CellEnded) == ["units-1", "units-2", "units-3"]
    )
    found = [(r.run, r.settings, r.exact_match) for r in result.records]
    assert found[:2] == [
        ("s/units-1-seed-0", {"model.units": 1}, 0.25),
        ("s/units-1-seed-1", {"model.units": 1}, 0.26),
    ]
    lines = [json.loads(line) for line in folder.results.read_text().splitlines()]
    assert lines == [record.model_dump() for record in result.records]
    assert result.error is None
    write_table(tmp_path / "a.csv", result)
    head, *rows = (tmp_path / "a.csv").read_text().splitlines()
    assert len(rows) == 6
    first = dict(zip(head.split(","), rows[0].split(","), strict=True))
    assert (first["model.units"], first["training.seed"], first["exact_match"]) == (
        "1",
        "0",
        "0.25",
    )
    assert first["training.learning_rate"] == "0.01"


def test_what_is_complete_is_told_and_not_trained_again(tmp_path):
    folder = folder_at(tmp_path / "s")
    run(describe(GRID), folder)
    fake = Fake(folder)
    result, events = run(describe(GRID), folder_at(folder.path), fake)
    assert fake.jobs == []
    assert kinds(events, CellEnded) == ["units-1", "units-2", "units-3"]
    assert [record.exact_match for record in result.records] == [1.0] * 6


def test_an_extended_sweep_trains_what_is_new(tmp_path):
    folder = folder_at(tmp_path / "s")
    run(describe(GRID), folder)
    fake = Fake(folder)
    result, _ = run(describe("model.units=1,2,3,4", seeds=3), folder_at(folder.path), fake)
    assert [(job.cell, job.missing) for job in fake.jobs] == [
        ("units-1", (2,)), ("units-2", (2,)), ("units-3", (2,)), ("units-4", (0, 1, 2)),
    ]  # fmt: skip
    assert len(result.records) == 12


def test_results_that_are_lost_are_evaluated_again(tmp_path, monkeypatch):
    folder = folder_at(tmp_path / "s")
    run(describe(GRID), folder)
    lines = folder.results.read_text().splitlines()
    folder.results.write_text("\n".join([*lines[:-1], lines[-1][:40]]))
    evaluated = []

    def evaluate(run):
        evaluated.append(run.name)
        return report(0.125)

    monkeypatch.setattr("seq2seq_cli.sweep.folder._evaluate", evaluate)
    result, _ = run(describe(GRID), folder_at(folder.path))
    assert evaluated == ["units-3-seed-1"]
    assert result.records[-1].exact_match == 0.125
    assert len(folder.results.read_text().splitlines()) == 6


@pytest.mark.parametrize(
    "end", [Outcome(-9, "killed"), Outcome(6, "full"), Outcome(5), Outcome(143), OSError("lost")]
)
def test_what_may_help_is_tried_again(tmp_path, end):
    folder = folder_at(tmp_path / "s")
    fake = Fake(folder, {"units-2": [end, end]})
    result, events = run(describe(GRID), folder, fake)
    assert kinds(events, CellAgain) == ["units-2", "units-2"]
    assert [job.cell for job in fake.jobs].count("units-2") == 3
    assert result.error is None
    assert {record.problem for record in result.records} == {""}


@pytest.mark.parametrize("end", [Outcome(-9, "killed by SIGKILL"), Outcome(6, "the disk is full")])
def test_and_not_for_ever(tmp_path, end):
    folder = folder_at(tmp_path / "s")
    fake = Fake(folder, {"units-2": [end] * 9})
    result, events = run(describe(GRID), folder, fake)
    assert [job.cell for job in fake.jobs].count("units-2") == dispatch.MOST_ATTEMPTS
    assert isinstance(result.error, StorageError)
    assert str(result.error).splitlines()[0] == f"units-2: {end.reason}"
    assert "1 of 3 cells have failed" in str(result.error)
    assert len([r for r in result.records if r.problem == end.reason]) == 2
    assert kinds(events, CellEnded)[-1] == "units-2"


@pytest.mark.parametrize("code", [2, 3, 4, 1])
def test_what_is_wrong_is_told_once_and_stops_no_other(tmp_path, code):
    folder = folder_at(tmp_path / "s")
    fake = Fake(folder, {"units-1": [Outcome(code, "it is wrong")]})
    result, events = run(describe(GRID), folder, fake)
    assert [job.cell for job in fake.jobs] == ["units-1", "units-2", "units-3"]
    assert kinds(events, CellAgain) == []
    assert result.error.exit_code == code
    assert [r.problem for r in result.records] == ["it is wrong"] * 2 + [""] * 4


def test_a_seed_without_a_finite_loss_is_a_result_and_no_failure(tmp_path):
    folder = folder_at(tmp_path / "s")
    reports = {0: {"problem": "the loss became nan"}, 1: {"problem": "the loss became inf"}}
    fake = Fake(folder, {"units-1": [Outcome(2, "seed 0: the loss became nan", reports)]})
    result, _ = run(describe("model.units=1"), folder, fake)
    assert result.error is None
    assert [r.problem for r in result.records] == ["the loss became nan", "the loss became inf"]
    (summary,) = summarize(result.records)
    assert (summary.shares, summary.n_learned) == ([], 0)
    assert summary.as_json()["exact_match_median"] is None


def test_no_cell_is_started_that_would_not_end_in_time(tmp_path):
    folder = folder_at(tmp_path / "s")
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
def test_side_by_side_the_longest_begin_first(tmp_path, slots, seconds, order):
    folder = folder_at(tmp_path / "s")
    fake = Fake(folder, slots=slots)
    deadline = None if seconds is None else time.monotonic() + seconds
    result, _ = run(describe("model.units=1,900,30"), folder, fake, deadline=deadline)
    assert [job.cell.removeprefix("units-") for job in fake.jobs] == order.split()
    assert [planned.name for planned, _ in result.ended] == ["units-1", "units-900", "units-30"]


def test_a_run_that_was_trained_further_is_not_taken_for_its_cell(tmp_path):
    sweep, folder = describe("model.units=1,2"), folder_at(tmp_path / "s")
    run(sweep, folder, Fake(folder))
    config = prepare_sweep(sweep).planned[0].with_seed(1)
    longer = config.training.model_copy(update={"epochs": 9})
    config = config.model_copy(update={"training": longer})
    small.train(folder.path, "units-1-seed-1", config=config, force=True)
    with pytest.raises(ConfigurationError) as told:
        prepare_sweep(sweep, folder)
    (line,) = str(told.value).splitlines()
    assert line.startswith("units-1-seed-1: it has been trained further, to training.epochs = 9")
    assert "runs --remove s/units-1-seed-1" in line


def test_a_description_that_says_nothing_is_damaged(tmp_path):
    folder = folder_at(tmp_path / "s")
    (folder.path / "sweep.toml").write_text("")
    with pytest.raises(ModelError, match="is damaged"):
        folder.read()


def test_what_is_left_is_trained_on_as_many_threads_as_before(tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "cores", lambda: 8)
    monkeypatch.setattr(executors, "available_memory", lambda: None)
    sweep, folder = describe(GRID), folder_at(tmp_path / "s")
    assert prepare_sweep(sweep, folder).fitting_jobs == 3
    run(sweep, folder, Fake(folder, {"units-2": [Outcome(2, "it is wrong")]}))
    again = prepare_sweep(sweep, folder)
    assert [again.missing(planned) for planned in again.planned] == [[], [0, 1], []]
    assert again.fitting_jobs == 3


def test_shares_of_the_cells_are_disjoint_and_whole(tmp_path):
    sweep, path = describe("model.units=1,2,3,4,5"), tmp_path / "s"
    trained = []
    for index in range(2):
        folder = folder_at(path, (index, 2))
        fake = Fake(folder)
        run(sweep, folder, fake, shard=(index, 2))
        trained.append([job.cell for job in fake.jobs])
    assert trained == [["units-1", "units-3", "units-5"], ["units-2", "units-4"]]
    fake = Fake(folder_at(path))
    result, _ = run(sweep, folder_at(path), fake)
    assert fake.jobs == []
    assert len(result.records) == len((path / "sweep.jsonl").read_text().splitlines()) == 10


def test_a_sweep_that_is_stopped_stops_its_workers_and_can_go_on(tmp_path):
    folder = folder_at(tmp_path / "s")
    fake = Fake(folder, {"units-2": [Interrupted("interrupted")]})
    with pytest.raises(Interrupted):
        run(describe(GRID), folder, fake)
    assert fake.is_stopped
    result, _ = run(describe(GRID), folder_at(folder.path))
    assert [r.exact_match for r in result.records] == [1.0] * 6


def test_a_new_sweep_takes_the_place_of_nothing(tmp_path):
    (tmp_path / "a").mkdir()
    assert new_folder(tmp_path, "a", "s").path == tmp_path / "a"
    (tmp_path / "a" / "someone's").touch()
    with pytest.raises(ExistsError, match="resume it with --resume a"):
        new_folder(tmp_path, "a", "s")
    assert new_folder(tmp_path, None, "a").path == tmp_path / "a-2"


def test_a_sweep_has_its_folder_alone(tmp_path):
    folder = folder_at(tmp_path / "s")
    with hold_lock(folder.path), pytest.raises(ExistsError, match="is in use"):
        run(describe(GRID), folder)


def test_runs_of_other_settings_are_found_before_anything_starts(tmp_path):
    folder = folder_at(tmp_path / "s")
    run(describe(GRID), folder)
    fake = Fake(folder)
    with pytest.raises(
        ConfigurationError, match="units-1-seed-0: training.batch_size = 8: the run"
    ):
        run(describe(GRID, settings=["training.batch_size=8"]), folder, fake)
    assert fake.jobs == []


def test_more_epochs_train_what_is_complete_further(tmp_path):
    folder = folder_at(tmp_path / "s")
    run(describe("model.units=1"), folder)
    prepared = prepare_sweep(describe("model.units=1", settings=["training.epochs=5"]), folder)
    assert set(prepared.states["units-1"].values()) == {State.STOPPED}


@pytest.mark.parametrize("limits", [{0: 13, 1: 13}, {0: 5, 1: 22}])
def test_a_search_trains_what_it_needs_and_goes_on_from_what_there_is(tmp_path, limits):
    folder = folder_at(tmp_path / "s")
    sweep = describe(until=(0.99, "task.n_in"), settings=["task.n_out=1", "task.n_in=4"])
    learned = lambda given, seed: float(given["task.n_in"] <= limits[seed])  # noqa: E731
    fake = Fake(folder, learned=learned)
    result, _ = run(sweep, folder, fake)
    assert {reach.seed: reach.value for reach in result.reaches()["base"]} == limits
    assert len(fake.jobs) == len({job.cell for job in fake.jobs})
    again = Fake(folder, learned=learned)
    result, _ = run(sweep, folder_at(folder.path), again)
    assert again.jobs == []
    assert {reach.seed: reach.value for reach in result.reaches()["base"]} == limits
    names = [planned.name for planned, _ in result.ended]
    assert names == sorted(names, key=lambda name: int(name.rpartition("-")[2]))


def test_a_search_whose_cell_fails_is_unfinished(tmp_path):
    folder = folder_at(tmp_path / "s")
    sweep = describe(until=(0.99, "task.n_in"), settings=["task.n_out=1", "task.n_in=4"])
    result, _ = run(sweep, folder, Fake(folder, {"n_in-8": [Outcome(1, "a bug")]}))
    assert not result.searches.searches["base"].is_over
    assert [reach.value for reach in result.reaches()["base"]] == [4, 4]


def test_runs_that_are_sent_take_no_other_place(tmp_path):
    run = small.stop(tmp_path, 40, "a-seed-0")
    receive(tmp_path, {"a-seed-0/run.json": b"first", "a-seed-0/checkpoint/1.npz": b"y"})
    assert small.contents(tmp_path) == {
        "a-seed-0/run.json": b"first", "a-seed-0/checkpoint/1.npz": b"y"
    }  # fmt: skip
    receive(tmp_path, {"a-seed-0/run.json": b"second", "a-seed-0/config.toml": b"z"})
    assert (run / "run.json").read_bytes() == b"first"
    for name in ("../b/run.json", "/etc/x", "run.json", "a/../../b"):
        with pytest.raises(ValueError, match="is not a run's file"):
            receive(tmp_path, {name: b""})
