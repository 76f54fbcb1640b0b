"""The user's cache folder: compiled programs, and how each release of TensorFlow behaves."""

import os
from contextlib import suppress
from pathlib import Path

FOLDER_VARIABLE = "S2S_CACHE_DIR"
"""Names another folder; if it is empty, nothing is cached."""


def cache_folder() -> Path | None:
    """Return the cache folder, created if needed; None if it is unsafe or cannot be created."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named == "":
        return None
    # Imported here, since most commands compile nothing.
    from platformdirs import user_cache_path

    # It raises RuntimeError for a user without a home folder.
    with suppress(OSError, RuntimeError):
        root = Path(named).absolute() if named else user_cache_path("s2s")
        # A relative home folder is not usable, and TensorFlow's flag cannot contain a quote.
        if not root.is_absolute() or "'" in str(root):
            return None
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = root.stat()
        if not hasattr(os, "getuid"):
            return root
        is_safe = status.st_uid == os.getuid() and not status.st_mode & 0o022
        return root if is_safe else None
    return None
