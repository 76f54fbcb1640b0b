"""Shows a sweep: its cells before the start, as they end, and all results."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from seq2seq_cli.cli.rendering import output
from seq2seq_cli.cli.rendering.output import duration
from seq2seq_cli.cli.rendering.progress import Progress
from seq2seq_cli.cli.rendering.tables import make_console, table
from seq2seq_cli.metrics import LEARNED, percent, spread, spread_text

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

    from seq2seq_cli.sweep.dispatch import CellEnded, Event
    from seq2seq_cli.sweep.results import RunRecord
    from seq2seq_cli.sweep.search import Searches
    from seq2seq_cli.sweep.session import Prepared, Result

EXPLANATION = (
    "A seed's exact match is that of one model, measured on held-out sequences; the Wilson "
    "interval of `s2s evaluate` is that of the measurement. The range is over trainings that "
    "differ only in their seed: it shows how much another training may differ."
)


class SweepProgress(Progress):
    """The progress of a sweep, from its events."""

    def __init__(self, prepared: "Prepared", as_json: bool, quiet: bool) -> None:
        super().__init__("all", len(prepared.planned), quiet)
        self._as_json = as_json
        self._n_planned, self._n_ended = len(prepared.planned), 0
        self._total = "" if prepared.searches else f"/{self._n_planned}"
        self._has_waited = False

    def _times(self) -> "ProgressColumn":
        from rich.progress import TimeElapsedColumn

        return TimeElapsedColumn()

    def show(self, event: "Event") -> None:
        """Show an event of the sweep."""
        from seq2seq_cli.sweep import dispatch

        match event:
            case dispatch.CellStarted():
                self.begin(event.planned.name, f"of about {duration(event.seconds)}")
            case dispatch.CellAgain():
                self.end(event.planned.name)
                self.say(f"{event.planned.name}: {event.reason}; trying again")
            case dispatch.CellEnded():
                self._show_ended(event)
            case dispatch.Waited(n_workers=0) if not self._has_waited:
                self._has_waited = True
                self.say("waiting for workers")
        note = f"{self._n_ended}{self._total} cells; about {duration(event.left_seconds)} left"
        self.advance(note=note, total=max(self._n_planned, self._n_ended))

    def _show_ended(self, event: "CellEnded") -> None:
        self._n_ended += 1
        self.advance(1)
        self.end(event.planned.name)
        if self._as_json:
            for record in event.records:
                output.write_json({"kind": "run", **record.model_dump()})
            output.flush()
        time = f"in {duration(event.seconds)}" if event.seconds else "complete before"
        result = f"exact match {', '.join(map(_exact_match, event.records))}, {time}"
        if event.code:
            result = f"failed: {event.reason}"
        left = f"; about {duration(event.left_seconds)} left" if event.left_seconds else ""
        self.say(f"cell {self._n_ended}{self._total} {event.planned.name}: {result}{left}")


def show_plan(prepared: "Prepared", jobs: int, threads: int, quiet: bool) -> None:
    """Print the number of cells and steps, and the expected time with `jobs` cells at a time.

    Each cell has `threads` threads; 0 means all.
    """
    from seq2seq_cli.sweep.plan import Pace

    seeds = _count(prepared.sweep.seeds, "seed")
    if prepared.searches:
        until = prepared.searches.until
        n_cells = _count(len(prepared.searches.searches), "cell")
        text = (
            f"the largest {until.setting} with an exact match of {until.share:g}, for {n_cells} x "
            f"{seeds}; the number of trainings depends on their results"
        )
    else:
        n, estimated = len(prepared.planned), [cell.seconds for cell in prepared.planned]
        n_complete = estimated.count(0)
        complete = f", {n_complete} of them complete" if n_complete else ""
        steps = sum(planned.steps for planned in prepared.planned)
        seconds = Pace(threads).left(estimated, jobs)
        text = (
            f"{_count(n, 'cell')} x {seeds}{complete}: {steps:,} steps left, about "
            f"{duration(seconds)} (updated as cells end)"
        )
    output.message(text, quiet)


def show_cells(prepared: "Prepared") -> None:
    """Print the cells to standard output."""
    keys = _keys(planned.cell.varied for planned in prepared.planned)
    rows = [
        (
            planned.name,
            *(_value(planned.cell.varied.get(key)) for key in keys),
            f"{planned.config.training.total_steps:,}",
            f"{len(planned.seeds) - len(planned.missing)} of {len(planned.seeds)}",
            duration(planned.seconds) if planned.missing else "",
        )
        for planned in prepared.planned
    ]
    columns = ("cell", *map(_short, keys), ">steps per seed", ">complete", ">about")
    title = f"{_count(len(rows), 'cell')} x {_count(prepared.sweep.seeds, 'seed')}"
    table(title, columns, rows)


def cells_as_json(prepared: "Prepared") -> list[dict[str, Any]]:
    """Return the cells as plain values for `--json`."""
    return [
        {
            "kind": "cell",
            "cell": planned.name,
            "settings": planned.cell.varied,
            "seeds": list(planned.seeds),
            "missing": list(planned.missing),
            "steps": planned.config.training.total_steps,
            "expected_seconds": round(planned.seconds, 1),
        }
        for planned in prepared.planned
    ]


def show_result(result: "Result", quiet: bool) -> None:
    """Print the table of all cells, with every seed and their spread, to standard output."""
    from seq2seq_cli.sweep.results import cells_by_note, summarize

    summaries = summarize(result.records)
    changes = {cell.planned.name: cell.planned.cell.changes for cell in result.ended}
    keys = _keys(changes.values())
    rows = []
    for summary in summaries:
        settings = [_value(changes[summary.cell].get(key)) for key in keys]
        matches = ", ".join(map(_exact_match, summary.records))
        learned = f"{summary.n_learned} of {len(summary.records)}"
        rows.append((*(settings or [""]), matches, *spread_text(summary.shares), learned))
    columns = (*(map(_short, keys) if keys else ["cell"]), "exact match of each seed", ">median",
               "range", f">at least {LEARNED:.0%}")  # fmt: skip
    table(f"{result.folder.name}: predicted freely", columns, rows)
    if result.searches:
        _show_searches(result.searches)
    make_console().print(EXPLANATION)
    for note, cells in cells_by_note(result.records).items():
        of = "" if len(cells) == len(summaries) else f"{', '.join(cells)}: "
        output.message(f"note: {of}{note}", quiet)
    for note in result.searches.notes if result.searches else ():
        output.message(f"note: {note}", quiet)


def _show_searches(searches: "Searches") -> None:
    rows = []
    for search in _searches_as_json(searches):
        values = [
            f"{'>= ' * at_least}{value or 'none'}"
            for value, at_least in zip(search["largest"], search["at_least"], strict=True)
        ]
        rows.append(
            (
                search["cell"],
                ", ".join(values),
                f"{'>= ' * any(search['at_least'])}{search['median']:g}",
                f"{search['least']} to {search['most']}",
                "" if search["finished"] else "unfinished",
            )
        )
    until = searches.until
    title = f"The largest {until.setting} with an exact match of at least {until.share:g}"
    table(title, ("cell", "of each seed", ">median", "range", ""), rows)


def result_as_json(result: "Result") -> list[dict[str, Any]]:
    """Return each cell's summary, and the result of each search, as plain values for `--json`."""
    from seq2seq_cli.sweep.results import summarize

    cells = [{"kind": "cell", **summary.as_json()} for summary in summarize(result.records)]
    return cells + (_searches_as_json(result.searches) if result.searches else [])


def _searches_as_json(searches: "Searches") -> list[dict[str, Any]]:
    lines = []
    for name, search in searches.searches.items():
        reaches = search.reaches()
        values = [reach.value for reach in reaches]
        lines.append(
            {
                "kind": "until",
                "cell": name,
                "setting": searches.until.setting,
                "share": searches.until.share,
                "largest": values,
                "at_least": [reach.at_least for reach in reaches],
                **spread(values)._asdict(),
                "finished": search.is_over,
            }
        )
    return lines


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _exact_match(record: "RunRecord") -> str:
    if record.exact_match is None:
        return "none"
    return percent(record.exact_match, record.exact_match_low or 0, record.exact_match_high or 0)


def _keys(settings: Iterable[Mapping[str, object]]) -> list[str]:
    return list(dict.fromkeys(key for item in settings for key in item))


def _short(key: str) -> str:
    return key.partition(".")[2]


def _value(value: object) -> str:
    return "" if value is None else str(value)
