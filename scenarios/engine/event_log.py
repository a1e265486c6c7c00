"""The event log: what happened, in order, as columns. Typed, append-only, and the same for the same seed."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike

from learning.columns import FloatColumn, IntColumn


class Event(IntEnum):
    """Kinds of logged events; the comment says what ``value`` holds."""

    ARRIVE = 0  # expected utility minus outside option
    JOIN = 1  # deposit
    DECLINE = 2  # expected utility minus outside option
    OPEN = 3  # budget
    REPORT = 4  # claimed data size
    PLAN = 5  # owners selected
    START = 6  # computing center
    UPDATE = 7  # kind of upload
    QUARANTINE = 8  # kind of upload
    AGGREGATE = 9  # model version
    CLOSE = 10  # accuracy
    AUDIT = 11  # 1 if there was a violation
    GUILTY = 12  # money slashed, and the fee of a lost appeal
    SWITCH = 13  # new strategy
    LEAVE = 14  # exit kind
    LATE = 15  # kind of upload
    INTERVENE = 16  # place in the scenario's list of interventions
    CRASH = 17  # seconds of repair
    LOST = 18  # 0 for a report, 1 for an upload
    DELAY = 19  # further seconds on the way
    DUPLICATE = 20  # 0 for a report, 1 for an upload
    OVERDUE = 21  # 0: a report that came after the plan
    SKEW = 22  # seconds by which the clock is ahead that made an owner misjudge the deadline
    OUTAGE = 23  # place in the scenario's list of faults
    RECOVERY = 24  # place in the scenario's list of faults
    ABANDON = 25  # uploads that the model owner has forgotten
    DIVERGED = 26  # the upload's change as a multiple of the typical one
    OVERFLOW = 27  # uploads whose aggregate was too large to be a model


class EventLog:
    """Collects batches of events; ``drain`` hands over what has come since the last time."""

    def __init__(self) -> None:
        self.count = 0
        self._batches: list[tuple[IntColumn, int, int, IntColumn, FloatColumn]] = []

    def add(self, kind: Event, tick: ArrayLike, round: int, owner: ArrayLike, value: ArrayLike = 0.0) -> None:
        """Append events of one kind; arguments broadcast to the length of ``owner``."""
        owners = np.atleast_1d(np.asarray(owner, dtype=np.int64))
        if len(owners) == 0:
            return
        ticks = np.broadcast_to(np.asarray(tick, dtype=np.int64), owners.shape)
        values = np.broadcast_to(np.asarray(value, dtype=np.float64), owners.shape)
        self._batches.append((ticks, int(kind), round, owners, values))
        self.count += len(owners)

    def drain(self) -> dict[str, IntColumn | FloatColumn]:
        """Columns ``seq, tick, round, kind, owner, value`` of the events since the last drain."""
        batches, self._batches = self._batches, []
        lengths = [len(batch[3]) for batch in batches]
        total = sum(lengths)

        def stack(position: int, dtype: type) -> IntColumn | FloatColumn:
            return np.concatenate([batch[position] for batch in batches]) if batches else np.zeros(0, dtype=dtype)

        return {
            "seq": np.arange(self.count - total, self.count),
            "tick": stack(0, np.int64),
            "round": np.repeat(np.array([batch[2] for batch in batches], dtype=np.int64), lengths),
            "kind": np.repeat(np.array([batch[1] for batch in batches], dtype=np.int64), lengths),
            "owner": stack(3, np.int64),
            "value": stack(4, np.float64),
        }
