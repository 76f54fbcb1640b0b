"""`s2s plot` and `s2s runs --compare`: in the terminal and in files."""

import csv
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from random_run import checkpoint_of, edit, replace_file, save_random_run
from sample_runs import SWEPT, described, save_sweep, swept

from seq2seq_cli.architecture import Architecture
from seq2seq_cli.cli.commands.plot import plot
from seq2seq_cli.cli.commands.runs import runs
from seq2seq_cli.cli.rendering import output
from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig, TrainingConfig
from seq2seq_cli.errors import ConfigurationError, DataError, ExistsError, ModelError, S2sError
from seq2seq_cli.inference.loading import load_run
from seq2seq_cli.metrics import percent
from seq2seq_cli.prediction import predict
from seq2seq_cli.reports import COMPARISON_CHARTS, RUN_CHARTS, TRAINING_CHARTS
from seq2seq_cli.reports.pictures import plot as draw_chart
from seq2seq_cli.runs.claim import create_folder
from seq2seq_cli.runs.history import Call, EpochRecord, history_text
from seq2seq_cli.sweep.folder import SweepFolder

PLAIN = RunConfig(task=TaskConfig(n_in=4, cardinality=13), model=ModelConfig(units=8))
LOOKING = RunConfig(
    task=TaskConfig(name="copy", n_in="2-6", cardinality=21),
    model=ModelConfig(units=8, attention="dot"),
    training=TrainingConfig(seed=5),
)
SVG = {"file": Path("chart.svg")}
RECORD = EpochRecord(
    1, 1, 640, 1.5, 0.75, 0.5, 0.4, 0.6, 0.75, 0.01, 2.0, 320.0, 10,
    calls=(Call(2, 2, 4.0, 0.0, 0.001), Call(6, 4, 2.0, 0.25, 0.01), Call(10, 4, 1.0, 0.5, 0.0)),
)  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(output, "end_with_reader", lambda: None)
    for name, config in (("plain", PLAIN), ("looking", LOOKING)):
        path = save_random_run(tmp_path / "runs", name, config)
        replace_file(path, "history.jsonl", history_text([RECORD]).encode())
    return tmp_path / "runs"


@pytest.mark.parametrize("width", [80, 40])
@pytest.mark.parametrize("what", RUN_CHARTS)
def test_each_chart_is_drawn_in_the_terminal(folder, capsys, monkeypatch, what, width):
    monkeypatch.setenv("COLUMNS", str(width))
    run = "plain" if what == "decoder-states" else "looking"
    plot(what, run=run, runs_dir=folder, n_samples=None if what in TRAINING_CHARTS else 60)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= width for line in lines)
    assert len(lines) > 3


