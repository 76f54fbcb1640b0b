"""Bars in a table, maps, and the curve of the losses next to the progress."""

import io
import re
import sys

import pytest
import terminals
from hypothesis import given
from hypothesis import strategies as st
from random_run import load_random

from seq2seq_cli.cli.rendering import progress as module
from seq2seq_cli.cli.rendering.charts import heat_map
from seq2seq_cli.cli.rendering.evaluation import show_evaluation
from seq2seq_cli.cli.rendering.progress import LEVELS, Progress, sparkline
from seq2seq_cli.cli.rendering.training import TrainingProgress
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.evaluation import evaluate
from seq2seq_cli.training.events import Advanced, Finished, Resumed, SeedBegun


@given(st.lists(st.floats(1e-6, 1e6), max_size=100), st.integers(1, 30))
def test_a_curve_fits_its_width_and_reaches_both_ends(values, width):
    drawn = sparkline(values, width)
    assert len(drawn) == min(width, len(values))
    assert set(drawn) <= set(LEVELS)
    if len(values) <= width and len(set(values)) > 1:
        assert drawn[values.index(min(values))] == LEVELS[0]
        assert drawn[values.index(max(values))] == LEVELS[-1]


def test_losses_are_drawn_by_their_logarithms():
    assert sparkline([8, 4, 2, 1], 9) == "█▆▃▁"
    assert sparkline([3, 3], 9) == "▁▁"
    assert sparkline([4, 4, 1, 1], 2) == "█▁"
    assert sparkline([1, 0], 2) == "█▁"


def test_maps_are_folded_at_the_edge_of_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    names = [f"{n}: {n}" for n in range(10)]
    heat_map(["a", "b"], names, [[1.0] * 10, [0.0] * 10])
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 20 for line in lines)
    assert sum(line.count("█") for line in lines) == 10 * 4


@pytest.mark.parametrize("width", [80, 40])
def test_the_table_of_accuracies_has_bars_if_they_fit(capsys, monkeypatch, width):
    task = TaskConfig(name="reverse", n_in="2-4", cardinality=9)
    report = evaluate(load_random(RunConfig(task=task, model=ModelConfig(units=4))), 200)
    report.tally.right[:3], report.tally.all[:3] = [100, 50, 25], 100
    report.examples.clear()
    monkeypatch.setenv("COLUMNS", str(width))
    show_evaluation(report)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= width for line in lines)
    shown = {" ".join(line.split()[:2]): line for line in lines if "%" in line}
    lengths = [shown[f"position {n}"].count("█") for n in (1, 2, 3)]
    assert lengths == ([24, 12, 6] if width == 80 else [0, 0, 0])
    assert "50%" in shown["position 2"]
    assert "length 4" in shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("columns", "is_drawn"), [(120, True), (80, True), (79, False)])
def test_the_bar_has_the_curve_of_the_losses_where_there_is_room(monkeypatch, columns, is_drawn):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    with Progress("training", 3) as progress:
        for loss in (4.0, 2.0, 1.0):
            progress.advance(1, "note", loss=loss)
    assert ("█▄▁" in stream.getvalue() or "█▅▁" in stream.getvalue()) == is_drawn


@pytest.mark.parametrize("columns", [80, 120])
def test_a_training_fits_on_a_line_and_ends_with_its_curve(monkeypatch, columns):
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    with TrainingProgress(quiet=False) as progress:
        progress.advance(total=10_000)
        progress.show(SeedBegun(10, 100, 12, "a-seed-12", is_complete=False))
        for n in range(10):
            progress.show(Advanced(10, 100, 640, 0.0123456 * 0.63**n, 0.99912, 12_345.6))
        assert progress.curve == "training loss █▇▆▆▅▄▃▃▂▁ 0.0123 to 1.93e-4"
        progress.show(Finished(100, 100, None, 100, None, ""))
        progress.show(SeedBegun(1, 100, 13, "a-seed-13", is_complete=False))
    assert progress.curve == ""
    lines = re.split(r"[\r\n]+", terminals.plain(stream.getvalue().encode()))
    assert max(map(len, lines)) <= columns
    (*_, last) = (line for line in lines if "epoch 10/100" in line)
    assert last.endswith("loss 1.93e-4 exact (training) 99.9%")
    assert "seed 12: training loss █" in stream.getvalue()
    assert ("▃▂▁" if columns == 80 else "█▇▆▆▅▄▃▃▂▁") in last


def test_earlier_work_says_nothing_about_the_time_left(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    progress = TrainingProgress(quiet=False)
    progress._n_samples = 5_000  # of each of two seeds, the first of which is complete
    progress.advance(total=10_000)
    clock = [0.0]
    progress._bars.get_time = lambda: clock[0]
    progress.show(SeedBegun(1, 2, 3, "a-seed-3", is_complete=True))
    progress.show(Resumed(1, 2, 4_000, ()))
    for seconds in (60.0, 61.0):  # after compiling
        clock[0] = seconds
        progress.show(Advanced(2, 2, 100, 0.5, 0.5, 100.0))
    (whole,) = progress._bars.tasks
    assert (whole.completed, whole.time_remaining) == (9_200, 8)


def test_without_a_terminal_no_curve_is_computed(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    monkeypatch.setattr(module, "sparkline", None)
    with Progress("training", 3) as progress:
        progress.advance(1, loss=2.0)
