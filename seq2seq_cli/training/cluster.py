"""Which process of a training on many machines this one is, by the standard variable TF_CONFIG."""

import os
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seq2seq_cli.errors import ConfigurationError

VARIABLE = "TF_CONFIG"


@dataclass(frozen=True)
class Cluster:
    """The processes that train one model together; `index` is this one's, the chief's is 0."""

    n_workers: int
    index: int

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run; a process that trains alone does."""
        return self.index == 0


ALONE = Cluster(1, 0)


class _Addresses(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    chief: list[str] = []
    worker: list[str] = []


class _Task(BaseModel):
    model_config = ConfigDict(strict=True)

    type: Literal["chief", "worker"]
    index: Annotated[int, Field(ge=0)]


class _Document(BaseModel):
    cluster: _Addresses
    task: _Task


def read_cluster() -> Cluster:
    """Return what TF_CONFIG says, or ALONE without it.

    It is JSON such as {"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type":
    "worker", "index": 0}}; the chief is the task of type "chief", or worker 0 where there is none.
    An empty object is what TensorFlow takes as alone. Raises ConfigurationError for anything else.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if text in ("", "{}"):
        return ALONE
    try:
        document = _Document.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "its text"
        raise _wrong(text, f"{place}: {first['msg']}") from error
    n_chiefs, n_workers = len(document.cluster.chief), len(document.cluster.worker)
    task = document.task
    if task.index >= (n_chiefs if task.type == "chief" else n_workers):
        raise _wrong(text, f"there is no {task.type} {task.index}")
    index = task.index if task.type == "chief" else n_chiefs + task.index
    return Cluster(n_chiefs + n_workers, index)


def _wrong(text: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"{VARIABLE} = {text}: should give the cluster's chief and worker addresses and this "
        f"process's task, a type and an index among them ({reason})"
    )
