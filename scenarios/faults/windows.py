"""Windows of time in which a fault acts, in ticks: one, one that repeats, or always."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learning.columns import BoolColumn, IntColumn
from scenarios.engine.clock import FAR


@dataclass(frozen=True)
class Windows:
    """Half-open windows [start, start + length), again after each ``every`` ticks (0: only once)."""

    start: int
    length: int
    every: int

    def contain(self, ticks: IntColumn) -> BoolColumn:
        """Which ticks lie in a window."""
        since = ticks - self.start
        phase = since % self.every if self.every else since
        return np.asarray((since >= 0) & (phase < self.length))

    def end(self, ticks: IntColumn) -> IntColumn:
        """The end of the window that each tick lies in, or the tick itself outside."""
        since = ticks - self.start
        phase = since % self.every if self.every else since
        return np.where(self.contain(ticks), ticks - phase + self.length, ticks)

    def next_start(self, tick: int) -> int:
        """Start of the first window that begins at ``tick`` or later; ``FAR`` if there is none."""
        if tick <= self.start:
            return self.start
        if not self.every:
            return FAR
        return self.start + -(-(tick - self.start) // self.every) * self.every
