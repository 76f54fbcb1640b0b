"""The page: whole, of text that stays text, and refused where it would be in the way."""

import builtins
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from random_run import load_random, save_random_run
from runs_to_see import LOOKING, PLAIN, save_runs

from seq2seq_cli.cli.commands.report import report
from seq2seq_cli.config import TaskConfig
from seq2seq_cli.errors import ConfigurationError, ExistsError
from seq2seq_cli.inference.loading import load_network, load_run
from seq2seq_cli.report.comparison import compare
from seq2seq_cli.report.content import CHARTS, content_of
from seq2seq_cli.report.page import comparison_page, run_page, summary

MARKUP = "<script>alert(1)</script><b>&amp;"


class Tags(HTMLParser):
    """Counts a page's elements, and hears whether all that are opened are closed."""

    VOID = frozenset({"meta", "link", "br", "path", "line", "rect", "stop"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.names.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return save_runs(tmp_path_factory.mktemp("pages") / "runs")


def test_a_page_is_whole_and_asks_for_nothing(runs):
    content = content_of(load_run("looking", runs), n_samples=400)
    page = run_page(content)
    tags = Tags(page)
    assert tags.open == []
    assert tags.addresses == ["data:,"]
    assert "script" not in tags.names
    assert not re.search(r"(?:src|href|action)=\"?(?:https?:)?//|@import|url\((?!#)", page)
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    drawn = sum(map(len, content.charts.values()))
    assert tags.names.count("svg") == tags.names.count("figure") == drawn >= 10
    assert set(content.charts) | set(content.missing) == set(CHARTS)


def test_names_that_are_markup_stay_text(runs):
    loaded = load_run("plain", runs)
    named = load_network(replace(loaded.run, path=loaded.run.path))
    (runs / MARKUP.replace("/", "")).symlink_to(runs / "plain", target_is_directory=True)
    strange = runs / MARKUP.replace("/", "")
    named = load_network(replace(loaded.run, path=strange))
    for page in (
        run_page(content_of(named, n_samples=50)),
        comparison_page(compare([loaded, named], 50)),
    ):
        tags = Tags(page)
        assert {"script", "b"} & set(tags.names) == set()
        assert "&lt;script&gt;alert(1)&lt;script&gt;" in page
        assert "<script" not in page
    strange.unlink()


def test_a_run_in_one_line_names_what_it_is():
    line = summary(PLAIN)
    assert line.startswith("reverse-prefix, 4 → 3 of cardinality 13: LSTMs of 8 units")
    assert "dot attention" in summary(LOOKING)
    own = PLAIN.model_copy(update={"task": TaskConfig(data="pairs.csv")})
    assert summary(own).startswith("pairs.csv")


def test_spot_checks_mark_what_is_wrong(runs):
    content = content_of(load_run("plain", runs), n_samples=50)
    page = run_page(content)
    assert content.report is not None
    for example in content.report.examples:
        assert f"<tr><td>{' '.join(map(str, example.source))}</td>" in page
    wrong = [
        token
        for example in (*content.report.examples, *content.wrong)
        for token, right in zip(example.predicted, example.target, strict=True)
        if token != right
    ]
    assert re.findall(r"<mark>(\d+)!</mark>", page) == list(map(str, wrong))


def test_without_errors_a_line_says_so():
    loaded = load_random(PLAIN)
    content = content_of(loaded, {"positions"}, 50)
    content.put("confusions", [], "None of 150 tokens is wrong.")
    assert "confusions" in content.charts
    assert content.missing["confusions"] == "None of 150 tokens is wrong."


def test_only_what_is_asked_for_is_computed(runs, monkeypatch):
    monkeypatch.setattr("seq2seq_cli.report.content.evaluate", None)
    content = content_of(load_run("plain", runs), {"loss"})
    assert list(content.charts) == ["loss", "exact-match", "learning-rate"]


def test_what_lacks_is_said_in_a_line(runs, monkeypatch, tmp_path):
    imported = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "vl_convert":
            raise ImportError(name, name=name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError) as refused:
        report(run="plain", runs_dir=runs, file=tmp_path / "page.html")
    told = "charts need vl_convert: pip install 'seq2seq-cli[report]'"
    assert str(refused.value) == told
    assert refused.value.exit_code == 2
    assert not (tmp_path / "page.html").exists()


def test_a_process_with_few_addresses_is_told_so(runs, tmp_path):
    """What draws would end it with a signal."""
    line = "ulimit -v 20000000; exec {} -m seq2seq_cli report --run plain --runs-dir {} -q"
    command = line.format(shlex.quote(sys.executable), shlex.quote(str(runs)))
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("s2s: charts need 80 GB of addresses")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_report_is_replaced_and_nothing_else(runs, tmp_path):
    file = tmp_path / "page.html"
    file.write_text("<p>mine</p>")
    with pytest.raises(ExistsError, match="is no report"):
        report(run="plain", runs_dir=runs, file=file, n_samples=50)
    assert file.read_text() == "<p>mine</p>"
    report(run="plain", runs_dir=runs, file=file, n_samples=50, force=True, quiet=True)
    before = file.read_text()
    report(run="looking", runs_dir=runs, file=file, n_samples=50, quiet=True)
    assert file.read_text() != before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"names": ["plain"]}, "plain: give --run plain"),
        ({"names": ["plain"], "compare": True}, "give two runs or more"),
        ({"compare": True, "run": "plain"}, "remove --run"),
        (
            {"sweep": "grid", "run": None, "task": "x.py:f"},
            "--task x.py:f: a sweep is already",
        ),
        ({"lengths": "nonsense"}, "nonsense"),
        ({"task": "x.py:f"}, "use the run's task, reverse-prefix"),
    ],
)
def test_what_does_not_fit_is_refused(runs, tmp_path, options, told):
    given = {"run": None if "names" in options else "plain"} | options
    with pytest.raises(ConfigurationError, match=re.escape(told)):
        report(runs_dir=runs, file=tmp_path / "page.html", n_samples=50, **given)
    assert not (tmp_path / "page.html").exists()


