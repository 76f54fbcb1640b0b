"""A run's JSON documents, edited by someone else."""

import json
from collections.abc import Callable
from pathlib import Path


def edit(path: Path, change: Callable[[dict], object]) -> None:
    """Change the document in a file, such as with `lambda d: d.update(steps_done=7)`."""
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document, indent=2))
