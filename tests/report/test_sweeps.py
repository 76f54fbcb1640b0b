"""A sweep's report: the grid of its cells, and lines with every seed."""

import json
from statistics import median

import pytest
from runs_to_see import described, swept

from seq2seq_cli.cli.commands.report import report
from seq2seq_cli.errors import ConfigurationError, ModelError
from seq2seq_cli.report.drawing import draw_for_page
from seq2seq_cli.report.grids import grid_charts, line_charts
from seq2seq_cli.report.sweeps import BASE, grids, latest, lines
from seq2seq_cli.sweep.folder import SweepFolder

TWO = described("task.n_in=6,12,100", "model.units=8,16")
RECORDS = [
    swept(seed, None if (n_in, units) == (100, 8) else round(1 / (n_in * (seed + 1)) * units, 6),
           task__n_in=n_in, model__units=units)
    for n_in in (100, 6, 12) for units in (8, 16) for seed in (0, 1)
]  # fmt: skip


def test_a_grid_has_the_medians_in_order():
    (grid,) = grids(TWO, RECORDS)
    assert (grid.column_setting, grid.row_setting) == ("task.n_in", "model.units")
    assert grid.columns == ("6", "12", "100")
    assert grid.rows == ("8", "16")
    for row, units in zip(grid.values, (8, 16), strict=True):
        for value, n_in in zip(row, (6, 12, 100), strict=True):
            shares = [
                r.exact_match
                for r in RECORDS
                if r.settings == {"task.n_in": n_in, "model.units": units}
            ]
            assert value == (None if None in shares else median(shares))
    (chart,) = grid_charts([grid])
    assert chart.rows[0][-1] == ""
    assert draw_for_page(chart, "grid").count("%") >= 5


def test_lines_have_every_seed():
    found = lines(TWO, RECORDS)
    assert [line.name for line in found] == ["model.units = 8", "model.units = 16"]
    points = [
        (at, seed, share)
        for line in found
        for at, seed, share in zip(line.at, line.seeds, line.share, strict=True)
    ]
    assert len(points) == sum(r.exact_match is not None for r in RECORDS)
    assert list(found[1].medians) == ["6", "12", "100"]
    (chart,) = line_charts(found)
    assert [row[1:] for row in chart.rows] == points
    assert draw_for_page(chart, "lines").count('aria-label="') == 1


def test_of_three_settings_there_is_a_grid_for_each_value_of_the_third():
    sweep = described("task.n_in=6,12", "model.units=8,16", "model.layers=1,2")
    records = [
        swept(0, 0.5, task__n_in=a, model__units=b, model__layers=c)
        for a in (6, 12) for b in (8, 16) for c in (1, 2)
    ]  # fmt: skip
    assert [grid.others for grid in grids(sweep, records)] == [
        "model.layers = 1", "model.layers = 2",
    ]  # fmt: skip


def test_one_factor_at_a_time_has_a_line_over_each():
    sweep = described("task.n_in=12,24", "model.units=16", one_factor=True)
    records = [
        swept(0, 0.9), swept(0, 0.5, task__n_in=12), swept(0, 0.4, task__n_in=24),
        swept(0, 0.8, model__units=16),
    ]  # fmt: skip
    assert grids(sweep, records) == []
    found = {
        line.setting: dict(zip(line.at, line.share, strict=True)) for line in lines(sweep, records)
    }
    assert found["task.n_in"] == {BASE: 0.9, "12": 0.5, "24": 0.4}
    assert found["model.units"] == {BASE: 0.9, "16": 0.8}


def test_of_a_run_that_was_evaluated_again_the_last_counts():
    first, second = swept(0, 0.25, task__n_in=6), swept(0, 0.75, task__n_in=6)
    assert latest([first, second]) == [second]


def test_a_sweep_s_page(tmp_path):
    folder = SweepFolder(tmp_path / "runs" / "s")
    folder.path.mkdir(parents=True)
    file = tmp_path / "page.html"
    with pytest.raises(ModelError, match="there is no sweep"):
        report(sweep="s", runs_dir=tmp_path / "runs", file=file)
    folder.write(TWO)
    with pytest.raises(ModelError, match="has no results: `s2s sweep --resume"):
        report(sweep="s", runs_dir=tmp_path / "runs", file=file)
    lines_ = [json.dumps(r.model_dump()) for r in RECORDS]
    (folder.path / "sweep.jsonl").write_text("\n".join(lines_) + "\n")
    report(sweep="s", runs_dir=tmp_path / "runs", file=file, quiet=True)
    page = file.read_text()
    assert "10 of 12 runs have a result" in page
    assert page.count("<figure") == 2
    assert "its loss is not finite" in page
    with pytest.raises(ConfigurationError, match="--n-samples 9"):
        report(sweep="s", n_samples=9, runs_dir=tmp_path / "runs", file=file)
    with pytest.raises(ConfigurationError, match="reports of their own"):
        report(sweep="s", run="a", runs_dir=tmp_path / "runs", file=file)