def test_a_comparison_has_what_differs(runs):
    comparison = compare([load_run("plain", runs), load_run("looking", runs)], 60)
    assert comparison.settings["task.name"] == ("reverse-prefix", "copy")
    assert comparison.settings["training.seed"] == ("0", "5")
    assert "training.epochs" not in comparison.settings
    page = comparison_page(comparison)
    assert Tags(page).open == []
    for text in ("<td>training.seed</td><td>0</td><td>5</td>", "Comparison of plain, looking"):
        assert text in page
    alone = comparison_page(compare([load_run("plain", runs)] * 2, 20))
    assert "All settings are the same." in alone


def test_runs_on_an_own_task_are_compared(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def same(sources):\n    return sources\n")
    task = TaskConfig(name="mine.py:same", n_in=4, n_out=4, cardinality=13)
    save_random_run(runs, "own", PLAIN.model_copy(update={"task": task}))
    options = {"compare": True, "runs_dir": runs, "n_samples": 50, "quiet": True}
    with pytest.raises(ConfigurationError, match="--task mine.py:same"):
        report(["own", "plain"], file=tmp_path / "page.html", **options)
    report(["own", "plain"], file=tmp_path / "page.html", task="mine.py:same", **options)
    assert "mine.py:same" in (tmp_path / "page.html").read_text()
    with pytest.raises(ConfigurationError, match="use the run's task, reverse-prefix or copy"):
        report(["plain", "looking"], file=tmp_path / "page.html", task="mine.py:same", **options)


def test_a_page_of_ten_thousand_sequences_is_small(runs):
    page = run_page(content_of(load_run("looking", runs)))
    assert len(page.encode()) < 1_000_000
