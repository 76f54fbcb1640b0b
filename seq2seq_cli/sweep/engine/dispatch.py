"""Dispatching cells to workers: which is next, and which is tried again.

In parallel the longest cells begin first, so that no worker waits long at the end; with a deadline
they begin in the given order, or the longest would take the time of several. A cell is tried again
if its process was killed, or if memory or the disk was full, but not if its configuration or data
is wrong. Cells that fail do not stop the others.
"""

import secrets
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from seq2seq_cli.errors import (
    ConfigurationError,
    DataError,
    ExistsError,
    ModelError,
    S2sError,
    StorageError,
)
from seq2seq_cli.resources import Pace
from seq2seq_cli.sweep.cells.plan import PlannedCell
from seq2seq_cli.sweep.engine.events import CellAgain, CellEnded, CellStarted, OnEvent, Waited
from seq2seq_cli.sweep.engine.executors import Workers
from seq2seq_cli.sweep.engine.job import Job, Outcome, receive
from seq2seq_cli.sweep.folder import SweepFolder
from seq2seq_cli.sweep.record import RunRecord

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


class Source(Protocol):
    """Where cells come from."""

    def take(self) -> Sequence[PlannedCell]:
        """Return the cells to train that are known since the last call."""

    def ended(self, planned: PlannedCell, records: Sequence[RunRecord], reason: str) -> None:
        """Take the results of a cell; others may follow. `reason` says why it failed."""


@dataclass(frozen=True)
class Failure:
    """A cell that failed, and the exit code of its error."""

    cell: str
    code: int
    reason: str


@dataclass(frozen=True)
class _Attempt:
    planned: PlannedCell
    missing: tuple[int, ...]
    number: int = 1
    not_before: float = 0.0
    started: float = 0.0

    @property
    def estimated(self) -> float:
        return self.planned.estimate.seconds(len(self.missing))


