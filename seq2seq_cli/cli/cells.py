"""How a sweep is shown: its cells beforehand, as they end, and all together."""

import textwrap
from statistics import median
from typing import TYPE_CHECKING, Any

from seq2seq_cli.cli import output
from seq2seq_cli.cli.bars import terminal_width
from seq2seq_cli.cli.board import Board, spell
from seq2seq_cli.metrics import LEARNED, percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seq2seq_cli.sweep.engine.events import CellEnded, Event
    from seq2seq_cli.sweep.record import RunRecord
    from seq2seq_cli.sweep.session import Prepared, Result

SAID = (
    "A seed's exact match is that of one model, measured on held-out sequences: the Wilson "
    "interval that `s2s evaluate` gives is of that measurement. The range is of trainings, "
    "which differ in their seed alone: what another one may come to."
)


class Display:
    """What a user sees of a sweep while it runs."""

    def __init__(self, board: Board, prepared: "Prepared", as_json: bool, quiet: bool) -> None:
        self._board, self._as_json, self._quiet = board, as_json, quiet
        self._total, self._done = len(prepared.planned), 0
        self._known = None if prepared.searches else self._total
        self._has_waited = False

    def show(self, event: "Event") -> None:
        """Show an event of the sweep."""
        from seq2seq_cli.sweep.engine import events

        if isinstance(event, events.CellStarted):
            self._board.begin(event.planned.name, event.seconds)
        elif isinstance(event, events.CellAgain):
            self._board.end(event.planned.name)
            self._say(f"{event.planned.name}: {event.reason}; it is tried again")
        elif isinstance(event, events.CellEnded):
            self._end(event)
        elif isinstance(event, events.Waited) and not event.n_workers and not self._has_waited:
            self._has_waited = True
            self._say("waiting for workers")
        of = "" if self._known is None else f" of {self._known}"
        note = f"{self._done}{of} cells; about {spell(event.left_seconds)} left"
        self._board.move(self._done, max(self._total, self._done), note)

    def _end(self, event: "CellEnded") -> None:
        self._done += 1
        self._board.end(event.planned.name)
        if self._as_json:
            for record in event.records:
                output.write_json({"kind": "run", **record.model_dump()})
            output.flush()
        of = "" if self._known is None else f"/{self._known}"
        how = f"in {spell(event.seconds)}" if event.seconds else "complete before"
        matches = ", ".join(_match(record) for record in event.records)
        left = f"; about {spell(event.left_seconds)} left" if event.left_seconds else ""
        told = f"failed: {event.reason}" if event.reason else f"exact match {matches}, {how}"
        self._say(f"cell {self._done}{of} {event.planned.name}: {told}{left}")

    def _say(self, text: str) -> None:
        output.message(text, self._quiet)


def show_plan(prepared: "Prepared", jobs: int, threads: int, quiet: bool) -> None:
    """Say how many cells and steps there are, and the time that they are expected to take.

    So many jobs run at a time, with so many threads each; 0 is all.
    """
    from seq2seq_cli.resources import Pace

    searches, n = prepared.searches, len(prepared.planned)
    if searches:
        until = prepared.sweep.until
        assert until
        share, n_cells = f"{until.share:g}", _count(len(searches.cells), "cell")
        output.message(
            f"the largest {until.setting} with an exact match of {share}, for {n_cells} x "
            f"{_count(prepared.sweep.seeds, 'seed')}; how many it takes is found on the way",
            quiet,
        )
        return
    left = [planned for planned in prepared.planned if prepared.missing(planned)]
    estimated = [prepared.estimated_seconds(planned) for planned in left]
    seconds = Pace(threads).left(estimated, jobs)
    complete = f", {n - len(left)} of them complete" if len(left) < n else ""
    output.message(
        f"{_count(n, 'cell')} x {_count(prepared.sweep.seeds, 'seed')}{complete}: "
        f"{prepared.steps:,} steps left, about {spell(seconds)} (corrected as it goes)",
        quiet,
    )


def show_cells(prepared: "Prepared") -> None:
    """Print the cells to standard output, without training any."""
    keys = _keys([{**planned.cell.changes, **planned.cell.derived} for planned in prepared.planned])
    rows = []
    for planned in prepared.planned:
        values = {**planned.cell.changes, **planned.cell.derived}
        missing = len(prepared.missing(planned))
        done = planned.n_seeds - missing
        rows.append(
            (
                planned.name,
                *(_value(values.get(key)) for key in keys),
                f"{planned.config.training.total_steps:,}",
                f"{done} of {planned.n_seeds}",
                spell(prepared.estimated_seconds(planned)) if missing else "",
            )
        )
    columns = ("cell", *map(_short, keys), ">steps a seed", ">complete", ">about")
    title = f"{_count(len(rows), 'cell')} x {_count(prepared.sweep.seeds, 'seed')}"
    output.table(title, columns, rows)


