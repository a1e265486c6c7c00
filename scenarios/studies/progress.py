"""How a batch tells where it stands: a bar on a terminal, a line now and then in a log, JSON lines for machines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Protocol

EVERY_SECONDS = 10.0
"""Between two lines in a log."""

JSON_SECONDS = 1.0
"""Between two JSON lines, at least."""


@dataclass(frozen=True)
class Standing:
    """Where a batch stands: runs in all, done (also those of earlier batches), failed, being played; seconds so far and
    to go (None: not known yet)."""

    runs: int
    done: int
    failed: int
    in_flight: int
    seconds: float
    seconds_left: float | None

    @property
    def line(self) -> str:
        """The same in words."""
        left = "" if self.seconds_left is None else f", {_duration(self.seconds_left)} left"
        return f"{self.done}/{self.runs} runs, {self.failed} failed, {self.in_flight} in flight{left}"


class Tally:
    """Counts runs as they end. ``clock`` gives seconds."""

    def __init__(self, runs: int, done: int, failed: int) -> None:
        self.runs, self.done, self.failed = runs, done, failed
        self._played = 0
        self._start = time.monotonic()
        self._first: float | None = None

    def count(self, failed: bool) -> None:
        """One more run has ended."""
        self._played += 1
        self._first = self._first or time.monotonic()
        self.failed += failed
        self.done += not failed

    def standing(self, in_flight: int) -> Standing:
        """Where the batch stands now; the time left is known from the second run on, as the first ones warm up."""
        now = time.monotonic()
        left = self.runs - self.done - self.failed
        ahead: float | None = None
        if left == 0:
            ahead = 0.0
        elif self._first is not None and self._played > 1:
            ahead = left * (now - self._first) / (self._played - 1)
        return Standing(self.runs, self.done, self.failed, in_flight, now - self._start, ahead)


class Teller(Protocol):
    """Hears about every step; tells as often as suits it."""

    def tell(self, standing: Standing) -> None: ...


class Silent:
    """Tells nothing."""

    def tell(self, standing: Standing) -> None:
        """Nothing."""


class Lines:
    """A line to standard error now and then."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def tell(self, standing: Standing) -> None:
        """Print where the batch stands, if the last time is long enough ago."""
        now = time.monotonic()
        if now - self._last >= EVERY_SECONDS:
            self._last = now
            print(standing.line, file=sys.stderr, flush=True)


class JsonLines:
    """JSON objects, one a line, to standard output."""

    def __init__(self) -> None:
        self._last = 0.0

    def tell(self, standing: Standing) -> None:
        """Print where the batch stands, if the last time is long enough ago."""
        now = time.monotonic()
        if now - self._last >= JSON_SECONDS:
            self._last = now
            print(json.dumps({"event": "progress", **asdict(standing)}), flush=True)


@contextmanager
def bar(total: int) -> Iterator[Teller]:
    """A bar on the terminal (standard error) while the context lasts."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    class Bar:
        def tell(self, standing: Standing) -> None:
            ended = standing.done + standing.failed
            progress.update(task, total=standing.runs, completed=ended, description=standing.line)

    columns = (BarColumn(bar_width=30), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting", total=total)
        yield Bar()


def _duration(seconds: float) -> str:
    """``42 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
