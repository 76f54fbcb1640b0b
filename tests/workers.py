"""Workers of one training, all on this machine."""

import json
import socket
from collections.abc import Sequence


def free_addresses(n: int) -> list[str]:
    """Return addresses that are free."""
    sockets = [socket.socket() for _ in range(n)]
    for opened in sockets:
        opened.bind(("localhost", 0))
    addresses = [f"localhost:{opened.getsockname()[1]}" for opened in sockets]
    for opened in sockets:
        opened.close()
    return addresses


def tf_config(addresses: Sequence[str], index: int) -> str:
    """Return the variable TF_CONFIG of the worker with this index."""
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": list(addresses)}, "task": task})
