"""Dispatching cells to workers: which is next, and which is tried again.

In parallel the longest cells begin first, so that no worker waits long at the end; with a deadline
they begin in the given order, or the longest would take the time of several. A cell is tried again
if its process was killed, or if memory or the disk was full, but not if its configuration or data
is wrong. Cells that fail do not stop the others.
"""

import errno
import os
import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path

from seq2seq_cli.errors import ConfigurationError, ExistsError, StorageError
from seq2seq_cli.sweep.executors import Workers
from seq2seq_cli.sweep.folder import SweepFolder
from seq2seq_cli.sweep.job import Job, Outcome, receive
from seq2seq_cli.sweep.plan import Pace, PlannedCell
from seq2seq_cli.sweep.results import RunRecord
from seq2seq_cli.sweep.search import Searches

MOST_ATTEMPTS = 3
PAUSE_SECONDS = 5.0
"""Pause before the second attempt; it doubles before the third."""
TICK_SECONDS = 0.5
STOP_SECONDS = 1.4
"""How long a stopped sweep waits for the cells' processes."""

LOST = -1
"""The exit code of a process that its executor has lost."""

AGAIN = (ExistsError.exit_code, StorageError.exit_code, 130, 137, 143)
"""Exit codes after which another attempt may help, in addition to signals."""

HOPELESS = (os.strerror(errno.EROFS), os.strerror(errno.EACCES))
"""Reasons after which no other attempt helps."""


@dataclass(frozen=True)
class Event:
    """Something that happened; `left_seconds` is what the rest is expected to take."""

    left_seconds: float


@dataclass(frozen=True)
class CellStarted(Event):
    """A cell's process has been started; it is expected to take `seconds`."""

    planned: PlannedCell
    seconds: float


@dataclass(frozen=True)
class CellAgain(Event):
    """A cell's process ended early, and is started again."""

    planned: PlannedCell
    reason: str


@dataclass(frozen=True)
class CellEnded(Event):
    """A cell has ended; a failed one has the exit code of its error, and a reason.

    `seconds` is the time of its process; 0 for a cell that was complete before.
    """

    planned: PlannedCell
    records: tuple[RunRecord, ...]
    seconds: float
    code: int
    reason: str


@dataclass(frozen=True)
class Waited(Event):
    """Some time has passed; `n_workers` cells can be trained at a time."""

    n_workers: int


@dataclass(frozen=True)
class _Attempt:
    planned: PlannedCell
    number: int = 1
    not_before: float = 0.0
    started: float = 0.0


