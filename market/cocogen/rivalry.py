"""Who is whose rival: ways to draw the intensities of competition, a type of each pair of persons.

An intensity belongs to two persons and never changes, whoever else comes and goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_array

from learning.columns import IntColumn
from learning.registry import Registry
from learning.streams import Streams
from market.cocogen.competition import CompetitionMatrix, FloatMatrix, LowRank


class Rivalry:
    """Intensities among persons. ``name`` is that of the registry."""

    name: ClassVar[str]
    most_persons: ClassVar[int | None] = None
    """How many can compete at a time; None: any number."""

    def among(self, persons: IntColumn, streams: Streams) -> CompetitionMatrix:
        """Intensities [N, N] of these persons, ``most_persons`` at most: row i is what i feels of the others."""
        raise NotImplementedError


def too_many(rivalry: Rivalry | type[Rivalry], count: int) -> str:
    """One line that says that so many cannot compete at a time, and which rivalry knows any number."""
    unlimited = " and ".join(name for name, kind in RIVALRIES.items() if kind.most_persons is None)
    return f"at most {rivalry.most_persons:,} owners can compete at a time, there are {count:,}; {unlimited} take more"


RIVALRIES: Registry[type[Rivalry]] = Registry("rivalry")


def _check(name: str, value: float, most: float = 1e9) -> None:
    if not 0.0 <= value <= most:
        raise ValueError(f"{name}: expected a number from 0 to {most:g}, got {value}")


_AT_ONCE = 2**17
"""Pairs that are drawn at once: few enough for the processor's own memory."""


@RIVALRIES.register("pairs")
@dataclass(frozen=True)
class Pairs(Rivalry):
    """Each pair has an intensity of its own, uniform about ``mean_intensity`` by ``spread`` (0 to 1) of it.

    The same either way unless ``symmetric`` is false. A share ``density`` of the pairs compete at all. Takes N x N
    numbers, so 5,000 persons may be there at most, and hundreds are quicker; ``markets`` is for any number.
    """

    mean_intensity: float
    spread: float = 1.0
    density: float = 1.0
    symmetric: bool = True

    name: ClassVar[str] = "pairs"
    most_persons: ClassVar[int | None] = 5_000

    def __post_init__(self) -> None:
        _check("mean_intensity", self.mean_intensity)
        _check("spread", self.spread, 1.0)
        _check("density", self.density, 1.0)

    def among(self, persons: IntColumn, streams: Streams) -> FloatMatrix:
        found = np.empty((len(persons), len(persons)))
        rows = max(1, _AT_ONCE // max(1, len(persons)))
        for first in range(0, len(persons), rows):
            found[first : first + rows] = self._felt(persons[first : first + rows], persons, streams)
        return found

    def _felt(self, some: IntColumn, persons: IntColumn, streams: Streams) -> FloatMatrix:
        """What some feel of all persons, [K, N]."""
        rows, columns = np.broadcast_arrays(some[:, None], persons[None, :])
        first, second = (np.minimum(rows, columns), np.maximum(rows, columns)) if self.symmetric else (rows, columns)
        draw = streams.uniform("rivalry", first, 0, second)
        found = self.mean_intensity * (1.0 + self.spread * (2.0 * draw - 1.0))
        if self.density < 1.0:
            found = np.where(streams.uniform("rivals", first, 0, second) < self.density, found, 0.0)
        return np.where(rows == columns, 0.0, found)


@RIVALRIES.register("markets")
@dataclass(frozen=True)
class Markets(Rivalry):
    """Persons meet in ``markets`` markets: what one feels there times how present the other is; for any number of them.

    ``mean_intensity`` is that of two persons taken at random.
    """

    mean_intensity: float
    markets: int = 3

    name: ClassVar[str] = "markets"

    def __post_init__(self) -> None:
        _check("mean_intensity", self.mean_intensity)
        if self.markets < 1:
            raise ValueError(f"markets: expected a number of at least 1, got {self.markets}")

    def among(self, persons: IntColumn, streams: Streams) -> LowRank:
        market = np.arange(self.markets)
        feels = streams.uniform("rivalry", persons[:, None], 1, market)
        present = streams.uniform("rivalry", persons[:, None], 2, market)
        return LowRank(4.0 * self.mean_intensity / self.markets * feels, present)


@RIVALRIES.register("table")
@dataclass(frozen=True)
class Table(Rivalry):
    """The intensities of persons 0, 1, ... are ``rows``; whoever comes later competes with nobody."""

    rows: Sequence[Sequence[float]]

    name: ClassVar[str] = "table"

    def __post_init__(self) -> None:
        for place, row in enumerate(self.rows):
            if len(row) != len(self.rows):
                raise ValueError(f"rows: expected {len(self.rows)} numbers in each, row {place} has {len(row)}")
            for value in row:
                _check("rows", value)
            if row[place] != 0.0:
                raise ValueError(f"rows: nobody competes with itself, but row {place} has {row[place]} there")
        object.__setattr__(self, "rows", tuple(tuple(float(value) for value in row) for row in self.rows))

    def among(self, persons: IntColumn, streams: Streams) -> CompetitionMatrix:
        known = np.array(self.rows, dtype=np.float64).reshape(len(self.rows), len(self.rows))
        listed = np.flatnonzero(persons < len(known))
        felt = known[np.ix_(persons[listed], persons[listed])]
        row, column = np.nonzero(felt)
        count = len(persons)
        # Sparse, for those who came later may be many.
        found: Any = csr_array((felt[row, column], (listed[row], listed[column])), shape=(count, count))
        matrix: CompetitionMatrix = found
        return matrix
