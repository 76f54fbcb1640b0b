"""A sample of `terminals.py`; tables keep their numbers on narrow terminals."""

import io
import re

import pytest
import terminals

from seq2seq_cli.cli.rendering import progress
from seq2seq_cli.cli.rendering.tables import table
from seq2seq_cli.training.release import FOLDER_VARIABLE

SAMPLE = (
    "generate",
    "runs",
    "inspect --run deep",
    "evaluate --run deep --n-samples 50",
    "predict --run deep --attention 1,2,3,4,5,6,7,8,1,2,3,4,5,6,7,8,1,2,3,4,5,6,7,8",
)


def test_a_sample_of_commands_is_shown_as_it_should(tmp_path):
    assert terminals.run(8, 3, tmp_path, SAMPLE) == []


def test_a_training_is_shown_on_a_narrow_terminal(tmp_path, monkeypatch):
    """With the table of its data above the progress."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "programs"))  # so that it compiles
    terminals.make_folder(tmp_path)
    line = "train --data own.csv --units 4 --epochs 2 --force --run own --runs-dir trained"
    narrow = terminals.TERMINALS[0]
    code, seen = terminals.run_line(line, narrow, tmp_path)
    assert terminals.judge(line, narrow, code, seen, None) == []
    for words in (b"compiling", b"sequences in", b"exact"):
        assert words in seen
    assert b"oneDNN" not in seen
    before = seen[: seen.index(b"own.csv")]
    assert re.search(rb"\x1b\[2K(\x1b\[[0-9;]*m)*$", before), before[-100:]


ROWS = [("a-name-of-some-length", "3 → 2 of 9", "100,000", "99.99%"), ("b", "4", "1", "0.12%")]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("columns", [("run", "sizes", ">samples", ">exact"), ("run", "sizes")])
def test_no_word_of_a_table_is_cut(capsys, monkeypatch, width, columns):
    monkeypatch.setenv("COLUMNS", str(width))
    rows = [row[: len(columns)] for row in ROWS]
    table("A title", columns, rows)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    words = re.findall(r"\S+", "\n".join(lines))
    assert {word for row in rows for cell in row for word in cell.split()} <= set(words)


@pytest.mark.parametrize("width", [30, 40, 50, 60])
def test_a_short_cell_stays_on_one_line(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    rows = [("sd", "2", "13.88%", "13.35% to 14.42%", "21 s"), ("sw", "8 of 8", "2%", "", "100 s")]
    table("Sweeps", ("name", ">runs", ">median", "range", ">time"), rows)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= width
    assert all(cell in shown for row in rows for cell in row)
    assert ("───" in shown) == (width == 60)
    table("Cells", ("cell", ">steps per seed", "done"), [("x" * (width - 24), "63", "0 of 2")])
    assert "───" in capsys.readouterr().out


@pytest.mark.parametrize("columns", ["0", "-5", "many", "\u00b2", ""])
def test_a_width_that_is_not_one_is_ignored(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    table("A title", ("a", "b"), [("1", "2")])
    assert "A title" in capsys.readouterr().out


def test_without_colours_nothing_is_bold(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    table("A title", ("a", "b"), [("1", "2")])
    assert "\x1b[1m" in capsys.readouterr().out  # negative control
    monkeypatch.setenv("NO_COLOR", "1")
    table("A title", ("a", "b"), [("1", "2")])
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("others", [(), ("",)])
def test_a_cell_wider_than_the_terminal_loses_nothing(capsys, monkeypatch, others):
    monkeypatch.setenv("COLUMNS", "30")
    table("", ("a", "b", "c")[: 2 + len(others)], [("x" * 100, "9" * 100, *others)])
    shown = capsys.readouterr().out
    assert (shown.count("x"), shown.count("9")) == (100, 100)
    assert max(map(len, shown.splitlines())) <= 30


@pytest.mark.parametrize(("width", "has_bar"), [(40, False), (71, False), (72, True), (80, True)])
def test_progress_has_a_bar_where_there_is_room(monkeypatch, width, has_bar):
    from rich.console import Console

    seen = io.StringIO()
    seen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stderr", seen)
    console = Console(file=seen, width=width, force_terminal=True, color_system=None)
    monkeypatch.setattr(progress, "make_console", lambda stderr: console)
    with progress.Progress("epoch 1/10", 100_032) as shown:
        shown.advance(50_016, "12,345/s loss 0.123 exact 99.9912%")
    lines = re.split(r"[\r\n]+", terminals.plain(seen.getvalue().encode()))
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert ("━" in text) == has_bar
    for part in ("epoch 1/10", "12,345/s", "0.123", "99.9912%", "50%"):
        assert part in text
