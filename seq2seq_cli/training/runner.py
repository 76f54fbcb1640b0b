"""Runs a loop's compiled calls, feeds them with sequences, and is heard from while they compute."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, ParamSpec, TypeVar

from seq2seq_cli.config import RunConfig, TaskConfig
from seq2seq_cli.manifest import Results
from seq2seq_cli.metrics import Tally
from seq2seq_cli.sampling import Split, watched_samples
from seq2seq_cli.streams import Stream, TrainingStream
from seq2seq_cli.training.curriculum import Stage
from seq2seq_cli.training.loop import CHUNK, ChunkResult, Loop
from seq2seq_cli.vocabulary import Floats, Ids

VALIDATION_BATCH = 1000
VALIDATION_BATCH_TOKENS = 50_000
"""Of long sequences fewer are validated together, or their arrays would fill the memory."""
CALL_SECONDS = 0.4
"""About how long a call of the compiled program takes: a stopped training waits for its end."""
STEPS_AFTER_COMPILING = 4

P = ParamSpec("P")
T = TypeVar("T")


class Runner:
    """A loop on a thread of its own, so that a signal is heard while it computes.

    `rates` gives the learning rates of steps (start, n). How many steps a call takes follows from
    the machine's speed; the weights do not depend on it.
    """

    def __init__(
        self,
        loop: Loop,
        stream: TrainingStream,
        config: RunConfig,
        rates: Callable[[int, int], Floats],
    ) -> None:
        self.loop = loop
        self._stream = stream
        self._config = config
        self._rates = rates
        self.task: TaskConfig | None = None  # that the program was last compiled for
        self._call_steps = loop.call_steps or 1
        self._thread = ThreadPoolExecutor(1)
        self._under_way: Future[Any] | None = None

    def steps(self, stage: Stage, stop: int) -> Iterator[tuple[ChunkResult, float]]:
        """Take all steps before `stop` on a stage; yield each call's result and its seconds."""
        task = stage.task
        if task != self.task:
            self._call_steps = self.loop.call_steps or 1
        for sources, targets, rates in self._chunks(stage, self.loop.steps_done, stop):
            started = time.perf_counter()
            result = self._call(self.loop.train, sources, targets, rates)
            seconds = time.perf_counter() - started
            if not self.loop.call_steps:
                wanted = (
                    CALL_SECONDS * len(rates) / seconds
                    if task == self.task
                    else STEPS_AFTER_COMPILING
                )
                self._call_steps = min(CHUNK, max(1, int(wanted)))
            self.task = task
            yield result, seconds

    def validate(self) -> Results:
        """Return the results on the validation stream, the chief's in all workers."""
        tally = Tally()
        wanted = watched_samples(self._config.task)
        wanted = min(wanted, self._stream.size(Split.VALIDATION) or wanted)
        length = self._config.task.longest + self._config.task.n_out
        size = min(VALIDATION_BATCH, max(1, VALIDATION_BATCH_TOKENS // length))
        for start in range(0, wanted, size):
            n = min(size, wanted - start)
            pairs = self._stream.draw(Split.VALIDATION, start, n)
            tokens, log_likelihood = self._call(self.loop.validate, *pairs)
            tally.add(tokens, pairs[1], log_likelihood)
        low, high = tally.interval
        results = Results(
            exact_match=tally.exact_match,
            exact_match_low=low,
            exact_match_high=high,
            token_accuracy=tally.token_accuracy,
            loss=tally.loss,
            n_samples=tally.n_samples,
        )
        shared = self._call(self.loop.share, results.model_dump_json().encode())
        return Results.model_validate_json(shared)

    def comes_to_rest(self, seconds: float) -> bool:
        """Tell whether the call under way ends within this time."""
        return self._under_way is None or bool(wait([self._under_way], seconds).done)

    def close(self) -> None:
        """Let the thread go, without waiting for it."""
        self._thread.shutdown(wait=False)

    def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        future = self._thread.submit(function, *args, **kwargs)
        self._under_way = future
        return future.result()

    def _stage_stream(self, stage: Stage) -> Stream:
        if stage.task == self._config.task and not stage.distinct:
            return self._stream
        return self._stream.stage(stage.task, stage.distinct)

    def _chunks(self, stage: Stage, start: int, stop: int) -> Iterator[tuple[Ids, Ids, Floats]]:
        """Yield sequences and learning rates of steps `start .. stop-1`, some steps at a time.

        The next ones are drawn while those before are trained on.
        """
        size, stream = self._config.training.batch_size, self._stage_stream(stage)

        def draw(step: int, n: int) -> tuple[Ids, Ids, Floats]:
            return *stream.draw(Split.TRAIN, step * size, n * size), self._rates(step, n)

        with ThreadPoolExecutor(1) as pool:
            n = min(self._call_steps, stop - start)
            upcoming = pool.submit(draw, start, n)
            while start < stop:
                current = upcoming.result()
                start += n
                if start < stop:
                    n = min(self._call_steps, stop - start)
                    upcoming = pool.submit(draw, start, n)
                yield current
