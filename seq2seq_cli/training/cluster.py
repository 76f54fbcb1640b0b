"""The workers of a training: named by the variable TF_CONFIG, compared before they start."""

import os
import re
import socket
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seq2seq_cli.errors import ConfigurationError

VARIABLE = "TF_CONFIG"
SAME, DIFFERENT = b"=", b"!"
"""The chief's answers to a worker."""
ANSWER_SECONDS = 10
"""How long the chief waits for a connection's line, and a worker for a connection."""
RETRY_SECONDS = 0.2


@dataclass(frozen=True)
class Cluster:
    """The processes that train one model together; `index` is this one's, 0 is the chief's."""

    addresses: tuple[str, ...]  # host:port of each; empty for a process that trains alone
    index: int

    @property
    def n_workers(self) -> int:
        """The number of processes."""
        return max(1, len(self.addresses))

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run, as a process that trains alone does."""
        return self.index == 0


ALONE = Cluster((), 0)

Address = Annotated[str, Field(pattern=r"^.+:[0-9]{1,5}$")]


class _Addresses(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    chief: list[Address] = []
    worker: list[Address] = []


class _Task(BaseModel):
    model_config = ConfigDict(strict=True)

    type: Literal["chief", "worker"]
    index: Annotated[int, Field(ge=0)]


class _Document(BaseModel):
    cluster: _Addresses
    task: _Task


def read_cluster() -> Cluster:
    """Return the cluster that TF_CONFIG describes, or ALONE without it.

    It is JSON such as {"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type":
    "worker", "index": 0}}; the chief is the task of type "chief", or worker 0 if there is none. As
    in TensorFlow an empty object means alone. Raises ConfigurationError for anything else.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if text in ("", "{}"):
        return ALONE
    try:
        document = _Document.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "its text"
        raise _wrong(text, f"{field}: {first['msg']}") from error
    chief, worker, task = document.cluster.chief, document.cluster.worker, document.task
    if task.index >= len(chief if task.type == "chief" else worker):
        raise _wrong(text, f"there is no {task.type} {task.index}")
    index = task.index if task.type == "chief" else len(chief) + task.index
    return Cluster((*chief, *worker), index)


def join(cluster: Cluster, digest: str) -> None:
    """Wait until all workers have started; `digest` is the SHA-256 of what each one trains.

    Raises ConfigurationError in all of them if the digests differ. TensorFlow would wait too, but
    signals could not interrupt it.
    """
    host, _, port = cluster.addresses[0].rpartition(":")
    if cluster.is_chief:
        are_same = _gather(int(port), cluster.n_workers - 1, digest)
    else:
        are_same = _ask(host.strip("[]"), int(port), f"{cluster.index} {digest}\n")
    if not are_same:
        raise ConfigurationError(
            "the workers of this training differ in their settings, data or checkpoint: start all "
            "with the same command, on the same files"
        )


def _gather(port: int, n_others: int, digest: str) -> bool:
    """Return whether all workers have this digest, and tell them."""
    joined: dict[str, tuple[socket.socket, str]] = {}  # by index: a worker may be restarted
    with ExitStack() as opened:
        try:
            server = opened.enter_context(socket.create_server(("", port)))
        except OSError as error:
            raise ConfigurationError(
                f"{VARIABLE}: worker 0 cannot listen on port {port}: {error.strerror}"
            ) from error
        while len(joined) < n_others:
            connection = opened.enter_context(server.accept()[0])
            connection.settimeout(ANSWER_SECONDS)
            with suppress(OSError, ValueError), connection.makefile(encoding="ascii") as lines:
                if sent := re.fullmatch(r"(\d+) ([0-9a-f]{64})\n", lines.readline(100)):
                    joined[sent[1]] = connection, sent[2]
        are_same = all(theirs == digest for _, theirs in joined.values())
        for connection, _ in joined.values():
            with suppress(OSError):
                connection.sendall(SAME if are_same else DIFFERENT)
    return are_same


def _ask(host: str, port: int, line: str) -> bool:
    """Return the chief's answer to a line, once the chief and all other workers have started."""
    while True:
        with (
            suppress(OSError),
            socket.create_connection((host, port), ANSWER_SECONDS) as connection,
        ):
            connection.settimeout(None)
            connection.sendall(line.encode())
            if (answer := connection.recv(1)) in (SAME, DIFFERENT):
                return answer == SAME
        time.sleep(RETRY_SECONDS)


def _wrong(text: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"{VARIABLE} = {text}: should give the cluster's chief and worker addresses and this "
        f"process's task, a type and an index among them ({reason})"
    )
