"""How much memory there is, and the refusal of what surely needs more.

What is needed is told by whoever needs it, as a lower bound: what is refused could never work.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from seq2seq_cli.errors import ConfigurationError, S2sError

GROUPS_OF_PROCESS = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")
LIMIT_FILES = ("memory.max", "memory.limit_in_bytes")  # of cgroups version 2, and of version 1


@dataclass(frozen=True)
class Need:
    """Bytes that something takes at the least, and the settings' values that it grows with."""

    what: str
    bytes: int
    settings: Mapping[str, int]

    @property
    def dominating(self) -> str:
        """The setting to make smaller: that of the largest value."""
        return max(self.settings, key=lambda name: self.settings[name])


def check(
    needs: Sequence[Need], besides: int = 0, error: type[S2sError] = ConfigurationError
) -> None:
    """Raise an error where all of this, and `besides`, is more than there can be.

    The message names the largest need's dominating setting.
    """
    limit = available()
    if limit is None or besides + sum(need.bytes for need in needs) <= limit:
        return
    largest = max(needs, key=lambda need: need.bytes)
    name = largest.dominating
    raise error(
        f"{name} = {largest.settings[name]}: {largest.what} would take at least "
        f"{shown(largest.bytes)} of memory, and all there is are {shown(limit)}: make it smaller"
    )


def shown(n_bytes: int) -> str:
    """Return a number of bytes for people."""
    size, units = float(n_bytes), ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        del units[0]
    return f"{size:,.0f} {units[0]}" if size >= 100 else f"{size:.3g} {units[0]}"


def available() -> int | None:
    """Return the bytes that this process may have: those of the machine, its group and its limit.

    None where nothing is known of any.
    """
    found = group_limits(GROUPS_OF_PROCESS, GROUPS)
    with suppress(AttributeError, OSError, ValueError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    if (limit := address_limit()) is not None:
        found.append(limit)
    return min((limit for limit in found if limit > 0), default=None)


def address_limit() -> int | None:
    """Return the bytes of addresses that this process may have (`ulimit -v`), or None."""
    try:
        import resource  # which Unix alone has
    except ImportError:
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def group_limits(groups_of_process: Path, groups: Path) -> list[int]:
    """Return the memory limits of the control groups that a process is in, and of those above."""
    limits: list[int] = []
    with suppress(OSError):
        for line in groups_of_process.read_text().splitlines():
            _, controllers, path = [*line.split(":", 2), "", ""][:3]
            if not path or controllers not in ("", "memory"):
                continue
            top = groups / controllers
            group = top / path.lstrip("/")
            # In a container the path may be the host's, and only the top is there.
            for folder in {top, group, *(p for p in group.parents if p.is_relative_to(top))}:
                for name in LIMIT_FILES:
                    with suppress(OSError, ValueError):  # "max" is no limit
                        limits.append(int((folder / name).read_text()))
    return limits
