"""Shows evaluations: of a run, at each length, and of several seeds."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from seq2seq_cli.cli.rendering.output import message
from seq2seq_cli.cli.rendering.tables import coloured_message, mark_errors, shorten, table
from seq2seq_cli.metrics import (
    ERRORS,
    LEARNED,
    exact_match_text,
    interval_text,
    lengths_text,
    percent,
    percent_of,
    percent_range,
    spread_as_json,
    spread_text,
)

if TYPE_CHECKING:
    from seq2seq_cli.evaluation import Evaluation
    from seq2seq_cli.generalization import LengthCurve, LengthResult
    from seq2seq_cli.runs.listing import SeedRun

    SeedReport = tuple[SeedRun, Evaluation | None]
    """What a seed's training led to, and the evaluation of its run if there is one."""

COLOURS = {"learned": "green", "not learned": "yellow", "no better than chance": "red"}
"""The colour of an exact match, by the status of the task."""

MOST_ROWS = 12
"""Maximum rows of positions or lengths; if there are more, neighbours share a row."""


def show_evaluation(report: "Evaluation", quiet: bool = False) -> None:
    """Print the accuracies and the examples to standard output, and the notes to standard error."""
    tally, loss, (n_right, n_tokens) = report.tally, report.loss, report.tally.tokens
    positions = enumerate(zip(tally.right.tolist(), tally.all.tolist(), strict=True), 1)
    shares = _grouped("position", positions, report.exact)
    if len(tally.lengths) > 1:
        shares += _grouped("length", sorted(tally.lengths.items()), report.exact)
    first = [
        ("exact match", exact_match_text(report)),
        *([] if report.exact else [("  95% interval", interval_text(report))]),
        *([("token accuracy", percent_of(n_right, n_tokens, report.exact))] if n_tokens else []),
    ]
    last = [
        *([] if loss is None else [("loss", f"{loss:.6f}")]),
        ("sequences/s", f"{report.sequences_per_s:,.0f}"),
    ]
    table(
        f"{report.run}: {report.evaluated}, predicted freely",
        ("accuracy", ">value"),
        [*first, *((name, text) for name, text, _ in shares), *last],
        bars=[*[None] * len(first), *(share for *_, share in shares), *[None] * len(last)],
    )
    if report.examples:
        table(
            "Spot checks (a wrong token is marked !, a missing one _!)",
            ("source", "expected", "predicted", ""),
            [
                (
                    shorten(example.source),
                    *mark_errors(example.target, example.predicted),
                    "ok" if example.target == example.predicted else "wrong",
                )
                for example in report.examples
            ],
        )
    for note in report.notes:
        message(f"note: {note}", quiet)
    text, colour = f": {'; '.join(tally.verdict)}", COLOURS[tally.status]
    coloured_message(f"exact match {exact_match_text(report)}", colour, text, quiet)


