"""Private types: the distributions that they come from, and drawing them once per person.

A distribution turns one uniform number per owner into one value (inversion), so that every attribute of every person
has a draw of its own and a changed distribution keeps everybody's rank in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtri

from agents.parameters import NOT_NEGATIVE, POSITIVE, Bounds, check_number, make
from learning.columns import FloatColumn, IntColumn
from learning.registry import Registry, UnknownName
from learning.streams import Streams

Number: TypeAlias = float | None
"""A value in a scenario file; null (None) is infinite, which only a sharing cost may be: at no price."""

_UNIFORM_ENDS = np.array([2.0**-53, 1.0 - 2.0**-53])
"""Smallest and largest number that a stream can give."""


class Distribution:
    """One value per uniform number in (0, 1), by the inverse distribution function."""

    name: ClassVar[str]

    def sample(self, uniform: FloatColumn) -> FloatColumn:
        """One value per entry of ``uniform``."""
        raise NotImplementedError

    def of(self, persons: IntColumn, uniform: FloatColumn) -> FloatColumn:
        """The values of these persons (or centers), who have one uniform number each."""
        return self.sample(uniform)

    def support(self) -> tuple[float, float]:
        """Smallest and largest value that can be drawn."""
        low, high = self.sample(_UNIFORM_ENDS)
        return float(low), float(high)


DISTRIBUTIONS: Registry[type[Distribution]] = Registry("distribution")


def _check_value(name: str, value: Number) -> None:
    if value is not None:
        check_number(name, value)


def _numbers(values: Sequence[Number]) -> FloatColumn:
    return np.array([np.inf if value is None else value for value in values], dtype=np.float64)


@DISTRIBUTIONS.register("constant")
@dataclass(frozen=True)
class Constant(Distribution):
    """The same ``value`` for everybody."""

    name: ClassVar[str] = "constant"
    value: Number

    def __post_init__(self) -> None:
        _check_value("value", self.value)

    def sample(self, uniform: FloatColumn) -> FloatColumn:
        return np.full(np.shape(uniform), _numbers([self.value])[0])


@DISTRIBUTIONS.register("uniform")
@dataclass(frozen=True)
class Uniform(Distribution):
    """Uniform between ``low`` and ``high`` (low <= high)."""

    name: ClassVar[str] = "uniform"
    low: float
    high: float

    def __post_init__(self) -> None:
        check_number("low", self.low)
        check_number("high", self.high, Bounds(at_least=self.low))

    def sample(self, uniform: FloatColumn) -> FloatColumn:
        return np.asarray(self.low + (self.high - self.low) * uniform, dtype=np.float64)


@DISTRIBUTIONS.register("lognormal")
@dataclass(frozen=True)
class LogNormal(Distribution):
    """Log-normal: ``median`` (> 0) times exp(``sigma`` z), z standard normal, sigma in [0, 50]."""

    name: ClassVar[str] = "lognormal"
    median: float
    sigma: float

    def __post_init__(self) -> None:
        check_number("median", self.median, POSITIVE)
        check_number("sigma", self.sigma, Bounds(at_least=0, at_most=50))  # beyond, the tails leave the doubles

    def sample(self, uniform: FloatColumn) -> FloatColumn:
        return np.asarray(self.median * np.exp(self.sigma * ndtri(uniform)))


@DISTRIBUTIONS.register("beta")
@dataclass(frozen=True)
class Beta(Distribution):
    """Beta with shapes ``a`` and ``b`` (> 0), stretched from [0, 1] to [``low``, ``high``]."""

    name: ClassVar[str] = "beta"
    a: float
    b: float
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        check_number("a", self.a, POSITIVE)
        check_number("b", self.b, POSITIVE)
        check_number("low", self.low)
        check_number("high", self.high, Bounds(at_least=self.low))

    def sample(self, uniform: FloatColumn) -> FloatColumn:
        return np.asarray(self.low + (self.high - self.low) * betaincinv(self.a, self.b, uniform))


@DISTRIBUTIONS.register("choice")
@dataclass(frozen=True)
class Choice(Distribution):
    """One of ``values``, with probabilities in proportion to ``weights`` (equal when there are none)."""

    name: ClassVar[str] = "choice"
    values: Sequence[Number]
    weights: Sequence[float] = ()

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("values is empty, expected at least one number")
        weights = self.weights or (1.0,) * len(self.values)
        if len(weights) != len(self.values):
            raise ValueError(f"weights has {len(weights)} entries, expected one for each of {len(self.values)} values")
        for value, weight in zip(self.values, weights, strict=True):
            _check_value("values", value)
            check_number("weights", weight, NOT_NEGATIVE)
        if sum(weights) <= 0.0:
            raise ValueError("weights sum to 0, expected at least one above 0")
        object.__setattr__(self, "values", tuple(self.values))
        object.__setattr__(self, "weights", tuple(weights))

    def _drawable(self) -> tuple[FloatColumn, FloatColumn]:
        """The values that have a weight, and their weights."""
        values, weights = _numbers(self.values), np.asarray(self.weights, dtype=np.float64)
        return values[weights > 0.0], weights[weights > 0.0]

    def sample(self, uniform: FloatColumn) -> FloatColumn:
        values, weights = self._drawable()
        edges = np.cumsum(weights)[:-1] / np.sum(weights)
        picked: NDArray[np.intp] = np.searchsorted(edges, uniform, side="right")
        return values[picked]

    def support(self) -> tuple[float, float]:
        """Smallest and largest value that has a weight; the values need not be in order."""
        values, _ = self._drawable()
        return float(values.min()), float(values.max())


@DISTRIBUTIONS.register("table")
@dataclass(frozen=True)
class Table(Distribution):
    """No chance: person k has ``values[k]``, and from the end of the list on it starts again."""

    name: ClassVar[str] = "table"
    values: Sequence[Number]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("values is empty, expected at least one number")
        for value in self.values:
            _check_value("values", value)
        object.__setattr__(self, "values", tuple(self.values))

    def sample(self, uniform: FloatColumn) -> FloatColumn:
        """One of the values, each as likely as the other: for whoever has no number."""
        return Choice(self.values).sample(uniform)

    def of(self, persons: IntColumn, uniform: FloatColumn) -> FloatColumn:
        return _numbers(self.values)[persons % len(self.values)]

    def support(self) -> tuple[float, float]:
        values = _numbers(self.values)
        return float(values.min()), float(values.max())


_MOST = 1e6
TYPE_BOUNDS: dict[str, Bounds] = {
    "cost": Bounds(at_least=0, at_most=_MOST),
    "compute_rate": Bounds(at_least=1e-6, at_most=1e12),
    "link_time": Bounds(at_least=0, at_most=_MOST),
    "think_time": Bounds(at_least=0, at_most=_MOST),
    "model_value": Bounds(at_least=0, at_most=_MOST),
    "outside_option": Bounds(at_least=-_MOST, at_most=_MOST),
    "wealth": Bounds(at_least=0, at_most=_MOST),
    "gain_scale": Bounds(at_least=0, at_most=1e12),
    "sharing_cost": Bounds(at_least=0, at_most=_MOST),
    "valuation": Bounds(at_least=0, at_most=_MOST),
    "privacy_budget": Bounds(at_least=0, at_most=1e3),
    "lifetime_privacy": Bounds(at_least=0, at_most=1e6),
    "generation_cost": Bounds(at_least=0, at_most=_MOST),
    "profitability": Bounds(at_least=0, at_most=_MOST),
}
"""What is drawn for each person, and where the values must lie. ``wealth`` is money brought along; the others are
population columns and have their units there."""

TYPE_COLUMNS = tuple(TYPE_BOUNDS)

MAY_BE_INFINITE = frozenset({"sharing_cost"})
"""Types that may also be infinite: who has an infinite sharing cost never sells."""

CENTER_BOUNDS: dict[str, Bounds] = {
    "rate": Bounds(at_least=1e-6, at_most=1e12),
    "cost_factor": Bounds(at_least=0, at_most=_MOST),
}
"""The same for each computing center: samples per second of a slot, and cost per unit of work beside others'."""


