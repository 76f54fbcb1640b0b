"""Builds one HTML page, which needs no other file, from charts and results."""

import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from seq2seq_cli.architecture import Architecture
from seq2seq_cli.config import RunConfig
from seq2seq_cli.data.tasks import Task
from seq2seq_cli.errors import ConfigurationError, ExistsError
from seq2seq_cli.evaluation import Evaluation
from seq2seq_cli.evaluation_data import compare_runs
from seq2seq_cli.inference.loading import AnyRun, as_loaded
from seq2seq_cli.inference.network import LoadedRun
from seq2seq_cli.metrics import (
    LEARNED,
    difference,
    difference_text,
    exact_match_text,
    interval_text,
    percent,
    percent_of,
    spread_text,
)
from seq2seq_cli.reports import FOLDED, SECTIONS
from seq2seq_cli.reports.data import (
    Chart,
    cells,
    comparison_charts,
    headings,
    number,
    series,
    sweep_charts,
)
from seq2seq_cli.reports.pictures import IN_DARK, draw_for_page, need_libraries, variable
from seq2seq_cli.reports.run import NoChartError, RunCharts
from seq2seq_cli.runs.advice import (
    again_command,
    elsewhere_command,
    evaluate_command,
    report_command,
)
from seq2seq_cli.settings import differing_settings
from seq2seq_cli.storage import check_replaceable, write_text
from seq2seq_cli.sweep.folder import SweepFolder
from seq2seq_cli.sweep.results import Summary, summarize

GENERATOR = '<meta name="generator" content="s2s">'
"""The line that distinguishes a report from other pages."""


def report(run: AnyRun, file: str | Path, task: Task | None = None, force: bool = False) -> None:
    """Write a page of charts of a run, as `s2s report` does.

    An earlier report is replaced. `task` is the run's task if it is a custom one. Raises
    ConfigurationError without the extra "report" or for a suffix other than .html, ExistsError if
    the file exists and is not a report, unless `force` is set, and StorageError if writing fails.
    """
    loaded = as_loaded(run)
    need_libraries()
    check_free(Path(file), force)
    write_text(Path(file), run_page(RunCharts(loaded, task=task)))


def check_free(file: Path, force: bool) -> None:
    """Raise an error if the file cannot be written, or exists and is not an earlier report."""
    if file.suffix.lower() not in (".html", ".htm"):
        raise ConfigurationError(f"{file}: the name should end in .html")
    check_replaceable(file, is_replaced=True, other="another --output")
    if force or not file.exists():
        return
    with suppress(OSError), file.open("rb") as opened:
        if GENERATOR.encode() in opened.read(1000):
            return
    raise ExistsError(f"{file} is not a report: give another --output, or --force to replace it")


def run_page(run: RunCharts) -> str:
    """Return the page of a run with all of its charts."""
    loaded, task = run.loaded, run.loaded.config.task
    commands = again_command, evaluate_command, report_command
    return _render(
        "run.html",
        title=loaded.run.name,
        summary=summary(loaded.config),
        sections={title: _section(run, names) for title, names in SECTIONS.items()},
        folded=FOLDED,
        evaluation=run.evaluation,
        verdict=run.evaluation.tally.verdict,
        steps=run.steps(),
        wrong=[example for example in run.wrong if example not in run.evaluation.examples],
        layers=Architecture.of(loaded.config).all_layers,
        manifest=loaded.run.manifest,
        config=loaded.config,
        elsewhere=elsewhere_command(task),
        commands="\n".join(command(loaded.run.path, task) for command in commands),
    )


def _section(run: RunCharts, names: Sequence[str]) -> tuple[dict[str, list[Chart]], list[str]]:
    """Return the charts of a section, and the reasons why others are missing."""
    charts, reasons = dict[str, list[Chart]](), list[str]()
    for name in names:
        try:
            charts[name] = run.charts(name)
        except NoChartError as reason:
            reasons.append(str(reason))
    return charts, reasons


def comparison_page(loaded: Sequence[LoadedRun], evaluations: Sequence[Evaluation]) -> str:
    """Return the page that compares runs by their evaluations."""
    runs = [one.run for one in loaded]
    names, configs = series(runs), [run.config for run in runs]
    differences, notes = compare_runs(configs, evaluations)
    verdict = comparison_verdict(names, evaluations) if differences[1] else f"Warning: {notes[0]}."
    return _render(
        "comparison.html",
        title="Comparison of " + ", ".join(dict.fromkeys(names)),
        charts=comparison_charts(runs, evaluations),
        verdict=verdict,
        compared=list(zip(runs, evaluations, differences, strict=True)),
        notes=notes,
        settings=[(key, *values) for key, values in differing_settings(configs).items()],
    )