def _grouped(
    label: str, counts: Iterable[tuple[int, tuple[int, int]]], exact: bool
) -> list[tuple[str, str, float]]:
    """Return names and shares of positions or lengths from counts of right and all.

    If there are many, neighbours share a row.
    """
    counted = [(number, right, n) for number, (right, n) in counts if n]
    size = max(1, -(-len(counted) // MOST_ROWS))
    rows = []
    for start in range(0, len(counted), size):
        numbers, rights, totals = zip(*counted[start : start + size], strict=True)
        first, last, right, n = numbers[0], numbers[-1], sum(rights), sum(totals)
        name = f"  {label} {first}" if first == last else f"  {label}s {first} to {last}"
        rows.append((name, percent_of(right, n, exact), right / n))
    return rows


def evaluation_as_json(report: "Evaluation") -> dict[str, Any]:
    """Return the report as plain values for `--json`."""
    document = asdict(report)
    document["examples"] = [example._asdict() for example in report.examples]
    document["errors"] = {kind: report.tally.errors[kind] for kind in ERRORS}
    del document["tally"]
    return document


def show_lengths(curve: "LengthCurve", quiet: bool = False) -> None:
    """Print a row for each length to standard output, a summary, and notes to standard error."""
    table(
        f"{curve.run}: held-out sequences of each length, predicted freely",
        (">length", ">exact match", ">95% interval", ">sequences", "trained on"),
        [_length_row(result) for result in curve.lengths],
        bars=[result.exact_match for result in curve.lengths],
    )
    learned = "none" if curve.longest_learned is None else f"{curve.longest_learned:,}"
    rows = [("longest length at least 99% exact", learned)]
    if curve.mean_beyond is not None:
        name = f"mean exact match beyond {curve.longest_trained:,}, the longest trained on"
        rows.append((name, percent(curve.mean_beyond)))
    table("Generalization", ("", ">value"), rows)
    for note in curve.notes:
        message(f"note: {note}", quiet)
    accuracy = {r.length: r.exact_match for r in curve.lengths if r.exact_match is not None}
    if accuracy:
        trained = f"the longest length trained on is {curve.longest_trained:,}"
        message(f"exact match {lengths_text(accuracy)}; {trained}", quiet)


def _length_row(result: "LengthResult") -> tuple[str, ...]:
    trained = "yes" if result.is_trained else ""
    if result.exact_match is None or result.exact_match_low is None:
        return f"{result.length:,}", "", "none held out", "0", trained
    low, high = result.exact_match_low, result.exact_match_high or 0
    share, interval = percent(result.exact_match, low, high), percent_range(low, high)
    n_samples = f"{'all ' if result.exact else ''}{result.n_samples:,}"
    return f"{result.length:,}", share, "exact" if result.exact else interval, n_samples, trained


def show_seeds(results: "Sequence[SeedReport]", quiet: bool = False) -> None:
    """Print a table of all seeds to standard output, and the notes to standard error."""
    reports = [report for _, report in results if report]
    rows = [
        (str(run.seed), exact_match_text(report), "" if report.exact else interval_text(report))
        if report
        else (str(run.seed), "none", "its loss is not finite")
        for run, report in results
    ]
    title = "no seed finished"
    if reports:
        title = f"{reports[0].evaluated}, predicted freely"
        of = "" if len(reports) == len(results) else f" of {len(reports)}"
        middle, ends = spread_text([report.exact_match for report in reports])
        rows += [(f"median{of}", middle, ""), (f"range{of}", "", ends)]
        n_learned = _n_learned(reports)
        share = percent(n_learned / len(results), 0, 1)
        rows.append((f"at least {LEARNED:.0%}", share, f"{n_learned} of {len(results)} seeds"))
    first = results[0][0]
    name = first.path.name.removesuffix(str(first.seed))
    columns = ("seed", ">exact match", "95% interval")
    table(f"{name}...: {title}", columns, rows)
    for note in dict.fromkeys(note for report in reports for note in report.notes):
        message(f"note: {note}", quiet)
    if reports:
        colour = "green" if n_learned == len(results) else "yellow" if n_learned else "red"
        text = f": {n_learned} of {len(results)} seeds learned the task"
        coloured_message(f"median exact match {middle}", colour, text, quiet)


def seeds_as_json(results: "Sequence[SeedReport]") -> dict[str, Any]:
    """Return all seeds and their spread as plain values for `--json`.

    A seed without a run has its problem; if no seed has a run, the figures are null.
    """
    reports = [report for _, report in results if report]
    return {
        "seeds": [
            {
                "seed": run.seed,
                "path": str(run.path),
                "problem": run.problem,
                **(evaluation_as_json(report) if report else {}),
            }
            for run, report in results
        ],
        **spread_as_json([report.exact_match for report in reports]),
        "learned": _n_learned(reports) / len(results),
        "learned_from": LEARNED,
    }


def _n_learned(reports: "Iterable[Evaluation]") -> int:
    return sum(report.exact_match >= LEARNED for report in reports)
