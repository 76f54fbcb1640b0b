"""Pages are valid and need no network, and names in them stay text."""

import json
import re
import resource
import sys
from dataclasses import replace
from html import unescape

import pytest
from random_run import save_random_run
from sample_runs import LOOKING, PLAIN, described, save_runs, save_sweep, swept, with_seed

from seq2seq_cli.architecture import Architecture
from seq2seq_cli.cli.commands.report import report
from seq2seq_cli.cli.commands.runs import runs as runs_command
from seq2seq_cli.config import ModelConfig, TaskConfig
from seq2seq_cli.errors import ConfigurationError, ExistsError, ModelError
from seq2seq_cli.evaluation import Example, evaluate
from seq2seq_cli.inference.loading import load_network, load_run
from seq2seq_cli.metrics import difference, difference_text, wilson_interval
from seq2seq_cli.reports.data import learning_curve
from seq2seq_cli.reports.page import comparison_page, run_page, summary, sweep_page
from seq2seq_cli.reports.run import RunCharts
from seq2seq_cli.runs import listing
from seq2seq_cli.sweep.folder import SweepFolder

MARKUP = "<script>alert(1)</script><b>&amp;"


def has_balanced_tags(page):
    void = {"meta", "link", "br", "path", "line", "rect", "stop", "input"}
    tags = {*re.findall(r"<([a-z]\w*)", page)} - void
    return all(len(re.findall(rf"<{tag}\b", page)) == page.count(f"</{tag}>") for tag in tags)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return save_runs(tmp_path_factory.mktemp("pages") / "runs")


def compared(loaded):
    return comparison_page(loaded, [evaluate(run, 50, n_examples=0) for run in loaded])


def test_a_comparison_reads_each_history_once_and_a_sweep_none(runs, monkeypatch):
    loaded = [load_run(name, runs) for name in ("plain", "looking")]
    save_sweep(runs)
    read, parse = [], listing.parse_history
    monkeypatch.setattr(
        listing, "parse_history", lambda c, path: read.append(path) or parse(c, path)
    )
    compared(loaded)
    assert sorted(path.parent.name for path in read) == ["looking", "plain"]
    sweep_page(SweepFolder(runs / "grid"))
    assert len(read) == 2


def test_a_page_is_valid_and_needs_no_network(runs):
    page = run_page(RunCharts(load_run("looking", runs)))
    assert has_balanced_tags(page)
    icon, *anchors = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert icon == "data:,"
    assert anchors == [f"#{name}" for name in re.findall('<section id="(.*?)">', page)]
    assert page.count("<section") == len(anchors) == 6
    assert re.findall("<script[^>]*>", page) == [
        '<script type="application/json" id="steps">', '<script type="module">',
    ]  # fmt: skip
    assert not re.search(r"(?:src|href|action)=\"?(?:https?:)?//|@import|url\((?!#)", page)
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    assert page.count("<svg") == page.count("<figure") >= 10
    assert "The decoder's states are shown only without attention." in unescape(page)
    assert len(page.encode()) < 1_000_000


def test_names_that_are_markup_stay_text(runs):
    loaded = load_run("plain", runs)
    strange = runs / MARKUP.replace("/", "")
    strange.symlink_to(runs / "plain", target_is_directory=True)
    named = load_network(replace(loaded.run, name=strange.name, path=strange))
    for page in (run_page(RunCharts(named, 50)), compared([loaded, named])):
        assert not re.search("<(script|b)>", page)
        assert "&lt;script&gt;alert(1)&lt;script&gt;" in page
    strange.unlink()


def test_the_header_has_the_verdict_and_the_main_error(runs):
    page = run_page(RunCharts(load_run("plain", runs), 50))
    header = page.split("<header>")[1].split("</header>")[0]
    assert "<strong>No better than chance: " in header
    assert re.search(r"<p>Main error: wrong tokens \(\d+ of \d+\), most wrong tokens at", header)


