"""Designs: which combinations of the factors are played. Classes in a registry, checked as a scenario's names are.

Space-filling designs draw places in the unit cube [points, factors], from one stream of the study's seed; factors turn
places into values. ``saltelli`` and ``morris`` have the structure that their indices need (``scenarios.studies.
sensitivity``): Saltelli, "Making best use of model evaluations to compute sensitivity indices", CPC 2002; Morris,
"Factorial sampling plans for preliminary computational experiments", Technometrics 1991.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from learning.columns import FloatColumn
from learning.registry import Registry
from learning.streams import Streams
from scenarios.studies.factors import Factor, values_at

MOST_POINTS = 1_000_000


@dataclass(frozen=True)
class Points:
    """A design's points: the value of each field it sets, and places in the unit cube [points, factors] if drawn."""

    values: list[dict[str, Any]]
    places: FloatColumn | None = None


class Design(Protocol):
    """A way to choose points. ``ValueError`` (one line) where the factors do not suit it."""

    def points(self, factors: Sequence[Factor], streams: Streams) -> Points: ...


DESIGNS: Registry[type[Design]] = Registry("design")


def designs() -> Registry[type[Design]]:
    """The registry of designs."""
    return DESIGNS


def factor_problem(factors: Sequence[Factor]) -> dict[str, Any]:
    """The factors as SALib describes them, in the unit cube."""
    names = [factor.field for factor in factors]
    return {"num_vars": len(names), "names": names, "bounds": [[0.0, 1.0]] * len(names)}


@DESIGNS.register("grid")
class Grid:
    """Every combination of the factors' levels; the last factor changes fastest."""

    def points(self, factors: Sequence[Factor], streams: Streams) -> Points:
        for factor in factors:
            if factor.range is not None and factor.range.steps is None:
                raise ValueError(f"a grid needs levels or 'steps' for {factor.field}")
        grids = [factor.grid() for factor in factors]
        count = 1
        for levels in grids:
            count *= len(levels)
        _check_count(count)
        fields = [factor.field for factor in factors]
        return Points([dict(zip(fields, row, strict=True)) for row in itertools.product(*grids)])


@DESIGNS.register("list")
class Listed:
    """The points that are written down: a mapping of fields to values each."""

    def __init__(self, points: list[dict[str, Any]]) -> None:
        if not points:
            raise ValueError("points: at least one point must be listed")
        self._points = points

    def points(self, factors: Sequence[Factor], streams: Streams) -> Points:
        if factors:
            raise ValueError("a list of points takes no factors: write their values into the points")
        fields = list(self._points[0])
        for number, point in enumerate(self._points):
            if set(point) != set(fields):
                raise ValueError(f"point {number} sets {_named(point)}, but point 0 sets {_named(fields)}")
        return Points([{field: point[field] for field in fields} for point in self._points])


class _Drawn:
    """What designs with a number of points have in common."""

    def __init__(self, samples: int = 64) -> None:
        if not 1 <= samples <= MOST_POINTS:
            raise ValueError(f"samples must be from 1 to {MOST_POINTS:,}")
        self.samples = samples


@DESIGNS.register("latin_hypercube")
class LatinHypercube(_Drawn):
    """So many points that each factor has one in each of as many equal parts of its range."""

    def points(self, factors: Sequence[Factor], streams: Streams) -> Points:
        from scipy.stats import qmc

        _check_factors(factors)
        chance = _seeded(streams.generator("study/latin hypercube"))
        places = qmc.LatinHypercube(len(factors), rng=chance).random(self.samples)
        return Points(values_at(factors, places), places)


class _PowersOfTwo(_Drawn):
    def __init__(self, samples: int = 64) -> None:
        super().__init__(samples)
        if samples & (samples - 1):
            raise ValueError("samples must be a power of two, such as 64")


@DESIGNS.register("sobol")
class Sobol(_PowersOfTwo):
    """So many scrambled points of the Sobol sequence, which fill the space evenly."""

    def points(self, factors: Sequence[Factor], streams: Streams) -> Points:
        from scipy.stats import qmc

        _check_factors(factors)
        places = qmc.Sobol(len(factors), rng=_seeded(streams.generator("study/sobol"))).random(self.samples)
        return Points(values_at(factors, places), places)


@DESIGNS.register("saltelli")
class Saltelli(_PowersOfTwo):
    """Saltelli's extension of ``samples`` Sobol points, for Sobol indices: samples * (2 * factors + 2) points."""

    def __init__(self, samples: int = 64, second_order: bool = True) -> None:
        super().__init__(samples)
        self.second_order = second_order

    def points(self, factors: Sequence[Factor], streams: Streams) -> Points:
        from SALib.sample import sobol

        _check_factors(factors)
        _check_count(self.samples * (2 * len(factors) + 2))
        chance = _seeded(streams.generator("study/saltelli"))
        problem = factor_problem(factors)
        places = sobol.sample(problem, self.samples, calc_second_order=self.second_order, seed=chance)
        return Points(values_at(factors, places), places)


@DESIGNS.register("morris")
class Morris:
    """So many trajectories that change one factor after the other: trajectories * (factors + 1) points."""

    def __init__(self, trajectories: int = 10, levels: int = 4) -> None:
        if not 2 <= trajectories <= MOST_POINTS:
            raise ValueError("trajectories must be at least 2")
        if levels < 2 or levels % 2:
            raise ValueError("levels must be even and at least 2")
        self.trajectories, self.levels = trajectories, levels

    def points(self, factors: Sequence[Factor], streams: Streams) -> Points:
        from SALib.sample import morris

        _check_factors(factors)
        _check_count(self.trajectories * (len(factors) + 1))
        chance = _seeded(streams.generator("study/morris"))
        problem = factor_problem(factors)
        places = np.asarray(morris.sample(problem, self.trajectories, num_levels=self.levels, seed=chance))
        return Points(values_at(factors, places), places)


def _seeded(chance: np.random.Generator) -> np.random.Generator:
    """A generator from which SciPy can spawn others, as it cannot from one of ``Streams``."""
    return np.random.default_rng(int(chance.integers(2**63)))


def _check_factors(factors: Sequence[Factor]) -> None:
    if not factors:
        raise ValueError("this design needs factors")


def _check_count(count: int) -> None:
    if count > MOST_POINTS:
        raise ValueError(f"the design has {count:,} points, more than {MOST_POINTS:,}")


def _named(fields: Any) -> str:
    return ", ".join(fields) or "nothing"
