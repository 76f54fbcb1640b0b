"""Batches on several threads, while BLAS starts none."""

import os
import time
from threading import get_ident

import numpy as np
import pytest
from random_run import load_random
from threadpoolctl import threadpool_info, threadpool_limits

from seq2seq_cli.config import ModelConfig, RunConfig, TaskConfig
from seq2seq_cli.inference.greedy import greedy
from seq2seq_cli.inference.threads import BLAS_THREADS, map_batches, use_one_blas_thread

LIMIT = 6


@pytest.fixture
def environment(monkeypatch):
    """Replace the process's environment by one without settings of BLAS."""
    environment = {name: value for name, value in os.environ.items() if name not in BLAS_THREADS}
    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(3), raising=False)
    return environment


def threads(n=12):
    """Return the threads that batches are worked on."""

    def work(batch):
        time.sleep(0.01)
        return batch, get_ident()

    numbers, threads_used = zip(*map_batches(work, range(n)), strict=True)
    assert numbers == tuple(range(n))
    return set(threads_used)


def blas_threads():
    return {
        library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"
    }


@pytest.mark.parametrize("others", [None, {}, {BLAS_THREADS[0]: "2"}, {BLAS_THREADS[1]: ""}])
def test_there_is_one_thread_per_core_and_one_for_blas(environment, others):
    """Whether the environment says so, as in a command, or not."""
    if others is None:
        use_one_blas_thread()
    else:
        environment.update(others)
    with threadpool_limits(1 if others is None else 2, "blas"):
        before = blas_threads()
        assert list(map_batches(lambda _: blas_threads(), range(3))) == [{1}] * 3
        assert blas_threads() == before
        identifiers = threads()
    assert len(identifiers) == 3
    assert get_ident() not in identifiers


@pytest.mark.parametrize("one_blas_thread", [True, False])
def test_batches_are_taken_only_a_few_ahead(environment, one_blas_thread):
    if one_blas_thread:
        use_one_blas_thread()
    taken = []
    batches = map_batches(lambda batch: batch, (taken.append(i) or i for i in range(100)))
    assert [next(batches) for _ in range(5)] == list(range(5))
    assert len(taken) <= 5 + 6
    batches.close()


def test_threads_do_not_share_scratch_arrays(environment):
    use_one_blas_thread()
    task = TaskConfig(name="reverse", n_in=5, cardinality=9)
    run = load_random(RunConfig(task=task, model=ModelConfig(units=8)), seed=3)
    sources = np.random.default_rng(5).integers(1, 9, (600, 5), np.int32)
    alone = [greedy(run, sources[i : i + 7], LIMIT).tokens for i in range(0, 600, 7)]
    together = map_batches(lambda i: greedy(run, sources[i : i + 7], LIMIT), range(0, 600, 7))
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_array_equal(a, b.tokens)