def test_runs_of_two_sweeps_keep_their_names_apart(tmp_path, capsys):
    for sweep in ("first", "second"):
        save_random_run(tmp_path / sweep, "x", PLAIN)
    names = ["first/x", "second/x"]
    loaded = [load_run(name, tmp_path) for name in names]
    curve = learning_curve([each.run for each in loaded], "loss")
    assert list(dict.fromkeys(row[0] for row in curve.rows)) == names
    page = compared(loaded)
    assert "Comparison of first/x, second/x" in page
    assert re.findall(r"<tr><td>(\w+/x)</td><td>0</td>", page) == names
    runs_command(names, compare=True, runs_dir=tmp_path, as_json=True)
    document = json.loads(capsys.readouterr().out)
    assert [run["name"] for run in document["runs"]] == names


def test_the_summary_names_task_and_model():
    line = summary(PLAIN)
    assert line.startswith("reverse-prefix, 4 → 3 of cardinality 13: LSTMs of 8 units")
    assert "dot attention" in summary(LOOKING)
    custom = PLAIN.model_copy(update={"task": TaskConfig(data="pairs.csv")})
    assert summary(custom).startswith("pairs.csv")


def test_spot_checks_mark_wrong_tokens(runs):
    charts = RunCharts(load_run("plain", runs), 50)
    page = run_page(charts)
    examples = charts.evaluation.examples
    for example in examples:
        assert f"<tr><td>{' '.join(map(str, example.source))}</td>" in page
    wrong = [
        token
        for example in [*(each for each in charts.wrong if each not in examples), *examples]
        for token, right in zip(example.predicted, example.target, strict=True)
        if token != right
    ]
    before, _ = page.split('<section id="step-by-step">')
    assert re.findall(r"<mark>(\d+)!</mark>", before) == list(map(str, wrong))


def test_spot_checks_mark_missing_tokens(runs, monkeypatch):
    charts = RunCharts(load_run("plain", runs), 50)
    long = list(range(1, 71))
    examples = [Example([1, 2, 3, 4], [5, 6, 7], [5]), Example([1, 2, 3, 4], long, long[:58])]
    monkeypatch.setattr(
        RunCharts, "evaluation", replace(charts.evaluation, examples=examples, notes=[])
    )
    page = run_page(charts)
    assert "<td>5 <mark>_!</mark> <mark>_!</mark></td>" in page
    assert "<td>1 2 3 4 5 6" in page
    assert " 57 58 <mark>_!</mark> <mark>_!</mark></td>" in page


@pytest.mark.parametrize(
    ("wrong", "start", "end"), [(None, "1 2", "59 60 … (100)"), (59, "1 2", "59 60 … (100)"),
                                (60, "from 31: 31 32", "89 90 … (100)"),
                                (99, "from 61: 61 62", "99 100 (100)")],
)  # fmt: skip
def test_a_long_spot_check_shows_its_first_wrong_token(runs, monkeypatch, wrong, start, end):
    charts, target = RunCharts(load_run("plain", runs), 50), list(range(1, 101))
    predicted = [0 if index == wrong else token for index, token in enumerate(target)]
    examples = [Example([1, 2, 3, 4], target, predicted)]
    monkeypatch.setattr(RunCharts, "evaluation", replace(charts.evaluation, examples=examples))
    page = run_page(charts)
    (expected, shown) = re.search(r"<td>1 2 3 4</td><td>(.*?)</td><td>(.*?)</td>", page).groups()
    assert expected.startswith(f"{start} ")
    assert expected.endswith(f" {end}")
    assert ("<mark>0!</mark>" in shown) == (wrong is not None)
    assert shown.replace("<mark>0!</mark>", str((wrong or 0) + 1)) == expected


def test_a_missing_library_is_named(runs, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(ConfigurationError) as refused:
        report(run="plain", runs_dir=runs, file=tmp_path / "page.html")
    assert str(refused.value).startswith("charts need vl_convert: pip install '.[report]' in ")
    assert not (tmp_path / "page.html").exists()


def test_a_process_with_few_addresses_is_refused(runs, monkeypatch):
    """The drawing engine would end the process with a signal."""
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (20 * 10**9,) * 2)
    with pytest.raises(ConfigurationError, match="charts need 80 GB of addresses"):
        report(run="plain", runs_dir=runs)


