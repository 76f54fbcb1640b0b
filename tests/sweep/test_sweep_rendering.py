"""How a sweep is shown: every seed and their spread, never the best alone."""

import json
import re

import pytest
from fake import Fake, describe, folder_at, run

from seq2seq_cli.cli.rendering.sweep import (
    SweepProgress,
    result_as_json,
    show_plan,
    show_result,
)
from seq2seq_cli.sweep.dispatch import CellAgain, Waited
from seq2seq_cli.sweep.job import Outcome
from seq2seq_cli.sweep.session import prepare_sweep


@pytest.fixture
def mixed(tmp_path):
    """Return a sweep with a cell that one of three seeds learns, and a cell that failed."""
    folder = folder_at(tmp_path / "s")
    learned = {0: 0.5, 1: 1.0, 2: 0.75}
    fake = Fake(folder, {"units-2": [Outcome(3, "bad data")]}, lambda _, seed: learned[seed])
    sweep = describe("model.units=1,2", seeds=3)
    return (*run(sweep, folder, fake), prepare_sweep(sweep))


def test_a_table_has_every_seed_and_their_spread(mixed, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    show_result(mixed[0], quiet=False)
    shown = capsys.readouterr().out
    assert re.search(r"1 +50%, 100%, 75% +75.00% +50.00% to 100% +1 of 3", shown)
    assert re.search(r"2 +none, none, none +none +0 of 3", shown)
    assert "Wilson" in shown


def test_notes_of_evaluations_are_shown_with_their_cells(tmp_path, capsys):
    folder = folder_at(tmp_path / "s")
    for _ in range(2):  # from the training, and from what is saved
        fake = Fake(folder)
        fake.notes = {"units-1": ["nothing could be held out"]}
        result, _ = run(describe("model.units=1,2", seeds=1), folder_at(folder.path), fake)
        show_result(result, quiet=False)
        assert "note: units-1: nothing could be held out\n" in capsys.readouterr().err
    result.write_table(tmp_path / "a.csv")
    assert "nothing could be held out" in (tmp_path / "a.csv").read_text()


def test_each_cell_has_a_line_when_it_ends(mixed, capsys):
    _, events, prepared = mixed
    show_plan(prepared, 1, 0, quiet=False)
    progress = SweepProgress(prepared, as_json=False, quiet=False)
    for event in [Waited(9.0, 0), Waited(9.0, 0), *events]:
        progress.show(event)
    progress.show(CellAgain(9.0, prepared.planned[0], "killed by SIGKILL"))
    plan, *lines = capsys.readouterr().err.splitlines()
    assert plan.startswith("2 cells x 3 seeds: 9,378 steps left, about ")
    assert lines[0] == "waiting for workers"
    assert lines[1].startswith("cell 1/2 units-1: exact match 50%, 100%, 75%, in 2 s")
    assert lines[2] == "cell 2/2 units-2: failed: bad data"
    assert lines[3] == "units-1: killed by SIGKILL; trying again"


def test_json_has_a_line_per_run_and_per_cell(mixed, capsys):
    result, events, prepared = mixed
    progress = SweepProgress(prepared, as_json=True, quiet=True)
    for event in events:
        progress.show(event)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["cell"], line["seed"], line["exact_match"]) for line in lines] == [
        ("units-1", 0, 0.5), ("units-1", 1, 1.0), ("units-1", 2, 0.75),
        ("units-2", 0, None), ("units-2", 1, None), ("units-2", 2, None),
    ]  # fmt: skip
    first, second = json.loads(json.dumps(result_as_json(result), allow_nan=False))
    assert first["exact_match_median"] == 0.75
    assert (first["exact_match_least"], first["exact_match_most"]) == (0.5, 1.0)
    assert first["learned"] == pytest.approx(1 / 3)
    assert (second["exact_match_median"], second["problem"]) == (None, "bad data")


def test_a_search_is_shown_by_the_largest_value_of_each_seed(tmp_path, capsys):
    folder = folder_at(tmp_path / "s")
    limits = {0: 5, 1: 100}
    sweep = describe("task.n_in=4,9", until=(0.99, "task.n_in"), settings=["task.n_out=1"])
    fake = Fake(folder, learned=lambda cell, seed: float(cell["task.n_in"] <= limits[seed]))
    show_plan(prepare_sweep(sweep), 1, 0, quiet=False)
    assert "for 1 cell x 2 seeds" in capsys.readouterr().err
    result, _ = run(sweep, folder, fake)
    show_result(result, quiet=False)
    assert re.search(r"base +5, >= 9 +>= 7 +5 to 9", capsys.readouterr().out)
    (line,) = [line for line in result_as_json(result) if line["kind"] == "until"]
    assert (line["largest"], line["at_least"], line["median"]) == ([5, 9], [False, True], 7)
    assert line["finished"] is True
