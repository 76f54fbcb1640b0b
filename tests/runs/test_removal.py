"""Removing, renaming, filtering and sorting runs."""

import io
import json
import sys

import pytest
import small
from sample_runs import save_sweep

from seq2seq_cli.cli.commands.runs import runs
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.errors import ConfigurationError, ExistsError, ModelError, S2sError
from seq2seq_cli.runs.checkpoint import load_checkpoint
from seq2seq_cli.runs.folder import hold_run
from seq2seq_cli.runs.listing import open_run
from seq2seq_cli.runs.lock import hold_lock


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a folder with a complete run, a stopped one, and what is not a run."""
    monkeypatch.setattr(output, "end_with_reader", lambda: None)
    results = small.RESULTS.model_copy(update={"exact_match": 0.1})
    small.train(tmp_path, "complete", "2026-06-01T12:00:00Z", results=results)
    small.stop(tmp_path, 7, "stopped")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    return tmp_path


def names(capsys, place, **options):
    runs(runs_dir=place, as_json=True, **options)
    return [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()]


def test_runs_are_removed_and_no_other_file(place, capsys):
    (place / "stopped.training" / "mine.txt").write_text("mine")
    small.stop_further(place, 90, "complete")
    runs(runs_dir=place, removed=["complete", "stopped"], is_sure=True)
    assert sorted(path.name for path in place.iterdir()) == ["notes", "stopped.training"]
    assert [path.name for path in (place / "stopped.training").rglob("*")] == ["mine.txt"]
    messages = capsys.readouterr().err.splitlines()
    assert messages == [
        f"removed {place / 'complete'}",
        f"removed {place / 'stopped'}; other files are left there",
    ]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_a_damaged_run_can_be_removed(place, content):
    (place / "complete" / "run.json").write_bytes(content)
    (place / "complete" / "config.toml").write_bytes(content)
    runs(runs_dir=place, removed=["complete"], is_sure=True, quiet=True)
    assert not (place / "complete").exists()


@pytest.mark.parametrize("name", ["notes", "nothing", "../complete", ".", ""])
def test_a_folder_that_is_not_a_run_is_left_unchanged(place, name):
    before = sorted(place.rglob("*"))
    with pytest.raises(S2sError) as refusal:
        runs(runs_dir=place, removed=["stopped", name], is_sure=True)
    assert isinstance(refusal.value, ModelError | ConfigurationError)
    with pytest.raises(S2sError):
        runs(runs_dir=place, renamed=(name, "other"))
    assert sorted(place.rglob("*")) == before


def test_a_run_in_training_keeps_its_folder(place):
    with hold_run(place / "stopped") as folder:
        (folder / "checkpoint" / "000000000009.npz").write_bytes(b"being written")
        (folder / ".files.s2s-00112233aabbccdd").mkdir()
        before = sorted(place.rglob("*"))
        with pytest.raises(ExistsError, match="in use"):
            runs(runs_dir=place, removed=["stopped"], is_sure=True)
        with pytest.raises(ExistsError, match="in use"):
            runs(runs_dir=place, renamed=("stopped", "other"))
        assert sorted(place.rglob("*")) == before
    assert load_checkpoint(place / "stopped")[0].state.steps_done == 7


@pytest.mark.parametrize(("answer", "is_removed"), [("y\n", True), ("n\n", False), ("", False)])
def test_a_user_at_a_terminal_is_asked(place, monkeypatch, capsys, answer, is_removed):
    stdin = io.StringIO(answer)
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(ConfigurationError, match="complete: .* add --yes"):
        runs(runs_dir=place, removed=["complete"])
    assert (place / "complete").exists()
    monkeypatch.setattr(stdin, "isatty", lambda: True, raising=False)
    runs(runs_dir=place, removed=["complete"])
    assert (place / "complete").exists() is not is_removed
    assert f"remove {place / 'complete'} with all" in capsys.readouterr().err


def test_a_renamed_run_is_the_same_and_can_be_locked_again(place, capsys):
    small.stop_further(place, 90, "complete")
    runs(runs_dir=place, renamed=("complete", "better"))
    assert names(capsys, place) == ["better", "stopped"]
    assert open_run(place, "better").config == small.CONFIG
    assert load_checkpoint(place / "better")[0].state.steps_done == 90
    assert not list(place.rglob(".lock"))
    for taken in ("stopped", "notes"):
        with pytest.raises(ExistsError, match="exists: choose another name"):
            runs(runs_dir=place, renamed=("better", taken))
    with pytest.raises(ConfigurationError, match="run name"):
        runs(runs_dir=place, renamed=("better", "../x"))
    with pytest.raises(ConfigurationError, match="only one of the two"):
        runs(runs_dir=place, renamed=("better", "x"), removed=["better"])
    with pytest.raises(ConfigurationError, match="better: .* already has this name"):
        runs(runs_dir=place, renamed=("better", "better"))
    assert names(capsys, place) == ["better", "stopped"]


def test_the_figures_of_a_training_are_called_validation(place, capsys):
    runs(runs_dir=place, as_json=True)
    listed = json.loads(capsys.readouterr().out.splitlines()[0])
    assert listed["validation"]["exact_match"] == 0.1
    assert "exact_match" not in listed
    runs(runs_dir=place)
    shown = capsys.readouterr().out
    assert "validation" in shown
    assert "exact" not in shown


def test_runs_are_filtered_sorted_and_limited(place, capsys):
    for number, (name, exact) in enumerate([("b", 0.2), ("a", 0.9), ("c", 0.5)]):
        results = small.RESULTS.model_copy(update={"exact_match": exact})
        small.train(place, name, f"2026-05-0{number + 1}T12:00:00Z", results=results)
    assert names(capsys, place) == ["b", "a", "c", "complete", "stopped"]
    assert names(capsys, place, limit=2) == ["c", "complete"]
    assert names(capsys, place, by="exact") == ["a", "c", "b", "complete", "stopped"]
    assert names(capsys, place, by="exact", limit=1) == ["a"]
    assert names(capsys, place, by="name") == ["a", "b", "c", "complete", "stopped"]
    assert names(capsys, place, task="reverse-prefix", by="name", limit=1) == ["a"]
    assert len(names(capsys, place, task="reverse-prefix")) == 5
    assert names(capsys, place, task="copy") == []
    runs(runs_dir=place, task="copy")
    assert capsys.readouterr().err == f"there are no runs of copy in {place}\n"


@pytest.fixture
def swept(place):
    """Return the folder of a sweep of a complete run and a stopped one."""
    save_sweep(place)
    folder = place / "grid"
    small.train(folder, "complete")
    small.stop(folder, 7, "stopped")
    return folder


def test_a_sweep_is_removed_with_its_runs_and_no_other_file(place, swept, capsys):
    (swept / "mine.txt").write_text("mine")
    runs(runs_dir=place, removed=["grid"], is_sure=True)
    assert [path.name for path in swept.rglob("*")] == ["mine.txt"]
    assert (place / "complete").exists()
    assert capsys.readouterr().err.startswith(f"removed {swept}; other files are left there")
    (swept / "mine.txt").unlink()
    swept.rmdir()
    save_sweep(place)
    runs(runs_dir=place, removed=["grid"], is_sure=True, quiet=True)
    assert not swept.exists()


def test_a_sweep_in_training_stays(place, swept):
    before = sorted(swept.rglob("*"))
    with hold_lock(swept), pytest.raises(ExistsError, match="in use"):
        runs(runs_dir=place, removed=["grid"], is_sure=True)
    assert sorted(swept.rglob("*")) == before
    with hold_run(swept / "stopped"), pytest.raises(ExistsError, match="stopped is in use"):
        runs(runs_dir=place, removed=["grid"], is_sure=True)
    assert sorted(swept.rglob("*")) == before


def test_a_run_of_a_sweep_is_removed_and_keeps_its_name(place, swept):
    with pytest.raises(ConfigurationError, match="its sweep knows it by that name"):
        runs(runs_dir=place, renamed=("grid/complete", "other"))
    runs(runs_dir=place, removed=["grid/complete"], is_sure=True, quiet=True)
    assert not (swept / "complete").exists()
    assert (swept / "stopped.training").exists()


def test_the_results_of_a_renamed_sweep_name_its_runs(place, swept, capsys):
    before = [json.loads(line) for line in (swept / "sweep.jsonl").read_text().splitlines()]
    cells = [record["run"].removeprefix("s/") for record in before]
    runs(runs_dir=place, renamed=("grid", "map"))
    assert capsys.readouterr().err == f"{swept} is now {place / 'map'}\n"
    after = [json.loads(line) for line in (place / "map" / "sweep.jsonl").read_text().splitlines()]
    assert [record["run"] for record in after] == [f"map/{cell}" for cell in cells]
    assert [{**record, "run": ""} for record in after] == [{**r, "run": ""} for r in before]
    with pytest.raises(ExistsError, match="exists"):
        runs(runs_dir=place, renamed=("map", "complete"))


def test_a_sweep_with_a_cell_in_training_is_not_renamed(place, swept):
    with hold_run(swept / "stopped"), pytest.raises(ExistsError, match="stopped is in use"):
        runs(runs_dir=place, renamed=("grid", "map"))
    assert swept.exists()


@pytest.mark.parametrize("options", [{"removed": ["link"]}, {"renamed": ("link", "other")}])
def test_a_link_to_a_sweep_is_left_as_it_is(place, swept, options):
    (place / "link").symlink_to("grid")
    before = sorted(swept.rglob("*")), (swept / "sweep.jsonl").read_bytes()
    with pytest.raises(ModelError, match="is a link to a sweep"):
        runs(runs_dir=place, is_sure=True, **options)
    assert (place / "link").is_symlink()
    assert (sorted(swept.rglob("*")), (swept / "sweep.jsonl").read_bytes()) == before


def test_a_sweep_is_named_as_tab_completes_it(place, swept):
    runs(runs_dir=place, removed=["grid/"], is_sure=True, quiet=True)
    assert not swept.exists()


def test_sweeps_are_listed_before_the_runs(place, capsys):
    save_sweep(place)
    runs(runs_dir=place, as_json=True)
    first, *others = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {"kind": "sweep", "name": "grid", "complete_runs": 0, "runs": 8}
    assert [(line["kind"], line["name"]) for line in others] == [
        ("run", "complete"), ("run", "stopped"),
    ]  # fmt: skip
    assert names(capsys, place, limit=1) == ["complete"]
    assert names(capsys, place, task="copy") == []
