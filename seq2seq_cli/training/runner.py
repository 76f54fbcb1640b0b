"""Runs the compiled calls of a loop on a thread, and draws sequences for them meanwhile."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import islice
from threading import Lock
from typing import Any, NamedTuple, ParamSpec, TypeVar

from seq2seq_cli.data.batches import Batches, HeldOutBatches, Width
from seq2seq_cli.data.plan import Plan
from seq2seq_cli.data.sampling import Split
from seq2seq_cli.data.vocabulary import Floats, Ids
from seq2seq_cli.metrics import Tally
from seq2seq_cli.resources import CHUNK, validation_batch, validation_samples
from seq2seq_cli.runs.manifest import Results
from seq2seq_cli.training.compilation_cache import open_cache
from seq2seq_cli.training.program.keys import is_free, program_key
from seq2seq_cli.training.program.loop import ChunkResult, Loop
from seq2seq_cli.training.program.optimizer import learning_rates

CALL_SECONDS = 0.4
"""Intended time of a call of the compiled program: a stopped training waits for its end."""
STEPS_AFTER_COMPILING = 4

P = ParamSpec("P")
T = TypeVar("T")


class Chunk(NamedTuple):
    """The sequences of consecutive steps, for one call of the program."""

    start: int  # number of steps before this chunk
    steps: int
    sources: Ids  # (steps * batch_size, n_in)
    targets: Ids  # (steps * batch_size, n_out)
    rates: Floats  # (steps,): the learning rates

    @property
    def lengths(self) -> tuple[int, int]:
        """The arrays' lengths, for which the program is compiled."""
        return self.sources.shape[1], self.targets.shape[1]


class Runner:
    """A loop on a separate thread, so that signals are handled while it computes.

    The number of steps per call follows the machine's speed; the weights do not depend on it.
    """

    def __init__(self, loop: Loop, plan: Plan) -> None:
        self.loop = loop
        self._plan, self._stream, self._config = plan, plan.stream, plan.config
        self._cache = open_cache() if loop.is_one_program else None
        self._batches = Batches(plan.stream, plan.widths, plan.config)
        self._call_steps = loop.call_steps or 1
        self._thread, self._preparation = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self._current: Future[Any] | None = None
        self.trained: tuple[Chunk, ChunkResult] | None = None  # the last chunk and its result
        self._held_out: Future[HeldOutBatches] | None = None
        self.validated: list[Ids] = []  # the targets of the last validation, of several widths
        self._tracing = Lock()  # anything else traced meanwhile would change a program's name

    def chunks(self, stop: int) -> Iterator[Chunk]:
        """Yield the sequences of all steps before `stop`, in chunks.

        The next chunk is drawn while the previous one is trained on.
        """
        size = self._config.training.batch_size

        def draw(step: int) -> Chunk:
            sources, targets = self._batches.draw(step, min(self._call_steps, stop - step))
            steps = len(sources) // size
            rates = learning_rates(self._config.training, step, steps)
            return Chunk(step, steps, sources, targets, rates)

        start = self.loop.steps_done
        with ThreadPoolExecutor(1) as pool:
            upcoming = pool.submit(draw, start) if start < stop else None
            while upcoming:
                current = upcoming.result()
                start += current.steps
                upcoming = pool.submit(draw, start) if start < stop else None
                yield current

    def compiles(self, chunk: Chunk) -> bool:
        """Return whether the program for sequences of these lengths has yet to be compiled."""
        if chunk.lengths in self.loop.ran:
            return False
        key = program_key(self._config, *chunk.lengths)
        return not (self._cache and is_free(key) and self._cache.take(key))

    def train(self, chunk: Chunk) -> tuple[ChunkResult, float]:
        """Take the steps of a chunk; return the result and the seconds."""
        started = time.perf_counter()
        is_first = chunk.lengths not in self.loop.ran
        if not is_first:
            self._prepare_validation()
        result = self._call(self._first_call if is_first else self._train, chunk)
        seconds = time.perf_counter() - started
        if not self.loop.call_steps:
            steps = STEPS_AFTER_COMPILING if is_first else CALL_SECONDS * chunk.steps / seconds
            self._call_steps = min(CHUNK, max(1, int(steps)))
        return result, seconds

    def _train(self, chunk: Chunk) -> ChunkResult:
        result = self.loop.train(chunk.sources, chunk.targets, chunk.rates)
        self.trained = chunk, result
        return result

    def _first_call(self, chunk: Chunk) -> ChunkResult:
        """Train with a program that is compiled now, and then cached, or is cached already."""
        key = program_key(self._config, *chunk.lengths)
        cache = self._cache if is_free(key) else None
        if self.loop.is_one_program:
            with self._tracing:
                self.loop.trace(*chunk.lengths, key)
            self._prepare_validation()
        result = self._train(chunk)
        self.loop.ran.add(chunk.lengths)
        if cache:
            cache.keep(key)
        return result

    def validate(self) -> Results:
        """Return the results on the validation stream."""
        tally = Tally()
        self.validated = []
        for sources, targets, n in self._prepare_validation().result():
            tokens, log_likelihood = self._call(self.loop.validate, sources, targets)
            tally.add(tokens[:n], targets[:n], log_likelihood)
            self.validated.append(targets[:n])
        token_accuracy, loss = tally.token_accuracy, tally.loss
        assert token_accuracy is not None
        assert loss is not None  # every target has a token
        low, high = tally.interval
        return Results(
            exact_match=tally.exact_match,
            exact_match_low=low,
            exact_match_high=high,
            teacher_forced_token_accuracy=token_accuracy,
            loss=loss,
            n_samples=tally.n_samples,
        )

    def _prepare_validation(self) -> Future[HeldOutBatches]:
        """Draw the validation batches and trace their programs, while the first steps run."""
        if self._held_out is None:
            self._held_out = self._preparation.submit(self._draw_validation)
        return self._held_out

    def _draw_validation(self) -> HeldOutBatches:
        task, n_samples = self._config.task, validation_samples(self._config)
        n_samples = min(n_samples, self._stream.size(Split.VALIDATION) or n_samples)
        widths = [*self._plan.widths, Width(task.lengths.longest, task.n_out + int(task.has_end))]
        most = validation_batch(self._config)
        batches = HeldOutBatches(self._stream, widths, n_samples, most)
        for sources, targets, _ in islice(batches, None if batches.are_kept else 1):
            if self.loop.is_one_program:
                with self._tracing:
                    self.loop.trace_validation(len(sources), sources.shape[1], targets.shape[1])
        return batches

    def wait(self, seconds: float) -> bool:
        """Return whether the current call ends within this time."""
        return self._current is None or bool(wait([self._current], seconds).done)

    def close(self) -> None:
        """Release the threads without waiting for them."""
        self._thread.shutdown(wait=False)
        self._preparation.shutdown(wait=False, cancel_futures=True)

    def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        future = self._thread.submit(function, *args, **kwargs)
        self._current = future
        return future.result()
