"""Which process of a training on many machines this one is, by the standard variable TF_CONFIG."""

import json
import os
from dataclasses import dataclass

from seq2seq_cli.errors import ConfigurationError

VARIABLE = "TF_CONFIG"
ROLES = ("chief", "worker")


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


def read_cluster() -> Cluster:
    """Return what TF_CONFIG says, or ALONE without it.

    It is JSON such as {"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type":
    "worker", "index": 0}}; the chief is the task of type "chief", or worker 0 where there is none.
    Raises ConfigurationError for anything else.
    """
    text = os.environ.get(VARIABLE, "")
    if not text:
        return ALONE
    try:
        document = json.loads(text)
        addresses = {role: list(document["cluster"].get(role, [])) for role in ROLES}
        others = set(document["cluster"]) - set(ROLES)
        role, index = document["task"]["type"], int(document["task"]["index"])
        addresses[role][index]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ConfigurationError(
            f"{VARIABLE} = {text}: should give the cluster's chief and worker addresses and this "
            f"process's task, a type and an index among them ({error!r})"
        ) from error
    if others:
        raise ConfigurationError(
            f"{VARIABLE} has tasks of type {', '.join(sorted(others))}: s2s trains with "
            f"{' and '.join(ROLES)} only"
        )
    n_chiefs = len(addresses["chief"])
    return Cluster(
        n_workers=n_chiefs + len(addresses["worker"]),
        index=index if role == "chief" else n_chiefs + index,
    )