def test_only_reports_are_replaced(runs, tmp_path):
    file = tmp_path / "page.html"
    file.write_text("<p>mine</p>")
    with pytest.raises(ExistsError, match="is not a report"):
        report(run="plain", runs_dir=runs, file=file, n_samples=50)
    assert file.read_text() == "<p>mine</p>"
    report(run="plain", runs_dir=runs, file=file, n_samples=50, force=True, quiet=True)
    before = file.read_text()
    report(run="looking", runs_dir=runs, file=file, n_samples=50, quiet=True)
    assert file.read_text() != before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ["looking"], "run": "plain"}, "looking and --run plain: name the run only once"),
        ({"names": ["plain"], "compare": True}, "at least two different runs"),
        ({"compare": True, "run": "plain"}, "without --run and --lengths"),
        ({"names": ["plain", "looking"], "lengths": "1-9"}, "without --run and --lengths"),
        ({"names": ["plain"], "run": None, "sweep": "grid"}, "without --run and --lengths"),
        ({"sweep": "grid", "run": "plain"}, "(or RUN RUN) and --sweep, without --run"),
        ({"sweep": "grid", "run": None, "tasks": ["x.py:f"]}, "--task x.py:f: a sweep is already"),
        ({"sweep": "grid", "run": None}, "--n-samples 50: a sweep is already"),
        ({"lengths": "nonsense"}, "nonsense"),
        ({"tasks": ["x.py:f"]}, "use the run's task, reverse-prefix"),
    ],
)
def test_options_that_contradict_are_refused(runs, tmp_path, options, message):
    options = {"run": None if "names" in options else "plain"} | options
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        report(runs_dir=runs, file=tmp_path / "page.html", n_samples=50, **options)
    assert not (tmp_path / "page.html").exists()


def test_a_comparison_has_the_settings_that_differ(runs):
    page = compared([load_run("plain", runs), load_run("looking", runs)])
    assert has_balanced_tags(page)
    assert page.count("<figure") == 6
    for text in ("<td>training.seed</td><td>0</td><td>5</td>", "Comparison of plain, looking"):
        assert text in page
    assert "training.epochs" not in page
    assert "All settings are the same." in compared([load_run("plain", runs)] * 2)


def headline(page):
    return " ".join(re.search(r"<strong>(.*?)</strong>", page, re.DOTALL)[1].split())


@pytest.mark.parametrize(
    ("names", "counts", "expected"),
    [
        (("a", "b"), (90, 60),
         "a is best, 30 percentage points above b (95% interval +18 to +41)."),
        (("a", "b"), (60, 63),
         "No run is clearly best: b is 3 percentage points above a, and the 95% interval, "
         "-10 to +16, includes 0."),
        (("a", "a1"), (60, 63),
         "The runs differ only in their seed. Median exact match and range: a and 1 more, 61.50% "
         "(60.00% to 63.00%)."),
        (("b", "a", "a1"), (62, 60, 63),
         "Best median exact match over the seeds: b, 62.00%; next: a and 1 more, 61.50% "
         "(60.00% to 63.00%). Their ranges overlap."),
        (("looking", "a"), (90, 60),
         "Warning: the tasks differ (task.name, task.n_in, task.cardinality): their results are "
         "not comparable."),
    ],
)  # fmt: skip
def test_the_headline_of_a_comparison_says_which_run_is_best(tmp_path, names, counts, expected):
    wide = PLAIN.model_copy(update={"model": ModelConfig(units=9)})
    configs = {"a": PLAIN, "a1": with_seed(PLAIN, 1), "b": wide, "looking": LOOKING}
    for name in names:
        save_random_run(tmp_path, name, configs[name])
    loaded = [load_run(name, tmp_path) for name in names]
    evaluations = []
    for run, right in zip(loaded, counts, strict=True):
        low, high = wilson_interval(right, 100)
        ends = {"exact_match_low": low, "exact_match_high": high}
        evaluation = evaluate(run, 100, n_examples=0)
        evaluations.append(replace(evaluation, exact_match=right / 100, **ends))
    page = comparison_page(loaded, evaluations)
    assert headline(unescape(page)) == expected
    rows = re.findall(r"<tr><td>(.*?)</td></tr>", page[page.index('id="compared"') :])
    first, second = (row.split("</td><td>") for row in rows[:2])
    above = None if "looking" in names else difference(*evaluations[1::-1])
    assert first[4:6] == ["", ""]
    assert second[4:6] == list(difference_text(above))
    config = loaded[0].config
    parameters, trained = Architecture.of(config).parameters, 10 * config.training.batch_size
    assert first[6:9] == [f"{parameters:,}", "0.0 s", str(trained)]