def test_a_curve_has_the_range_of_its_numbers_and_a_legend(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    plot("loss", run="plain", runs_dir=folder)
    title, *drawn, below, legend = capsys.readouterr().out.splitlines()
    assert title == "Loss"
    assert [line.split()[0] for line in (drawn[0], drawn[6], drawn[-1])] == ["4", "2.375", "0.75"]
    assert below.split() == ["128", "sequences", "trained", "on", "640"]
    assert legend == "o: validation"
    dots = [line[11:] for line in drawn]
    assert 0 < len(dots[0]) < len(dots[-1]) == 48
    assert [line.count("o") for line in dots] == [0] * 11 + [1]
    plot("exact-match", run="plain", runs_dir=folder)
    _, first, *_, last, _, _ = capsys.readouterr().out.splitlines()
    assert (first.split()[0], last.split()[0]) == ("50.00%", "0%")
    plot("learning-rate", run="plain", runs_dir=folder)
    assert capsys.readouterr().out.splitlines()[-1].split()[0] == "128"


def test_losses_of_many_magnitudes_are_drawn_on_a_logarithmic_scale(folder, capsys):
    calls = tuple(Call(step, 1, 10.0 ** (1 - step), 0.0, 0.01) for step in (1, 2, 3, 4, 5))
    record = replace(RECORD, loss=1e-4, calls=calls)
    replace_file(folder / "plain", "history.jsonl", history_text([record]).encode())
    plot("loss", run="plain", runs_dir=folder)
    _, *drawn, _, legend = capsys.readouterr().out.splitlines()
    labels = [line.split()[0] for line in (drawn[0], drawn[6], drawn[-1])]
    assert labels == ["1", "0.01", "0.0001"]
    assert legend == "o: validation   logarithmic scale"
    ends = [len(line) for line in drawn if len(line) > 11]
    assert ends == sorted(ends)  # a straight line
    assert len(ends) == 12


def test_runs_of_different_tasks_and_untrained_lengths_are_noted(folder, capsys):
    plot("results", ["plain", "looking"], runs_dir=folder, n_samples=20)
    assert "note: the tasks differ (" in capsys.readouterr().err
    plot("attention", ["looking"], runs_dir=folder, sequence="1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7")
    assert "note: trained on sources of" in capsys.readouterr().err


def test_several_curves_are_told_apart_by_their_marks(folder, capsys):
    for what, n_marks in (("loss", 2), ("learning-rate", 1)):
        plot(what, ["plain", "looking"], runs_dir=folder)
        lines = capsys.readouterr().out.splitlines()
        assert lines[-1] == "1: plain   2: looking"
        text = "".join(line[11:] for line in lines[1:-2])
        assert text.count("2") == n_marks  # where the runs are equal, the last one's mark is seen


@pytest.mark.parametrize("width", [80, 40])
@pytest.mark.parametrize(
    ("what", "words"), [("grid", ("n_in", "units")), ("lines", ("12", "exact match"))]
)
def test_each_chart_of_a_sweep_is_drawn(folder, capsys, monkeypatch, tmp_path, what, words, width):
    monkeypatch.setenv("COLUMNS", str(width))
    save_sweep(folder)
    plot(what, sweep="grid", runs_dir=folder)
    shown = capsys.readouterr().out
    assert all(len(line) <= width for line in shown.splitlines())
    assert all(word in shown for word in words)
    if what == "lines":
        assert all(percent(record.exact_match) in shown for record in SWEPT)
    plot(what, sweep="grid", runs_dir=folder, file=tmp_path / "chart.svg")
    assert (tmp_path / "chart.svg").read_bytes().startswith(b"<svg")


@pytest.mark.parametrize("width", [80, 40])
@pytest.mark.parametrize("what", COMPARISON_CHARTS)
def test_several_runs_share_a_chart(folder, capsys, monkeypatch, tmp_path, what, width):
    monkeypatch.setenv("COLUMNS", str(width))
    n_samples = None if what in TRAINING_CHARTS else 60
    plot(what, ["plain"], run="looking", runs_dir=folder, n_samples=n_samples)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= width for line in lines)
    file = tmp_path / "chart.svg"
    plot(what, ["plain", "looking"], runs_dir=folder, n_samples=n_samples, file=file)
    drawing = file.read_text()
    assert ">plain</text>" in drawing
    assert ">looking</text>" in drawing


@pytest.mark.parametrize(("what", "run"), [("attention", "looking"), ("decoder-states", "plain")])
def test_the_steps_of_a_sequence_are_drawn(folder, capsys, monkeypatch, tmp_path, what, run):
    monkeypatch.setattr("seq2seq_cli.reports.run.evaluate", None)
    sequence = "7, 11 3 5"
    plot(what, [run], sequence=sequence, runs_dir=folder)
    title, *shown = capsys.readouterr().out.splitlines()
    assert title.endswith("7 11 3 5")
    assert "each predicted token" in " ".join(shown)
    assert "lue" not in " ".join(shown)  # a terminal's shades have no sign
    assert ("1:7" in shown[0]) == (what == "attention")
    for bad, problem in (("1 x", "'x'"), ("1 99", "99"), (",", "empty")):
        with pytest.raises(DataError, match=problem) as raised:
            plot(what, [run], sequence=bad, runs_dir=folder)
        assert "\n" not in str(raised.value)
    draw_chart(load_run(run, folder), what, tmp_path / "chart.csv", sequence=[7, 11, 3, 5])
    (predicted,) = predict(load_run(run, folder), sequence)
    head, *rows = csv.reader((tmp_path / "chart.csv").read_text().splitlines())
    if what == "attention":
        assert head[1:] == ["1:7", "2:11", "3:3", "4:5"]
        assert [row[0].split(":")[1].rstrip("!") for row in rows] == list(
            map(str, predicted.target)
        )
    else:
        tokens = [step.split(":")[1].rstrip("!") for step in head[1:]]
        assert tokens[: len(predicted.target)] == list(map(str, predicted.target))


def test_the_numbers_and_the_specification_are_written(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)  # they need no drawing engine
    file = tmp_path / "loss.csv"
    plot("loss", ["plain"], runs_dir=folder, file=file)
    head, *rows = csv.reader(file.read_text().splitlines())
    assert head == ["run", "data", "sequences trained on", "loss, nats per token"]
    assert rows[0] == ["plain", "training", "128", "4.0"]
    assert rows[-1] == ["plain", "validation", "640", "0.75"]
    file = tmp_path / "loss.vl.json"
    plot("loss", ["plain"], runs_dir=folder, file=file, title="Loss of a run")
    spec = json.loads(file.read_text())
    assert [[str(row[key]) for key in head] for row in spec["data"]["values"]] == rows
    assert (spec["title"], spec["config"]["background"]) == (["Loss of a run"], "white")
    assert spec["$schema"].endswith("vega-lite/v5.json")


