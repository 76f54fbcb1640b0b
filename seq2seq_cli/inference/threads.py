"""Batches computed on several threads, each with NumPy's BLAS limited to its own thread.

NumPy releases the interpreter's lock while it computes. It is not imported here: the command line
sets BLAS to one thread through the environment, before NumPy is imported.
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
"""The variables that set the number of threads of the BLAS libraries that NumPy may use."""


def use_one_blas_thread() -> None:
    """Keep NumPy's products on the calling thread; call this before NumPy is imported."""
    for name in BLAS_THREADS:
        os.environ.setdefault(name, "1")


def map_batches(
    work: Callable[[Batch], Result],
    batches: Iterable[Batch],
    is_ready: Callable[[], bool] = lambda: True,
) -> Iterator[Result]:
    """Yield the result of `work` for each batch in order, computed on one thread per core.

    Meanwhile BLAS starts no threads in this process: they would compete with these, and take many
    times as long. Batches are taken from the iterator only a few ahead of the results, so that a
    stream of any length needs little memory; if the next batch is not ready, finished results are
    yielded first. An error of the iterator is raised after the results of the batches before it.
    """
    from concurrent.futures import ThreadPoolExecutor  # a single sequence does not need it

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
    """Keep BLAS on the calling threads, unless the environment does so already."""
    if all(os.environ.get(name) == "1" for name in BLAS_THREADS):
        yield
        return
    from threadpoolctl import threadpool_limits  # the command line does not need it

    with threadpool_limits(1, "blas"):
        yield