def test_a_sweeps_page_has_its_results_and_problems(tmp_path):
    file, runs = tmp_path / "page.html", tmp_path / "runs"
    runs.mkdir()
    with pytest.raises(ModelError, match="there is no sweep"):
        report(sweep="grid", runs_dir=runs, file=file)
    save_sweep(runs)
    folder = SweepFolder(runs / "grid")
    failed = swept(2, None, task__n_in=6, model__units=8)
    learned = swept(0, 0.995, task__n_in=6, model__units=16)
    trained = learned.model_copy(update={"completed_at": "2026-01-02T12:00:00Z", "seconds": 7.5})
    save_random_run(folder.path, "6-16-seed-0", PLAIN)
    folder.write_results([*folder.saved().values(), failed, trained])
    report(sweep="grid", runs_dir=runs, file=file, quiet=True)
    page = unescape(file.read_text())
    assert has_balanced_tags(page)
    assert headline(page) == (
        "Every seed learned the task in 0 of 4 cells, some seeds in 1, none in 3."
    )
    assert "8 of 9 runs have a result" in page
    assert page.count("<figure") == 2
    cells = {
        tuple(row[:2]): row[2:]
        for row in (
            re.findall(r"<td>(.*?)</td>", row)
            for row in page[page.index('id="cells"') :].split("<tr>")[2:]
        )
    }
    parameters = f"{Architecture.of(PLAIN).parameters:,}"
    shares = "99.50%, 66.67%", "83.08%", "66.67% to 99.50%"
    assert cells["6", "16"] == [*shares, "1 of 2", parameters, "7.5", ""]
    assert cells["6", "8"][0].endswith(", none")
    assert cells["6", "8"][3:] == ["0 of 3", "", "0.0", "its loss is not finite"]
    assert "Trained with keras 3.15.1." in page


def test_a_sweep_is_reproduced_from_its_page(tmp_path, s2s_here):
    folder = SweepFolder(tmp_path / "runs" / "one")
    folder.path.mkdir(parents=True)
    folder.write(described("task.n_in=12,24", "model.units=16", one_factor=True))
    folder.write_results(
        [swept(0, 0.9), swept(0, 0.5, task__n_in=12), swept(0, 0.4, model__units=16)]
    )
    page = unescape(sweep_page(folder))
    cells = re.findall(r"<tr>\n<td>(\d+)</td><td>(\d+)</td>", page)
    assert cells == [("6", "128"), ("12", "128"), ("6", "16")]
    file, command = re.findall(r"<pre id=.*?>(.*?)</pre>", page, re.DOTALL)
    (tmp_path / "sweep.toml").write_text(file)
    planned = s2s_here(*command.split()[1:], "--dry-run", "--json").stdout.splitlines()
    assert [json.loads(line)["settings"] for line in planned] == [
        {}, {"task.n_in": 12}, {"task.n_in": 24}, {"model.units": 16},
    ]  # fmt: skip


def test_runs_on_a_custom_task_are_compared(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def same(sources):\n    return sources\n")
    task = TaskConfig(name="mine.py:same", n_in=4, n_out=4, cardinality=13)
    save_random_run(runs, "custom", PLAIN.model_copy(update={"task": task}))
    file = tmp_path / "page.html"
    options = {"compare": True, "runs_dir": runs, "n_samples": 50, "quiet": True, "file": file}
    with pytest.raises(ConfigurationError, match="task mine.py:same is custom code"):
        report(["custom", "plain"], **options)
    report(["custom", "plain"], tasks=["mine.py:same"], **options)
    assert "mine.py:same" in file.read_text()
    with pytest.raises(ConfigurationError, match="use the run's task, reverse-prefix or copy"):
        report(["plain", "looking"], tasks=["mine.py:same"], **options)
