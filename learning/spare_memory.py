"""How much main memory is left to this process: by the machine, and by the control group of its container."""

from __future__ import annotations

import os
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
GROUPS = Path("/sys/fs/cgroup")
"""Where Linux says what it has, and what control groups may take."""
UNKNOWN = 2**40
"""Bytes, where the system does not say."""

_VERSION_2 = ("memory.max", "memory.current", ("active_file", "inactive_file"))
_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_active_file", "total_inactive_file"))


def memory_at_hand() -> int:
    """Bytes of main memory that this process can still take; a TiB where the system does not say."""
    return min(free_of_machine(), left_to_group(GROUPS, *_VERSION_2), left_to_group(GROUPS / "memory", *_VERSION_1))


def free_of_machine() -> int:
    """What Linux says is available, or else all that there is."""
    try:
        for line in MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (ValueError, OSError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return UNKNOWN


def left_to_group(place: Path, most: str, used: str, cached: tuple[str, ...]) -> int:
    """Bytes that a control group may still take, by its files ``most`` and ``used``, and by memory.stat.

    What is ``cached`` of files counts as used there, but is given back when somebody needs it. So a group that has
    written or read much is at its bound all the time, with memory to spare.
    """
    try:
        bound, taken = int((place / most).read_text("ascii")), int((place / used).read_text("ascii"))
    except (OSError, ValueError):  # there is none, or "max": it has no bound
        return UNKNOWN
    return max(0, bound - max(0, taken - _cached(place / "memory.stat", cached)))


def _cached(stat: Path, names: tuple[str, ...]) -> int:
    try:
        lines = [line.split() for line in stat.read_text("ascii").splitlines()]
        return sum(int(amount) for name, amount in lines if name in names)
    except (OSError, ValueError):
        return 0
