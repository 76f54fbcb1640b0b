"""Batches over threads, each of which NumPy's BLAS leaves its core.

NumPy releases the interpreter's lock while it computes. It is not imported here: the command line
tells BLAS through the environment, before NumPy is imported, to start no threads of its own.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from seq2seq_cli.machine import cores

if TYPE_CHECKING:
    from concurrent.futures import Future

Batch = TypeVar("Batch")
Result = TypeVar("Result")

BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""The variables that tell the BLAS libraries, whichever NumPy has, how many threads to take."""


def use_one_blas_thread() -> None:
    """Keep NumPy's products on the thread that asks for them; before NumPy is imported."""
    for name in BLAS_THREADS:
        os.environ.setdefault(name, "1")


def map_batches(
    work: Callable[[Batch], Result],
    batches: Iterable[Batch],
    is_ready: Callable[[], bool] = lambda: True,
) -> Iterator[Result]:
    """Yield `work` of each batch in order, computed on as many threads as there are cores.

    Until the last one BLAS takes no threads of its own in this process: the two would be in each
    other's way, and take many times as long. Batches are taken from their iterator only a few ahead
    of what is yielded, so that a stream of any length needs no more memory than a short one; and
    none is while the next is not ready and there is something to yield. An error of the iterator
    comes after the results of the batches before it.
    """
    from concurrent.futures import ThreadPoolExecutor  # which a single sequence does without

    workers = cores()
    pending: deque[Future[Result]] = deque()
    upcoming, failure = iter(batches), None
    with _one_blas_thread(), ThreadPoolExecutor(workers) as pool:
        try:
            while True:
                try:
                    batch = next(upcoming)
                except StopIteration:
                    break
                except Exception as error:
                    failure = error
                    break
                pending.append(pool.submit(work, batch))
                if len(pending) > 2 * workers:
                    yield pending.popleft().result()
                while pending and not is_ready():
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
    if failure:
        raise failure


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Keep BLAS on the threads that ask for products, where the environment does not so already."""
    if all(os.environ.get(name) == "1" for name in BLAS_THREADS):
        yield
        return
    from threadpoolctl import threadpool_limits  # which a command does without

    with threadpool_limits(1, "blas"):
        yield
