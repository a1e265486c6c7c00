"""What a piece of work costs: wall and processor seconds, memory, and how they grow with the size of the work."""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np


class Stopwatch:
    """Runs from its making on; ``str`` of it tells both times of now.

    On a machine that others use as well, only processor seconds belong to the work.
    """

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @property
    def wall(self) -> float:
        """Seconds by the clock."""
        return time.perf_counter() - self._wall

    @property
    def cpu(self) -> float:
        """Seconds of all processors that this process has had."""
        return time.process_time() - self._cpu

    def __str__(self) -> str:
        return f"{self.wall:.1f} s ({self.cpu:.1f} s of processor time)"


def held_now() -> int:
    """Bytes of memory that this process holds now (resident set). From ``/proc``, so on Linux only."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def held_at_most() -> int:
    """The most bytes of memory that this program has held; what its parent held before it started does not count."""
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024


def per_unit(numbers: Sequence[float], costs: Sequence[float]) -> float:
    """Slope of the line through these costs: what one more costs."""
    return float(np.polyfit(numbers, costs, 1)[0])


def growth(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Slope of the line through the logarithms: 1 where costs grow as the size does, 2 as its square."""
    return per_unit(np.log(sizes).tolist(), np.log(costs).tolist())
