"""Where a sweep's cells are trained: on this machine, or by a Dask cluster's workers.

Both are a `concurrent.futures.Executor` for the rest of the package.
"""

import asyncio
import secrets
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import Any

from seq2seq_cli.errors import ConfigurationError, PackageError, StorageError
from seq2seq_cli.machine import available_memory, cores
from seq2seq_cli.sweep.job import Job, Outcome, run_job

CONNECT_SECONDS = 10
REMOTE_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Workers:
    """The workers that train cells: how many at a time, and how to stop them."""

    executor: Executor
    work: Callable[[Job], Outcome]  # the function that the executor runs
    slots: Callable[[], int]  # may change as workers come and go
    stop: Callable[[], None]
    threads: int = 0  # per cell; 0: all of its machine
    have_own_gpus: bool = False  # whether each cell uses one GPU; otherwise all of its machine
    share: bool = True  # whether all workers certainly share the sweep's folder


def check_jobs(jobs: int) -> None:
    """Raise ConfigurationError for more cells at a time than there are cores."""
    if jobs > cores():
        raise ConfigurationError(f"jobs = {jobs}: should be at most {cores()}, the number of cores")


def fitting_jobs(n_cells: int, bytes_each: int) -> int:
    """Return how many of these cells to train at a time, by the cores and the memory.

    Cells in parallel, on one core each, take less time than one after the other on all cores: one
    starts and is evaluated while another trains, and each uses its core fully.
    """
    limit = available_memory()
    fitting = n_cells if limit is None else limit // bytes_each
    return max(1, min(cores(), n_cells, fitting))


def threads_each(jobs: int) -> int:
    """Return how many threads each of this number of cells at a time may use; 0: all."""
    return 0 if jobs == 1 else max(1, cores() // jobs)


@contextmanager
def local_workers(jobs: int) -> Iterator[Workers]:
    """Yield this number of processes on this machine; they share its cores.

    Raises OSError without a folder for the temporary files of the processes.
    """
    tempfile.gettempdir()
    threads, stopped = threads_each(jobs), Event()
    executor = ThreadPoolExecutor(jobs, thread_name_prefix="cell")
    work = partial(run_job, is_stopped=stopped.is_set)
    try:
        yield Workers(executor, work, lambda: jobs, stopped.set, threads, have_own_gpus=jobs > 1)
    finally:
        stopped.set()
        executor.shutdown(wait=False, cancel_futures=True)


@contextmanager
def dask_workers(address: str) -> Iterator[Workers]:
    """Yield the workers of a Dask scheduler; a cell uses one of a worker's threads.

    Raises ConfigurationError if distributed is not installed or the address cannot be one,
    StorageError if there is no scheduler.
    """
    try:
        from distributed import Client
        from distributed import Event as RemoteEvent
        from distributed.comm import connect
        from distributed.security import Security
    except ImportError:
        raise PackageError("a scheduler needs Dask distributed", "cluster") from None

    async def try_address() -> None:
        async with asyncio.timeout(CONNECT_SECONDS):
            await (await connect(address, **Security().get_connection_args("client"))).close()

    try:
        # A client that cannot connect writes a traceback when it is deleted.
        asyncio.run(try_address())
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(
            f"{address}: is not a scheduler's address, such as tcp://127.0.0.1:8786: {error}"
        ) from None
    except OSError as error:
        reason = str(error) or f"no answer in {CONNECT_SECONDS} s"
        raise StorageError(f"{address}: there is no scheduler: {reason}") from None
    name = f"s2s-stop-{secrets.token_hex(8)}"
    stopped = RemoteEvent(name, client=client)

    def slots() -> int:
        try:
            return sum(client.nthreads().values())
        except OSError:  # after the client has tried for a while to reconnect
            raise StorageError(f"{address}: the scheduler is gone") from None

    def stop() -> None:
        with suppress(Exception):  # the scheduler may be gone
            stopped.set()

    try:
        executor: Executor = client.get_executor(pure=False)
        work = partial(run_on_worker, name)
        yield Workers(executor, work, slots, stop, have_own_gpus=True, share=False)
    finally:
        stop()
        with suppress(Exception):
            client.close(timeout=1)


def run_on_worker(stop_name: str, job: Job) -> Outcome:
    """Run a job on a Dask worker, with its share of the machine's cores."""
    import distributed

    worker: Any = distributed.get_worker()
    threads = threads_each(worker.state.nthreads)
    stopped = distributed.Event(stop_name)

    def is_stopped() -> bool:
        try:
            return bool(stopped.is_set())
        except Exception:  # the scheduler is gone, so nobody waits for the result
            return True

    return run_job(replace(job, threads=threads), is_stopped, REMOTE_POLL_SECONDS)