def cells_as_json(prepared: "Prepared") -> list[dict[str, Any]]:
    """Return the cells as plain values, without training any."""
    return [
        {
            "kind": "cell",
            "cell": planned.name,
            "settings": {**planned.cell.changes, **planned.cell.derived},
            "seeds": list(planned.seeds),
            "missing": prepared.missing(planned),
            "steps": planned.config.training.total_steps,
            "expected_seconds": round(prepared.estimated_seconds(planned), 1),
        }
        for planned in prepared.planned
    ]


def show_result(result: "Result", quiet: bool) -> None:
    """Print the table of all cells to standard output: every seed, and how they spread."""
    from seq2seq_cli.sweep.summary import noted, summarize

    summaries = summarize(result.records)
    keys = _keys([planned.cell.changes for planned, _ in result.ended])
    changes = {planned.name: planned.cell.changes for planned, _ in result.ended}
    rows = []
    for summary in summaries:
        shares, n = summary.shares, len(summary.records)
        rows.append(
            (
                *(_value(changes[summary.cell].get(key)) for key in keys or [""]),
                ", ".join(map(_match, summary.records)),
                percent(median(shares)) if shares else "none",
                _range(shares),
                f"{summary.n_learned} of {n}",
            )
        )
    columns = (*(map(_short, keys) if keys else ["cell"]), "exact match of each seed", ">median",
               "range", f">at least {LEARNED:.0%}")  # fmt: skip
    output.table(f"{result.folder.name}: predicted freely", columns, rows)
    if result.searches:
        _show_reaches(result)
    output.write(textwrap.fill(SAID, min(100, terminal_width())))
    for note, cells in noted(result.records).items():
        of = "" if len(cells) == len(summaries) else f"{', '.join(cells)}: "
        output.message(f"note: {of}{note}", quiet)
    for note in result.searches.notes if result.searches else ():
        output.message(f"note: {note}", quiet)


def _show_reaches(result: "Result") -> None:
    from seq2seq_cli.sweep.cells.search import median_reach

    until, searches = result.sweep.until, result.searches
    assert until
    assert searches
    rows = []
    for name, reaches in result.reaches().items():
        values = [reach.value for reach in reaches]
        is_open = any(reach.at_least for reach in reaches)
        over = "" if searches.searches[name].is_over else "unfinished"
        rows.append(
            (
                name,
                ", ".join(f"{'>= ' * reach.at_least}{reach.value or 'none'}" for reach in reaches),
                f"{'>= ' * is_open}{median_reach(reaches):g}",
                f"{min(values)} to {max(values)}",
                over,
            )
        )
    title = f"The largest {until.setting} with an exact match of at least {until.share:g}"
    output.table(title, ("cell", "of each seed", ">median", "range", ""), rows)


def result_as_json(result: "Result") -> list[dict[str, Any]]:
    """Return each cell's summary, and what each search has found, as plain values."""
    from seq2seq_cli.sweep.cells.search import median_reach
    from seq2seq_cli.sweep.summary import summarize

    lines = [{"kind": "cell", **summary.as_json()} for summary in summarize(result.records)]
    until, searches = result.sweep.until, result.searches
    if until and searches:
        for name, reaches in result.reaches().items():
            values = [reach.value for reach in reaches]
            lines.append(
                {
                    "kind": "until",
                    "cell": name,
                    "setting": until.setting,
                    "share": until.share,
                    "largest": values,
                    "at_least": [reach.at_least for reach in reaches],
                    "median": median_reach(reaches),
                    "least": min(values),
                    "most": max(values),
                    "finished": searches.searches[name].is_over,
                }
            )
    return lines


def _range(shares: "Sequence[float]") -> str:
    ends = [percent(share) for share in sorted({min(shares), max(shares)})] if shares else []
    return " to ".join(ends)


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _match(record: "RunRecord") -> str:
    return "none" if record.exact_match is None else percent(record.exact_match)


def _keys(settings: "Sequence[Any]") -> list[str]:
    return list(dict.fromkeys(key for item in settings for key in item))


def _short(key: str) -> str:
    return key.partition(".")[2]


def _value(value: object) -> str:
    return "" if value is None else str(value)