class Dispatcher:
    """Trains the cells of a source; `left` are those that there was no time for.

    A cell is started only if it is expected to end by the `deadline`, a time of `time.monotonic`.
    """

    def __init__(
        self,
        folder: SweepFolder,
        workers: Workers,
        report: OnEvent,
        deadline: float | None = None,
        checkpoint_seconds: float = 60.0,
    ) -> None:
        self._folder, self._workers, self._report = folder, workers, report
        self._deadline, self._checkpoint_seconds = deadline, checkpoint_seconds
        self._seal = "" if workers.share else f".shared-{secrets.token_hex(8)}"
        self._pace = Pace(workers.threads)
        self._slots = 1  # number of cells that can be trained at a time
        self._ready: list[_Attempt] = []
        self._running: dict[Future[Outcome], _Attempt] = {}
        self.left: list[PlannedCell] = []
        self.failures: list[Failure] = []

    def run(self, source: Source) -> None:
        """Train all cells; complete ones are reported first and not trained again.

        No process is left running, even after an error.
        """
        seal = self._folder.path / self._seal if self._seal else None
        try:
            if seal:
                seal.touch()
            self._take(source)
            while self._ready or self._running:
                self._start()
                if not self._running and not self._ready:
                    break
                self._report(Waited(self._left_seconds(), self._slots))
                done, _ = wait(self._running, TICK_SECONDS, FIRST_COMPLETED)
                if not self._running:
                    time.sleep(min(TICK_SECONDS, PAUSE_SECONDS))
                for future in done:
                    self._end(self._running.pop(future), _outcome(future), source)
                    self._take(source)
        finally:
            self._workers.stop()
            for future in self._running:
                future.cancel()
            wait(self._running, STOP_SECONDS)
            if seal:
                seal.unlink(missing_ok=True)

    def _take(self, source: Source) -> None:
        """Queue the source's new cells; complete ones end here, after which more may follow."""
        while cells := source.take():
            for planned in cells:
                missing = self._folder.missing(planned)
                if missing:
                    self._ready.append(_Attempt(planned, tuple(missing)))
                else:
                    self._tell_end(source, planned, self._folder.collect(planned, {}), 0.0, "")

    def _start(self) -> None:
        now = time.monotonic()
        self._slots = self._workers.slots()
        if self._slots > 1 and self._deadline is None:
            self._ready.sort(key=lambda attempt: attempt.estimated, reverse=True)
        for attempt in list(self._ready):
            if len(self._running) >= self._slots:
                break
            if attempt.not_before > now:
                continue
            self._ready.remove(attempt)
            expected = self._pace.expected(attempt.estimated)
            if self._deadline is not None and now + expected > self._deadline:
                self.left.append(attempt.planned)
                continue
            try:
                future = self._workers.executor.submit(self._workers.work, self._job(attempt))
            except OSError as error:  # from an executor on another machine
                raise StorageError("the scheduler is gone") from error
            self._running[future] = replace(attempt, started=now)
            self._report(CellStarted(self._left_seconds(), attempt.planned, expected))

    def _job(self, attempt: _Attempt) -> Job:
        planned = attempt.planned
        return Job(
            cell=planned.name,
            given=planned.cell.given,
            first_seed=planned.seeds.start,
            n_seeds=planned.n_seeds,
            missing=attempt.missing,
            folder=str(self._folder.path.absolute()),
            cwd=str(Path.cwd()),
            seal=self._seal,
            threads=self._workers.threads,
            has_own_gpu=self._workers.have_own_gpus,
            checkpoint_seconds=self._checkpoint_seconds,
        )

    def _end(self, attempt: _Attempt, outcome: Outcome, source: Source) -> None:
        planned, reason = attempt.planned, outcome.reason
        receive(self._folder.path, outcome.files)
        is_done = outcome.reports is not None and outcome.code in (0, ConfigurationError.exit_code)
        may_help = outcome.code < 0 or outcome.code in AGAIN
        if may_help and attempt.number < MOST_ATTEMPTS:
            not_before = time.monotonic() + PAUSE_SECONDS * attempt.number
            missing = tuple(self._folder.missing(planned)) or attempt.missing
            self._ready.append(_Attempt(planned, missing, attempt.number + 1, not_before))
            self._report(CellAgain(self._left_seconds(), planned, reason))
            return
        if is_done:
            self._pace.learn(attempt.estimated, outcome.seconds)
        else:
            code = outcome.code if outcome.code > 0 else StorageError.exit_code
            self.failures.append(Failure(planned.name, code, reason))
        records = self._folder.collect(planned, outcome.reports or {}, reason)
        self._tell_end(source, planned, records, outcome.seconds, "" if is_done else reason)

    def _tell_end(
        self,
        source: Source,
        planned: PlannedCell,
        records: Sequence[RunRecord],
        seconds: float,
        reason: str,
    ) -> None:
        source.ended(planned, records, reason)
        left = self._left_seconds()
        self._report(CellEnded(left, planned, tuple(records), seconds, reason))

    def _left_seconds(self) -> float:
        now = time.monotonic()
        ready = self._pace.left([attempt.estimated for attempt in self._ready], self._slots)
        running = [
            max(0.0, self._pace.expected(attempt.estimated) - (now - attempt.started))
            for attempt in self._running.values()
        ]
        return ready + max(running, default=0.0)


def _outcome(future: "Future[Outcome]") -> Outcome:
    """Return how a job ended; a lost worker counts as killed."""
    try:
        return future.result()
    except (Exception, CancelledError) as error:  # executors raise various errors
        return Outcome(LOST, f"its worker is lost: {str(error) or type(error).__name__}")


def failure_error(failures: Sequence[Failure], n_cells: int) -> S2sError | None:
    """Return the error of a sweep with failed cells, with the exit code of the first one."""
    if not failures:
        return None
    known = (ConfigurationError, DataError, ModelError, ExistsError, StorageError)
    kinds: dict[int, type[S2sError]] = {kind.exit_code: kind for kind in known}
    lines = [f"{failure.cell}: {failure.reason}" for failure in failures]
    lines.append(f"{len(failures)} of {n_cells} cells have failed; the others are as shown")
    return kinds.get(failures[0].code, S2sError)("\n".join(lines))
