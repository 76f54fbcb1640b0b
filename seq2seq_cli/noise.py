"""Holding back what libraries write to standard error."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from seq2seq_cli.errors import S2sError


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what the process writes to standard error; show it only after a failure.

    A user's mistake is not such a failure: its own message is enough.
    """
    with _file_of_no_folder() as noise:
        standard_error = os.dup(2)
        os.dup2(noise.fileno(), 2)
        try:
            yield
        except S2sError:
            raise
        except Exception:
            noise.seek(0)
            os.write(standard_error, noise.read())
            raise
        finally:
            os.dup2(standard_error, 2)
            os.close(standard_error)


def _file_of_no_folder() -> IO[bytes]:
    """Return a file in memory if the system supports it, since the disk may be full."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("noise"), "w+b")
    return tempfile.TemporaryFile()