def make_distribution(kind: str, params: Mapping[str, Any]) -> Distribution:
    """The registered distribution ``kind`` with these parameters; errors as in ``agents.parameters.make``."""
    return make(DISTRIBUTIONS, kind, params)


def check_support(name: str, distribution: Distribution, bounds: Bounds) -> None:
    """Raise a one-line ValueError if ``distribution`` can give a value outside ``bounds`` or beyond the doubles.

    Types that may be infinite (``MAY_BE_INFINITE``) may be so whatever the bounds are.
    """
    for value in distribution.support():
        if value == np.inf and name in MAY_BE_INFINITE:
            continue
        if not np.isfinite(value) or value not in bounds:
            raise ValueError(f"{name} can be {value:g}, expected finite numbers {bounds}".rstrip())


def check_types(spec: Mapping[str, Distribution]) -> None:
    """Raise a one-line ValueError unless every name is a type column and every distribution keeps to its bounds."""
    for name, distribution in spec.items():
        if name not in TYPE_BOUNDS:
            raise ValueError(UnknownName("private type", name, list(TYPE_BOUNDS)).line)
        check_support(name, distribution, TYPE_BOUNDS[name])


def draw_center_types(count: int, spec: Mapping[str, Distribution], streams: Streams) -> dict[str, FloatColumn]:
    """The types of computing centers 0 .. count - 1, one column per name in ``spec``; errors as in ``draw_types``."""
    for name, distribution in spec.items():
        check_support(name, distribution, CENTER_BOUNDS[name])
    numbers = np.arange(count)
    return {name: dist.of(numbers, streams.uniform(f"center/{name}", numbers)) for name, dist in spec.items()}


def draw_types(persons: IntColumn, spec: Mapping[str, Distribution], streams: Streams) -> dict[str, FloatColumn]:
    """The private types of these persons, one column per name in ``spec``.

    Keyed by person: whoever comes back under a new identity is still the same, and the others never matter.
    """
    check_types(spec)
    return {name: dist.of(persons, streams.uniform(f"type/{name}", persons)) for name, dist in spec.items()}
