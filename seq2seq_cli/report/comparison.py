"""Several runs -> what differs between them, and what each has come to."""

from collections.abc import Sequence
from dataclasses import dataclass

from seq2seq_cli.data.tasks import Task
from seq2seq_cli.evaluation import DEFAULT_SAMPLES, OnProgress, Report, evaluate
from seq2seq_cli.inference.network import LoadedRun
from seq2seq_cli.report.chart import Chart
from seq2seq_cli.report.charts import curve_charts, results_chart
from seq2seq_cli.report.figures import Shares, learning_curve
from seq2seq_cli.runs.differences import differing_settings


@dataclass(frozen=True)
class Comparison:
    """Runs beside each other."""

    names: tuple[str, ...]
    settings: dict[str, tuple[str, ...]]  # that are not alike, each run's value
    reports: tuple[Report, ...]
    charts: dict[str, Chart]


def compare(
    loaded: Sequence[LoadedRun],
    n_samples: int = DEFAULT_SAMPLES,
    progress: OnProgress | None = None,
    task: Task | None = None,
) -> Comparison:
    """Return a comparison of runs, each evaluated on held-out sequences of its own task.

    `task` is that of the runs whose task is a user's own.
    """
    names = tuple(run.run.name for run in loaded)
    curves = [
        learning_curve(name, run.run.history(), run.config.training)
        for name, run in zip(names, loaded, strict=True)
    ]
    reports = tuple(
        evaluate(run, n_samples, n_examples=0, progress=progress, task=_own(run, task))
        for run in loaded
    )
    shares = Shares(
        at=tuple(range(len(reports))),
        share=tuple(report.exact_match for report in reports),
        low=tuple(report.exact_match_low for report in reports),
        high=tuple(report.exact_match_high for report in reports),
        n=tuple(report.n_samples for report in reports),
    )
    charts = {"results": results_chart(names, shares), **curve_charts(curves)}
    settings = differing_settings([run.config for run in loaded])
    return Comparison(names, settings, reports, charts)


def _own(run: LoadedRun, task: Task | None) -> Task | None:
    return task if task and run.config.task.name == task.name else None
