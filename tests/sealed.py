"""Documents of a run, edited by someone who also puts their hash right."""

import json
from collections.abc import Callable
from pathlib import Path

from seq2seq_cli.runs.document import seal


def edit(path: Path, change: Callable[[dict], object]) -> None:
    """Change the document in a file."""
    path.write_bytes(edited(path.read_bytes(), change))


def edited(content: bytes, change: Callable[[dict], object]) -> bytes:
    """Return a document's text with a change, such as `lambda d: d.update(steps_done=7)`."""
    document = json.loads(content)
    document.pop("own_sha256", None)
    change(document)
    return seal(json.dumps(document, indent=2)).encode()
