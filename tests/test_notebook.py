"""The tutorial's notebook runs, and notebooks show progress and evaluations."""

import ast
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

from random_run import load_random
from sample_runs import record
from tiny import tiny_config

import seq2seq_cli
from seq2seq_cli import Progress, evaluate
from seq2seq_cli.metrics import html_table
from seq2seq_cli.training.events import Advanced, EpochEnded, Planned

NOTEBOOK = json.loads((Path(seq2seq_cli.__file__).parent / "help" / "tutorial.ipynb").read_text())
CELLS = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
CODE = ["".join(cell["source"]) for cell in CELLS]
SMALL_SIZES = "N_IN, N_OUT, CARDINALITY, UNITS, N_SAMPLES = 4, 2, 13, 48, 40_000"


def run_cell(code, names):
    """Run a cell; return the value of its last line, which a notebook would show."""
    *statements, last = ast.parse(code).body
    if not isinstance(last, ast.Expr):
        statements, last = [*statements, last], None
    exec(compile(ast.Module(statements, []), "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last else None


def test_the_tutorials_notebook_runs_and_has_its_outputs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert re.match(r"N_IN, N_OUT, CARDINALITY, UNITS, N_SAMPLES = ", CODE[0])
    names = {"__name__": "__main__"}
    shown = [run_cell(code, names) for code in [SMALL_SIZES, *CODE[1:]]]
    assert names["report"].exact_match > 0.9
    assert repr(shown[3]).startswith("run: reverse-prefix-4-2-13\ntask: ")
    assert "<table>" in shown[4]._repr_html_()
    predicted, expected = shown[5]
    assert predicted.tolist() == expected.tolist()
    assert list(shown[6]) == [(1, 48), (1, 48)]
    assert names["difference"] < 1e-5
    assert re.search(r"^epoch 1/1: validation: loss .* exact match ", capsys.readouterr().out)
    assert all(cell["outputs"] for cell in CELLS[1:])


def test_the_tutorials_notebook_uses_the_public_names():
    used = {name for name in seq2seq_cli.__all__ if re.search(rf"\b{name}\b", "\n".join(CODE))}
    others = {"__version__", "define_models", "train_seeds", "encode", "plot"}
    assert used == {*seq2seq_cli.__all__} - others


def test_a_notebook_shows_a_bar_that_moves(monkeypatch, capsys):
    shown = []
    handle = SimpleNamespace(update=lambda progress: shown.append(progress._repr_html_()))

    def display(progress, display_id):
        assert display_id
        handle.update(progress)
        return handle

    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    progress = Progress()
    progress(Planned(1, 2, tiny_config(epochs=2), None, None, "", 1, 1))
    for epoch in (1, 2):
        progress(Advanced(epoch, 2, 640, 0.5, 0.25, 100.0))
        progress(EpochEnded(**vars(record(epoch)) | {"epochs": 2}))
    values = [int(re.search(r'value="(\d+)" max="1280"', html)[1]) for html in shown]
    assert values == [0, 640, 640, 1280, 1280]
    assert shown[-1].count("validation") == 2
    assert capsys.readouterr().out == ""


def test_a_notebook_shows_an_evaluation_as_tables_in_which_markup_stays_text():
    html = evaluate(load_random(tiny_config()), 200)._repr_html_()
    assert html.count("<tr>") == 3 + 1 + 10
    assert "exact match" in html
    html = html_table("<script>", [("<script>", "<b>")], ["<i>"])
    assert not re.search("<(script|b|i)>", html)
    assert "&lt;i&gt;" in html
