"""The workers of a training: how TF_CONFIG names them, and how they start."""

import json
import socket
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from workers import free_addresses

from seq2seq_cli.errors import ConfigurationError
from seq2seq_cli.training.cluster import ALONE, Cluster, join, read_cluster

BAD = ["{", "[]", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
       '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}',
       '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": -1}}',
       '{"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}',
       '{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}',
       '{"cluster": {"worker": ["a:1"]}, "task": {"type": "evaluator", "index": 0}}']  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_a_bad_tf_config_is_named(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigurationError, match="TF_CONFIG"):
        read_cluster()


@pytest.mark.parametrize(("task", "expected"), [
    (None, ALONE),
    (("chief", 0), Cluster(("a:1", "b:1", "c:1"), 0)),
    (("worker", 0), Cluster(("a:1", "b:1", "c:1"), 1)),
    (("worker", 1), Cluster(("a:1", "b:1", "c:1"), 2)),
])  # fmt: skip
def test_the_chief_is_the_task_of_that_type(monkeypatch, task, expected):
    monkeypatch.setenv("TF_CONFIG", "{}")
    if task:
        cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
        document = {"cluster": cluster, "task": {"type": task[0], "index": task[1]}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(document))
    assert read_cluster() == expected


def joined(addresses: Sequence[str], digests: Sequence[str]) -> list[Future[None]]:
    """Let workers with these digests join, the chief last; return the result of each."""
    with ThreadPoolExecutor(len(digests)) as pool:
        return [
            pool.submit(join, Cluster(tuple(addresses), index), digests[index] * 64)
            for index in reversed(range(len(digests)))
        ]


def test_workers_wait_for_each_other():
    assert [one.exception() for one in joined(free_addresses(3), "aaa")] == [None] * 3


@pytest.mark.parametrize("digests", ["baa", "aba", "aab"])
def test_workers_that_differ_all_stop(digests):
    for one in joined(free_addresses(3), digests):
        assert isinstance(one.exception(), ConfigurationError)
        assert "differ in their settings, data or checkpoint" in str(one.exception())


def test_restarted_workers_and_other_connections_do_not_count():
    addresses = free_addresses(3)
    port = int(addresses[0].rpartition(":")[2])
    with ThreadPoolExecutor(3) as pool:
        chief = pool.submit(join, Cluster(tuple(addresses), 0), "a" * 64)
        for line in (b"GET / HTTP/1.1\r\n", b"\xff\n", b"", b"1 " + b"b" * 64 + b"\n"):
            for _ in range(100):
                try:
                    with socket.create_connection(("localhost", port)) as connection:
                        connection.sendall(line)
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
        first = pool.submit(join, Cluster(tuple(addresses), 1), "a" * 64)
        time.sleep(0.5)
        assert not chief.done()
        second = pool.submit(join, Cluster(tuple(addresses), 2), "a" * 64)
        assert [one.exception() for one in (chief, first, second)] == [None] * 3


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("", 0)) as server:
        address = f"localhost:{server.getsockname()[1]}"
        with pytest.raises(ConfigurationError, match="TF_CONFIG: worker 0 cannot listen on port"):
            join(Cluster((address, "localhost:1"), 0), "a" * 64)
