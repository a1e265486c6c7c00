"""Simulated time: integer ticks on a SimPy environment, pending events as columns.

Everything that is going to happen is an entry (tick, owner, stay, reference) of a *wave*: a batch of entries of one
kind, sorted by tick, then owner. SimPy holds one event per wave, at the wave's next tick, and so owns the order of
all waves. When a wave comes up, its entries before the next SimPy event are handled in one call, as columns: nothing
else can happen between them. That is what makes a round of a million owners as cheap as a round of a few columns,
and what leaves nothing to save in a generator.

Order at equal ticks: first by ``Kind`` (its number), then by the moment at which the wave was scheduled, then by owner.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import simpy
from simpy.events import EventPriority

from learning.columns import BoolColumn, FloatColumn, IntColumn

TICKS_PER_SECOND = 1_000_000


class Kind(IntEnum):
    """What can be pending; at equal ticks the lower number comes first. Leaving comes before anything else."""

    LEAVE = 1
    ARRIVE = 2
    REPORT = 3
    START = 4
    TRAINED = 5
    UPDATE = 6
    PLAN = 7
    CLOSE = 8
    OPEN = 9
    CRASH = 10
    LOST = 11
    FAULT = 12


NOBODY = -1
"""Owner of an entry that concerns the whole market."""


FAR = 2**60
"""A tick that no run reaches; what lies further away is filed there."""


def after(tick: int | IntColumn, seconds: FloatColumn) -> IntColumn:
    """Ticks that lie some seconds after ``tick``."""
    return np.asarray(tick + np.rint(np.minimum(seconds * TICKS_PER_SECOND, FAR)).astype(np.int64))


def to_ticks(seconds: float) -> int:
    """Whole ticks nearest to some seconds."""
    return round(seconds * TICKS_PER_SECOND)


@dataclass(frozen=True)
class Happening:
    """Entries that are handled together: columns of ticks, owners and references (a round or a flight number)."""

    kind: Kind
    ticks: IntColumn
    owners: IntColumn
    refs: IntColumn

    def __len__(self) -> int:
        return len(self.ticks)

    def entries(self) -> list[tuple[int, int, int]]:
        """Tick, owner and reference of each entry."""
        return list(zip(self.ticks.tolist(), self.owners.tolist(), self.refs.tolist(), strict=True))


@dataclass
class Wave:
    """A scheduled batch; ``cursor`` is the first entry that is still pending."""

    kind: Kind
    ticks: IntColumn
    owners: IntColumn
    stays: IntColumn
    refs: IntColumn
    cursor: int = 0


Handler = Callable[[Happening], None]
Together = Callable[[Kind], bool]
StillValid = Callable[[Kind, IntColumn, IntColumn], BoolColumn]


class Clock:
    """A SimPy environment that plays waves.

    ``valid(kind, owners, stays)`` says which entries still concern somebody; the others are dropped unheard, so no
    event is ever handled for an owner that has left. ``together`` says of which kinds, as things stand, the handlers
    schedule nothing before the last entry they are given; only those are handled ahead of the SimPy clock.
    """

    def __init__(self, handlers: dict[Kind, Handler], together: Together, valid: StillValid) -> None:
        self.env = simpy.Environment(initial_time=0)
        self._handlers = handlers
        self._together = together
        self._valid = valid
        self._waves: dict[simpy.Event, Wave] = {}
        self.handled = 0

    @property
    def now(self) -> int:
        """Current tick."""
        return int(self.env.now)

    def schedule(
        self, kind: Kind, ticks: IntColumn, owners: IntColumn, stays: IntColumn, refs: IntColumn | None = None
    ) -> None:
        """File a wave; ``ticks`` must not lie before now."""
        if len(ticks) == 0:
            return
        order = np.lexsort((owners, ticks))
        refs = np.zeros(len(ticks), dtype=np.int64) if refs is None else refs
        wave = Wave(kind, ticks[order], owners[order], stays[order], refs[order])
        if wave.ticks[0] < self.env.now:
            raise ValueError(f"{kind.name} at tick {wave.ticks[0]} lies before now ({self.env.now})")
        self._arm(wave)

    def at(self, kind: Kind, tick: int, owner: int = NOBODY, stay: int = 0, ref: int = 0) -> None:
        """File a single entry."""
        columns = (np.array([value], dtype=np.int64) for value in (tick, owner, stay, ref))
        self.schedule(kind, *columns)

    def drop(self, kind: Kind, which: Callable[[IntColumn, IntColumn], BoolColumn]) -> None:
        """Strike out the pending entries of a kind for which ``which(owners, refs)`` says so."""
        for event, wave in list(self._waves.items()):
            if wave.kind is not kind:
                continue
            pending = slice(wave.cursor, None)
            keep = ~which(wave.owners[pending], wave.refs[pending])
            if keep.all():
                continue
            del self._waves[event]
            # SimPy cannot cancel an event; one that stays would still part the batches of others.
            self.env._queue[:] = [entry for entry in self.env._queue if entry[3] is not event]
            heapq.heapify(self.env._queue)
            if keep.any():
                rest = (column[pending][keep] for column in (wave.ticks, wave.owners, wave.stays, wave.refs))
                ticks, owners, stays, refs = rest
                self._arm(Wave(kind, ticks, owners, stays, refs))

    def run_until(self, tick: int) -> None:
        """Handle everything before ``tick`` (half-open), and stand there."""
        self.env.run(until=tick)

    def pending(self) -> Iterator[Wave]:
        """Waves that still have entries, in the order in which SimPy would play them."""
        for _, _, _, event in sorted(self.env._queue, key=lambda entry: entry[:3]):
            if event in self._waves:
                yield self._waves[event]

    def _arm(self, wave: Wave) -> None:
        event = simpy.Event(self.env)
        event._ok, event._value = True, None
        event.callbacks = [self._fire]
        self._waves[event] = wave
        # SimPy keeps priority 0 for its own stop event, so a window ends before anything at its last tick.
        self.env.schedule(event, priority=EventPriority(wave.kind), delay=int(wave.ticks[wave.cursor]) - self.env.now)

    def _fire(self, event: simpy.Event) -> None:
        wave = self._waves.pop(event)
        first = wave.cursor
        last = int(np.searchsorted(wave.ticks, self.env.now, side="right"))
        if self._together(wave.kind):
            last = max(last, int(np.searchsorted(wave.ticks, self.env.peek(), side="left")))
        wave.cursor = last
        if last < len(wave.ticks):
            self._arm(wave)
        owners = wave.owners[first:last]
        keep = self._valid(wave.kind, owners, wave.stays[first:last])
        ticks, refs = wave.ticks[first:last], wave.refs[first:last]
        if not keep.all():
            ticks, owners, refs = ticks[keep], owners[keep], refs[keep]
        if len(ticks):
            self.handled += len(ticks)
            self._handlers[wave.kind](Happening(wave.kind, ticks, owners, refs))
