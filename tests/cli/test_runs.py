"""The list of runs: one line for each run, sweep, and training under several seeds."""

import json
import re
import shutil

import pytest
from random_run import edit, save_random_run

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.runs.manifest import MANIFEST
from seq2seq_cli.runs.names import training_path
from seq2seq_cli.sweep.listing import SWEEP_FILE


@pytest.fixture
def seeds(random_runs):
    """Return the folder of runs, with three seeds of other exact matches and times."""
    for seed, exact_match in enumerate((0.25, 0.75, 0.9)):
        folder = shutil.copytree(random_runs / "complete", random_runs / f"complete-seed-{seed}")
        edit(
            folder / MANIFEST,
            lambda manifest, share=exact_match: (
                manifest.update(seconds=40.0),
                manifest["results"].update(exact_match=share),
            ),
        )
    return random_runs


def cells(shown):
    """Return the words of each line after its first."""
    return {
        line.split()[0]: " ".join(line.split()[1:]) for line in shown.splitlines() if line.strip()
    }


def test_several_seeds_are_one_line_with_median_and_range(seeds, s2s_here):
    listed = cells(s2s_here("runs").stdout)
    assert listed["complete"] == "4 → 2 of 13, reverse-prefix 50% 0 s"
    shutil.rmtree(seeds / "complete")
    listed = cells(s2s_here("runs").stdout)
    assert listed["complete-seed-..."] == "3 75.00% 25.00% to 90.00% 2 min"
    assert not any(name.startswith("complete-seed-0") for name in listed)
    listed = cells(s2s_here("runs", "--limit", "9").stdout)
    assert {"complete-seed-0", "complete-seed-1", "complete-seed-2"} <= set(listed)
    documents = s2s_here("runs", "--json").stdout.splitlines()
    assert [json.loads(line)["name"][-1] for line in documents] == ["0", "1", "2"]


def test_runs_of_other_settings_are_not_seeds_of_one_training(seeds, s2s_here):
    wider = RunConfig(task=TaskConfig(n_in=4, n_out=2, cardinality=13), model=ModelConfig(units=9))
    save_random_run(seeds, "complete-seed-3", wider)
    listed = cells(s2s_here("runs").stdout)
    assert {"complete-seed-0", "complete-seed-3"} <= set(listed)
    assert "complete-seed-..." not in listed


def test_an_incomplete_seed_keeps_its_line(seeds, s2s_here):
    (seeds / "complete-seed-1" / MANIFEST).write_text("{")
    listed = cells(s2s_here("runs").stdout)
    assert listed["complete-seed-1"].startswith("is damaged: runs/complete-seed-1/run.json")
    assert "57.50%   25.00% to 90.00%   80 s" in s2s_here("runs").stdout
    shutil.rmtree(seeds / "complete-seed-2")
    assert "complete-seed-0" in cells(s2s_here("runs").stdout)


def test_a_sweep_is_one_line_with_the_results_of_its_complete_runs(seeds, s2s_here):
    (seeds / "sweep").mkdir()
    (seeds / "sweep" / SWEEP_FILE).write_text("seeds = ")
    for seed in range(3):
        (seeds / f"complete-seed-{seed}").rename(seeds / "sweep" / f"units-8-seed-{seed}")
    listed = cells(s2s_here("runs").stdout)
    assert listed["sweep"] == "3 of 3 75.00% 25.00% to 90.00% 2 min"
    assert "sweep" not in cells(s2s_here("runs", "--limit", "9").stdout)
    listed = cells(s2s_here("runs", "--runs-dir", "runs/sweep").stdout)
    assert listed["units-8-seed-..."] == "3 75.00% 25.00% to 90.00% 2 min"


def test_each_run_is_one_line_of_80_columns(seeds, s2s_here):
    attentive = RunConfig(
        task=TaskConfig(name="associative-recall", n_in=9, cardinality=51),
        model=ModelConfig(units=4, attention="dot"),
    )
    save_random_run(seeds, "associative-recall-9-51-dot", attentive)
    save_random_run(
        seeds, "pairs", RunConfig(task=TaskConfig(data="x" * 50), model=ModelConfig(units=4))
    )
    lines = s2s_here("runs", "--limit", "9").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(bool(re.search(r"  \d+(%|\.\d+%)  +\d+ s", line)) for line in lines) == 6
    assert re.search(r"-dot +9 of 51, .* +dot +50% ", "\n".join(lines))


def test_the_next_training_of_a_complete_run_is_listed(random_runs, s2s_here):
    shutil.copytree(random_runs / "complete", training_path(random_runs / "complete"))
    assert "the next training of complete: " in s2s_here("runs").stdout
