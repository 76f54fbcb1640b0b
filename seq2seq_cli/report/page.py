"""Charts and what else there is to see of a run -> one page that needs nothing else."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seq2seq_cli.architecture import Architecture
from seq2seq_cli.config import RunConfig
from seq2seq_cli.destination import check_replaceable
from seq2seq_cli.errors import ExistsError
from seq2seq_cli.evaluation import Example
from seq2seq_cli.metrics import LEARNED, percent
from seq2seq_cli.report.chart import Chart
from seq2seq_cli.report.comparison import Comparison
from seq2seq_cli.report.content import Content
from seq2seq_cli.report.drawing import draw_for_page
from seq2seq_cli.report.grids import results_of, sweep_charts
from seq2seq_cli.report.theme import IN_DARK, variable
from seq2seq_cli.runs.advice import again_command, evaluate_command, report_command
from seq2seq_cli.runs.listing import Run
from seq2seq_cli.sweep.folder import SweepFolder
from seq2seq_cli.sweep.summary import summarize

MOST_TOKENS = 60
"""Tokens of a sequence that a page shows."""

SECTIONS = {
    "How it learned": ("loss", "exact-match", "learning-rate"),
    "Where it is right": ("positions", "lengths", "carries", "confusions"),
    "How it does it": ("attention", "decoder-states", "encoder-states"),
}
"""The charts of each part of a run's page."""


@dataclass(frozen=True)
class Drawing:
    """A chart on a page: its element's id, its picture, and the chart with its numbers."""

    id: str
    svg: str
    chart: Chart


GENERATOR = '<meta name="generator" content="s2s">'
"""What tells a report from other pages."""


def check_free(file: Path, force: bool) -> None:
    """Raise an error where something else than an earlier report has this name, or nothing can."""
    check_replaceable(file, is_replaced=True, other="another --output")
    if force or not file.exists():
        return
    with suppress(OSError), file.open("rb") as opened:
        if GENERATOR.encode() in opened.read(1000):
            return
    raise ExistsError(f"{file} is no report: give another --output, or --force to replace it")


def run_page(content: Content) -> str:
    """Return the page of a run, whose charts are all there are."""
    loaded, report = content.loaded, content.report
    assert report is not None
    return _render(
        "run.html",
        title=loaded.run.name,
        summary=summary(loaded.config),
        sections={name: _section(content, names) for name, names in SECTIONS.items()},
        report=report,
        checks=[_marked(example) for example in report.examples],
        wrong=[_marked(example) for example in content.wrong],
        layers=Architecture.of(loaded.config).all_layers,
        run=loaded.run,
        settings=_settings(loaded.config),
        commands=_commands(loaded.run),
    )


def comparison_page(comparison: Comparison) -> str:
    """Return the page that compares runs."""
    drawings = [_drawing(name, chart) for name, chart in comparison.charts.items()]
    title = "Comparison of " + ", ".join(comparison.names)
    return _render("comparison.html", title=title, drawings=drawings, comparison=comparison)


def sweep_page(folder: SweepFolder) -> str:
    """Return the page of a sweep; ModelError where there is none, or no result of it yet."""
    sweep, records = results_of(folder)
    drawings = [
        _drawing(f"{name}-{number}" if number else name, chart)
        for name, charts in sweep_charts(sweep, records).items()
        for number, chart in enumerate(charts)
    ]
    summaries = summarize(records)
    return _render(
        "sweep.html",
        title=f"Sweep {folder.name}",
        n_runs=sum(record.exact_match is not None for record in records),
        n_records=len(records),
        n_learned=sum(summary.n_learned == len(summary.records) for summary in summaries),
        learned_from=LEARNED,
        cells=[summary.as_json() for summary in summaries],
        base=[(key, str(value)) for key, value in sweep.base.items()],
        drawings=drawings,
    )


def summary(config: RunConfig) -> str:
    """Return a run in one line."""
    task, model, training = config.task, config.model, config.training
    sizes = f"{task.name}, {task.n_in} → {task.n_out}" if task.name == "reverse-prefix" else (
        f"{task.name}, {task.n_in} integers"
    )  # fmt: skip
    parts = [f"{model.units} units"]
    if model.layers > 1:
        parts.append(f"{model.layers} layers")
    parts += ["bidirectional"] * model.bidirectional
    parts += [f"{model.attention} attention"] * (model.attention != "none")
    parts += [f"embedding {model.embedding}"] * bool(model.embedding)
    n_trained = training.total_steps * training.batch_size
    return (
        f"{task.data or sizes} of cardinality {task.cardinality}: LSTMs of {', '.join(parts)}, "
        f"{n_trained:,} sequences"
    )


def _section(content: Content, names: Sequence[str]) -> tuple[list[Drawing], list[str]]:
    drawings = [
        _drawing(f"{name}-{number}" if number else name, chart)
        for name in names
        for number, chart in enumerate(content.charts.get(name, ()))
    ]
    other = "decoder-states" if "attention" in content.charts else "attention"
    lines = [content.missing[n] for n in names if n in content.missing and n != other]
    return drawings, lines


def _drawing(name: str, chart: Chart) -> Drawing:
    return Drawing(name, draw_for_page(chart, name), chart)


def _marked(example: Example) -> dict[str, Any]:
    """Return a spot check's texts, its predicted tokens each with whether it is right."""
    target, predicted = example.target, example.predicted
    tokens = [
        (token, number < len(target) and token == target[number])
        for number, token in enumerate(predicted[:MOST_TOKENS])
    ]
    return {
        "source": _text(example.source),
        "target": _text(target),
        "tokens": tokens,
        "n_predicted": len(predicted),
        "is_cut": len(predicted) > MOST_TOKENS,
        "is_right": target == predicted,
    }


def _text(ids: Sequence[int]) -> str:
    shown = " ".join(map(str, ids[:MOST_TOKENS]))
    return shown if len(ids) <= MOST_TOKENS else f"{shown} … ({len(ids)})"


def _settings(config: RunConfig) -> list[tuple[str, str]]:
    return [
        (f"{section}.{key}", str(value))
        for section, values in config.model_dump().items()
        for key, value in values.items()
        if value != ""
    ]


def _commands(run: Run) -> list[str]:
    task = run.config.task
    return [
        again_command(run.path, task),
        evaluate_command(run.path, task),
        report_command(run.path, task),
    ]


def number(value: object) -> str:
    """Return a number of a table with six digits at the most; what is none as text."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _render(template: str, **values: Any) -> str:
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("seq2seq_cli.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "number": number}
    colours = [(variable(light), light, dark) for light, dark in IN_DARK.items()]
    return environment.get_template(template).render(
        colours=colours, generator=Markup(GENERATOR), **values
    )