class Dispatcher:
    """Trains cells; `ended` are those that have results, `left` those that there was no time for.

    A cell is started only if it is expected to end by the `deadline`, a time of `time.monotonic`.
    """

    def __init__(
        self,
        folder: SweepFolder,
        workers: Workers,
        report: Callable[[Event], None],
        searches: Searches | None = None,
        deadline: float | None = None,
        checkpoint_seconds: float = 60.0,
    ) -> None:
        self._folder, self._workers, self._report = folder, workers, report
        self._searches, self._deadline = searches, deadline
        self._checkpoint_seconds = checkpoint_seconds
        self._seal = "" if workers.share else f".shared-{secrets.token_hex(8)}"
        self._pace = Pace(workers.threads)
        self._slots = 1  # number of cells that can be trained at a time
        self._ready: list[_Attempt] = []
        self._running: dict[Future[Outcome], _Attempt] = {}
        self.ended: list[CellEnded] = []
        self.left: list[PlannedCell] = []

    def run(self, cells: Iterable[PlannedCell]) -> None:
        """Train all cells, and those that follow in a search; complete ones are only reported.

        No process is left running, even after an error.
        """
        seal = self._folder.path / self._seal if self._seal else None
        try:
            if seal:
                seal.touch()
            self._queue(cells)
            while self._ready or self._running:
                self._start()
                if not self._running and not self._ready:
                    break
                self._report(Waited(self._left_seconds(), self._slots))
                done, _ = wait(self._running, TICK_SECONDS, FIRST_COMPLETED)
                if not self._running:
                    time.sleep(min(TICK_SECONDS, PAUSE_SECONDS))
                for future in done:
                    self._end(self._running.pop(future), _outcome(future))
        finally:
            self._workers.stop()
            for future in self._running:
                future.cancel()
            wait(self._running, STOP_SECONDS)
            if seal:
                seal.unlink(missing_ok=True)

    def _queue(self, cells: Iterable[PlannedCell]) -> None:
        for cell in cells:
            if planned := self._remaining(cell):
                if planned.missing:
                    self._ready.append(_Attempt(planned))
                else:
                    self._finish(planned, Outcome(0))

    def _remaining(self, cell: PlannedCell) -> PlannedCell | None:
        """Return a cell with its missing seeds; without a cell it has failed."""
        try:
            return self._folder.remaining(cell)
        except ConfigurationError as error:
            self._finish(cell, Outcome(error.exit_code, str(error)))
            return None

    def _start(self) -> None:
        now = time.monotonic()
        self._slots = self._workers.slots()
        if self._slots > 1 and self._deadline is None:
            self._ready.sort(key=lambda attempt: attempt.planned.seconds, reverse=True)
        for attempt in list(self._ready):
            if len(self._running) >= self._slots:
                break
            if attempt.not_before > now:
                continue
            self._ready.remove(attempt)
            expected = self._pace.expected(attempt.planned.seconds)
            if self._deadline is not None and now + expected > self._deadline:
                self.left.append(attempt.planned)
                continue
            job = self._job(attempt.planned)
            try:
                future = self._workers.executor.submit(self._workers.work, job)
            except OSError as error:  # from an executor on another machine
                raise StorageError("the scheduler is gone") from error
            self._running[future] = replace(attempt, started=now)
            self._report(CellStarted(self._left_seconds(), attempt.planned, expected))

    def _job(self, planned: PlannedCell) -> Job:
        return Job(
            cell=planned.name,
            settings=planned.cell.settings,
            seeds=planned.seeds,
            missing=planned.missing,
            folder=str(self._folder.path.absolute()),
            cwd=str(Path.cwd()),
            seal=self._seal,
            threads=self._workers.threads,
            has_own_gpu=self._workers.have_own_gpus,
            checkpoint_seconds=self._checkpoint_seconds,
        )

    def _end(self, attempt: _Attempt, outcome: Outcome) -> None:
        receive(self._folder.path, outcome.files)
        planned = self._remaining(attempt.planned)
        if planned is None:
            return
        # A seed whose loss is not finite is a result, which its report has.
        has_ended = outcome.code in (0, ConfigurationError.exit_code)
        is_done = not planned.missing or (has_ended and outcome.reports is not None)
        may_help = (outcome.code < 0 or outcome.code in AGAIN) and not any(
            text in outcome.reason for text in HOPELESS
        )
        if may_help and not is_done and attempt.number < MOST_ATTEMPTS:
            not_before = time.monotonic() + PAUSE_SECONDS * attempt.number
            self._ready.append(_Attempt(planned, attempt.number + 1, not_before))
            self._report(CellAgain(self._left_seconds(), planned, outcome.reason))
            return
        if is_done:
            self._pace.learn(attempt.planned.seconds, outcome.seconds)
            outcome = replace(outcome, code=0, reason="")
        self._finish(planned, outcome)

    def _finish(self, planned: PlannedCell, outcome: Outcome) -> None:
        """Collect the results of a cell; in a search others may follow unless it failed."""
        code = StorageError.exit_code if outcome.code < 0 else outcome.code
        records = tuple(self._folder.collect(planned, outcome.reports or {}, outcome.reason))
        more = self._searches.after(planned, records) if self._searches and not code else []
        left, seconds = self._left_seconds(), outcome.seconds
        event = CellEnded(left, planned, records, seconds, code, outcome.reason)
        self.ended.append(event)
        self._report(event)
        self._queue(more)

    def _left_seconds(self) -> float:
        now = time.monotonic()
        ready = self._pace.left([attempt.planned.seconds for attempt in self._ready], self._slots)
        running = [
            max(0.0, self._pace.expected(attempt.planned.seconds) - (now - attempt.started))
            for attempt in self._running.values()
        ]
        return ready + max(running, default=0.0)


def _outcome(future: "Future[Outcome]") -> Outcome:
    """Return how a job ended; a lost worker counts as killed."""
    try:
        return future.result()
    except (Exception, CancelledError) as error:  # executors raise various errors
        return Outcome(LOST, f"its worker is lost: {str(error) or type(error).__name__}")