@pytest.mark.parametrize(("width", "mm"), [("column", 85), ("text", 178), ("120.5", 120.5)])
def test_a_picture_has_its_physical_size(folder, tmp_path, width, mm):
    def written(suffix, **options):
        file = tmp_path / f"chart.{suffix}"
        plot("loss", ["plain"], runs_dir=folder, file=file, width=width, font_size=9, **options)
        return file.read_bytes()

    svg = written("svg", title="A title").decode()
    assert f'width="{mm}mm"' in svg.partition(">")[0]
    assert ">A title</text>" in svg
    scale = mm / float(re.search(r'viewBox="0 0 ([\d.]+) ', svg)[1])
    labels = [float(size) * scale * 72 / 25.4 for size in re.findall(r'font-size="(11)px"', svg)]
    assert labels == pytest.approx([9] * len(labels), rel=0.01)
    assert labels
    (box,) = re.findall(rb"/MediaBox \[0 0 ([\d.]+)", written("pdf"))
    assert float(box) == pytest.approx(mm / 25.4 * 72, rel=1e-3)
    png = written("png", dpi=150)
    assert int.from_bytes(png[16:20], "big") == pytest.approx(mm / 25.4 * 150, abs=1)
    assert png[(start := png.index(b"pHYs") + 4) : start + 4] == (5906).to_bytes(4, "big")


@pytest.mark.parametrize("suffix", ["svg", "PNG", "pdf"])
def test_a_chart_is_written(folder, tmp_path, suffix, capsys):
    file = tmp_path / f"chart.{suffix}"
    plot("positions", run="plain", runs_dir=folder, n_samples=60, file=file)
    assert capsys.readouterr().out == ""
    magic = {"svg": b"<svg", "PNG": b"\x89PNG", "pdf": b"%PDF"}[suffix]
    assert file.read_bytes().startswith(magic)
    with pytest.raises(ExistsError, match="exists"):
        plot("positions", run="plain", runs_dir=folder, n_samples=60, file=file)
    plot("loss", run="plain", runs_dir=folder, file=file, force=True)


@pytest.mark.parametrize(
    ("what", "options", "message"),
    [
        ("curves", {}, "there is no such chart: give one of lengths"),
        ("lengths", {"n_samples": 60}, "All sources have 4 integers"),
        ("attention", {"n_samples": 60}, "--attention dot"),
        ("generalization", {}, "--lengths RANGE"),
        ("loss", {"lengths": "1-3"}, "--lengths 1-3: the chart loss does not use it"),
        ("loss", {"n_samples": 9}, "--n-samples 9: the chart loss does not use it"),
        ("loss", {"task": "a.py:b"}, "--task a.py:b: the chart loss does not use it"),
        ("loss", {"file": Path("chart.jpg")}, "should end in .svg, .png, .pdf, .csv, .vl.json"),
        ("loss", {"sequence": "1 2"}, "--sequence 1 2: the chart loss does not use it"),
        ("positions", {"names": ["looking"]}, "charts of several are loss, exact-match, learning"),
        ("loss", {"width": "text"}, "add --output FILE"),
        ("loss", {**SVG, "width": "wide"}, "width = wide: should be column, text or 40 to 400 mm"),
        ("loss", {**SVG, "width": "39"}, "width = 39: should be column, text or 40 to 400 mm"),
        ("loss", {**SVG, "width": "nan"}, "width = nan: should be column"),
        ("loss", {**SVG, "font_size": 0}, "font_size = 0: should be 5 to 13 at a width of 85 mm"),
        ("loss", {**SVG, "dpi": 2400}, "dpi = 2400: should be 72 to 600"),
        ("grid", {}, "add --sweep NAME"),
        ("loss", {"sweep": "grid"}, "give one of grid, lines; for a run's charts remove --sweep"),
        ("lines", {"sweep": "grid", "run": "plain"}, "remove plain"),
        ("grid", {"sweep": "../grid"}, "run name"),
        ("grid", {"sweep": "plain"}, "there is no sweep"),
        ("grid", {"sweep": "narrow"}, "a grid needs all combinations of two settings"),
    ],
)
def test_what_cannot_be_drawn_is_refused(folder, what, options, message):
    save_sweep(folder)
    narrow = SweepFolder(folder / "narrow")
    narrow.path.mkdir()
    narrow.write(described("task.n_in=6,12"))
    narrow.write_results([swept(0, 0.5, task__n_in=6)])
    run = None if "sweep" in options else "plain"
    with pytest.raises(S2sError, match=re.escape(message)):
        plot(what, runs_dir=folder, **{"run": run, **options})


