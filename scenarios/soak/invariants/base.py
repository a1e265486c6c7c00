"""What an invariant is: a function with a name that looks on and complains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from learning.registry import Registry
from market.parties import MODEL_OWNER, REGULATOR, WORLD, center_party
from scenarios.recorder import MemoryRecorder
from scenarios.tables import TABLES

if TYPE_CHECKING:
    from scenarios.engine.clock import Happening
    from scenarios.simulation import Simulation


class Broken(Exception):
    """An invariant does not hold. ``invariant`` is its name, ``said`` one line that says where and how."""

    def __init__(self, invariant: str, said: str) -> None:
        super().__init__(invariant, said)
        self.invariant = invariant
        self.said = " ".join(said.split())

    def __str__(self) -> str:
        return f"{self.invariant}: {self.said}"


class Wrong(Exception):
    """What an invariant finds; its name is added by who asked it."""


def require(holds: Any, said: str) -> None:
    """Raise ``Wrong`` unless it holds; not an ``assert``, which Python can be told to leave out."""
    if not bool(holds):
        raise Wrong(said)


def require_equal(found: Any, expected: Any, what: str) -> None:
    """Raise ``Wrong`` unless the two are equal."""
    require(found == expected, f"{what}: {found} and {expected}")


@dataclass(frozen=True)
class Finished:
    """A market that has been played to its end, and its tables."""

    simulation: Simulation
    recorder: MemoryRecorder

    @cached_property
    def _tables(self) -> dict[str, pd.DataFrame]:
        return {name: self.recorder.table(name) for name in TABLES}

    def table(self, name: str) -> pd.DataFrame:
        """All rows of one table; labels as plain text."""
        return self._tables[name]

    def events(self, *kinds: str) -> pd.DataFrame:
        """The logged events of some kinds."""
        log = self.table("events")
        return log[log["kind"].isin(kinds)]

    @property
    def parties(self) -> list[int]:
        """Everybody with accounts: the institutions, the computing centers, the owners."""
        world = self.simulation.world
        centers = [center_party(number) for number in range(len(world.centers))]
        return [WORLD, MODEL_OWNER, REGULATOR, *centers, *range(len(world.population))]

    @property
    def all_recorded(self) -> bool:
        """Whether the owners table has every owner of every round."""
        recording = self.simulation.scenario.recording
        return recording.owners_every == 1 and recording.owners_sample is None


def rows_of(table: pd.DataFrame) -> list[Any]:
    """The rows of a table, each with its columns as attributes."""
    return list(table.itertuples())


Watching = Callable[["Simulation", "Happening"], None]
"""Called after every batch of handled events."""
Judging = Callable[[Finished], None]
"""Called when a market is over."""

AT_EVENTS: Registry[Watching] = Registry("invariant of every moment")
AT_THE_END: Registry[Judging] = Registry("invariant of a finished market")