def sweep_page(folder: SweepFolder) -> str:
    """Return the page of a sweep; ModelError if there is none, or it has no results yet."""
    sweep, records = folder.read_results()
    summaries = summarize(records)
    runs = {record.cell: run for record in records if (run := folder.run(record))}
    return _render(
        "sweep.html",
        title=f"Sweep {folder.name}",
        sweep=sweep,
        records=records,
        verdict=sweep_verdict(summaries),
        summaries=summaries,
        learned_from=LEARNED,
        keys=dict.fromkeys(key for record in records for key in record.settings),
        parameters={cell: Architecture.of(run.config).parameters for cell, run in runs.items()},
        versions=sorted({item for run in runs.values() for item in run.manifest.versions.items()}),
        charts=sweep_charts(sweep, records),
    )


def comparison_verdict(names: Sequence[str], evaluations: Sequence[Evaluation]) -> str:
    """Return which run is best; if several share a name, which name has the best median."""
    shares: dict[str, list[float]] = {}
    for name, evaluation in zip(names, evaluations, strict=True):
        shares.setdefault(name, []).append(evaluation.exact_match)
    if len(shares) == len(names):
        best, second, *_ = sorted(evaluations, key=lambda each: -each.exact_match)
        lead = difference(best, second)
        points, interval = difference_text(lead)
        above = f"{points[1:]} percentage points above {second.run}"
        if lead[1] > 0:
            return f"{best.run} is best, {above} (95% interval {interval})."
        return (
            f"No run is clearly best: {best.run} is {above}, and the 95% interval, {interval}, "
            "includes 0."
        )
    ranked = sorted(shares, key=lambda name: -median(shares[name]))
    first, *others = (
        f"{name}, {middle} ({ends})" if len(shares[name]) > 1 else f"{name}, {middle}"
        for name in ranked
        for middle, ends in [spread_text(shares[name])]
    )
    if not others:
        return f"The runs differ only in their seed. Median exact match and range: {first}."
    overlap = min(shares[ranked[0]]) <= max(shares[ranked[1]])
    return (
        f"Best median exact match over the seeds: {first}; next: {others[0]}."
        f"{' Their ranges overlap.' * overlap}"
    )


def sweep_verdict(summaries: Sequence[Summary]) -> str:
    """Return in how many cells all seeds, some and none have learned the task."""
    n_all = sum(summary.n_learned == len(summary.records) for summary in summaries)
    n_none = sum(summary.n_learned == 0 for summary in summaries)
    n_some = len(summaries) - n_all - n_none
    parts = [f"Every seed learned the task in {n_all} of {len(summaries)} cells"]
    parts += [f"some seeds in {n_some}"] * (n_some > 0) + [f"none in {n_none}"] * (n_none > 0)
    return ", ".join(parts) + "."


def summary(config: RunConfig) -> str:
    """Return a run in one line."""
    task, model, training = config.task, config.model, config.training
    sizes = f"{task.name}, {task.n_in} integers"
    if task.name == "reverse-prefix":
        sizes = f"{task.name}, {task.n_in} → {task.n_out}"
    parts = [f"{model.units} units"]
    parts += [f"{model.layers} layers"] * (model.layers > 1)
    parts += ["bidirectional"] * model.bidirectional
    parts += [f"{model.attention} attention"] * (model.attention != "none")
    parts += [f"embedding {model.embedding}"] * bool(model.embedding)
    n_trained = training.total_steps * training.batch_size
    return (
        f"{task.data or sizes} of cardinality {task.cardinality}: LSTMs of {', '.join(parts)}, "
        f"{n_trained:,} sequences"
    )


def _render(template: str, **values: Any) -> str:
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("seq2seq_cli.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "drawn": draw_for_page}
    environment.filters |= {"cells": cells, "headings": headings}
    environment.filters |= {"exact_match": exact_match_text, "interval": interval_text}
    environment.filters |= {"quote": shlex.quote, "spread_text": spread_text}
    functions = (percent, percent_of, difference_text)
    environment.globals |= {function.__name__: function for function in functions}
    colours = [(variable(light), light, dark) for light, dark in IN_DARK.items()]
    return environment.get_template(template).render(
        colours=colours, generator=Markup(GENERATOR), **values
    )