@pytest.mark.parametrize("is_running", [False, True])
def test_the_curves_of_a_training_that_is_not_complete_are_drawn(
    tmp_path, folder, capsys, is_running
):
    calls = (Call(12, 2, 0.5, 0.6, 0.001),)
    with create_folder(folder, "new", PLAIN.task, False) as training:
        training.begin(PLAIN)
        with pytest.raises(ModelError, match="no figures until its first checkpoint"):
            plot("loss", ["new"], runs_dir=folder)
        training.save_checkpoint(checkpoint_of(PLAIN))
        with pytest.raises(ModelError, match="no figures until its first checkpoint"):
            plot("loss", ["new"], runs_dir=folder)
        training.save_checkpoint(checkpoint_of(PLAIN, (RECORD,), calls))
        if is_running:
            plot("loss", ["new", "plain"], runs_dir=folder, file=tmp_path / "loss.csv")
    if not is_running:
        plot("loss", ["new", "plain"], runs_dir=folder, file=tmp_path / "loss.csv")
    state = "in training" if is_running else "stopped"
    assert f"note: new is {state}; these are the figures so far\n" in capsys.readouterr().err
    rows = [row.split(",") for row in (tmp_path / "loss.csv").read_text().splitlines()]
    assert [row[2:4] for row in rows if row[:2] == ["new", "training"]] == [
        ["128", "4.0"], ["384", "2.0"], ["640", "1.0"], ["768", "0.5"],
    ]  # fmt: skip
    with pytest.raises(ModelError, match="new"):
        plot("positions", ["new"], runs_dir=folder)


def test_a_history_that_was_changed_is_refused(folder):
    file = folder / "plain" / "history.jsonl"
    file.write_text(history_text([replace(RECORD, exact_match=1.0)]))
    with pytest.raises(ModelError, match="is corrupt"):
        plot("exact-match", run="plain", runs_dir=folder)


def test_runs_are_compared(folder, capsys):
    runs(["plain", "looking", "plain"], compare=True, runs_dir=folder)
    shown = capsys.readouterr().out
    for words in ("plain", "looking", "50%", "40% to 60%", "training.seed"):
        assert words in shown
    assert "training.epochs" not in shown
    runs(["plain", "looking"], compare=True, runs_dir=folder, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert [run["name"] for run in document["runs"]] == ["plain", "looking"]
    assert [run["validation"]["exact_match"] for run in document["runs"]] == [0.5, 0.5]
    assert document["settings"]["training.seed"] == {"plain": "0", "looking": "5"}
    assert [run["difference"] for run in document["runs"]] == [None, None]
    assert document["notes"][0].startswith("the tasks differ (task.name, task.n_in, task.card")


def test_a_comparison_has_differences_and_costs(s2s_here, tmp_path):
    for name, units, shares in (("plain", 8, (0.9, 0.88, 0.92)), ("wide", 16, (0.8, 0.77, 0.83))):
        config = PLAIN.model_copy(update={"model": ModelConfig(units=units)})
        path = save_random_run(tmp_path / "runs", name, config)
        keys = ("exact_match", "exact_match_low", "exact_match_high")
        results = dict(zip(keys, shares, strict=True))
        edit(path / "run.json", lambda manifest, new=results: manifest["results"].update(new))
        edit(path / "run.json", lambda manifest: manifest.update(seconds=75.0))
    result = s2s_here("runs", "compare", "plain", "wide")
    for words in ("-10.0   -13.6 to -6.4", "75 s", "note: runs with the same seed"):
        assert words in result.stdout + result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert s2s_here("runs", "compare", "plain", "wide", "--quiet").stderr == ""
    document = json.loads(s2s_here("runs", "compare", "plain", "wide", "--json").stdout)
    first, second = document["runs"]
    assert first["difference"] is None
    assert second["difference_low"] < second["difference"] < second["difference_high"] < 0
    for run, units in ((first, 8), (second, 16)):
        config = PLAIN.model_copy(update={"model": ModelConfig(units=units)})
        assert run["parameters"] == Architecture.of(config).parameters
        assert (run["seconds"], run["sequences_trained_on"]) == (75.0, 640)


@pytest.mark.parametrize(
    ("names", "compare"), [(["plain"], True), ([], True), (["plain", "looking"], False)]
)
def test_one_run_alone_is_not_compared(folder, names, compare):
    with pytest.raises(ConfigurationError, match="compare"):
        runs(names, compare=compare, runs_dir=folder)
