"""The Nash equilibrium of volumes: the one S at which the best volumes for S add up to S.

    S = sum of (D_j + e_j(g_j(S)))

The right side falls in S, so the root is unique and lies between S(0) and S(G). Each step is O(N); the competition
matrix is used before the first one only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from learning.columns import BoolColumn, FloatColumn
from market.cocogen.game import Game
from market.cocogen.response import Incentives, best_volumes, incentives_of

_CLOSE = 1e-10
"""Relative width of the bracket at which bisection ends; one secant step then leaves rounding only."""
_FIRST_REACH, _WIDER = 1e-3, 16.0
"""How far, relatively, a warm start looks first, and how much farther each time after."""
_MET = 4e-16
"""Relative difference of S and what volumes make from which on they are the same to a float."""
_NUDGE = 0.2
"""How far beyond the secant's root bisection looks, relative to all S there are: less and less as it closes in."""
_MOST_STEPS = 200


@dataclass(frozen=True)
class Equilibrium:
    """Volumes [N] with the S they make, and how often best volumes were computed on the way."""

    synthetic_volume: FloatColumn
    effective_volume: float
    iterations: int


class NoConvergence(ArithmeticError):
    """Damped iteration went back and forth; ``equilibrium`` does not."""


class _Side(NamedTuple):
    """An S (one, or one per organisation), the best volumes there, and the S that they make."""

    effective_volume: FloatColumn
    synthetic_volume: FloatColumn
    made: FloatColumn


def equilibrium(game: Game, start: float | None = None) -> Equilibrium:
    """The equilibrium by bisection on S; ``start`` is an S to look around first, such as that of the last round.

    An organisation with neither EMD nor quadratic cost jumps from 0 to its cap at one S. Should the root lie at a
    jump, such organisations do not care, and together generate just what makes S. Raises ``WeightsNotPositive``.
    """
    return joint_fixed_point(incentives_of(game), start)


def joint_fixed_point(incentives: Incentives, start: float | None = None) -> Equilibrium:
    """The S shared by all, for given incentives."""

    def made(volume: FloatColumn) -> FloatColumn:
        return np.array([effective_volume(incentives, volume)])

    cap = incentives.organisations.synthetic_volume_cap
    bracket = made(np.zeros(len(cap))), made(cap)
    volume, iterations = _bisected(incentives, made, *bracket, start)
    return Equilibrium(volume, effective_volume(incentives, volume), iterations)


def best_replies(incentives: Incentives, others: FloatColumn) -> FloatColumn:
    """Each organisation's best volume when the effective volume of all others is ``others`` [N], real data included.

    With ``others`` 0 it trains alone.
    """
    size = incentives.organisations.data_size

    def made(volume: FloatColumn) -> FloatColumn:
        return others + size + incentives.curve.worth(size, volume)

    cap = incentives.organisations.synthetic_volume_cap
    return _bisected(incentives, made, made(np.zeros(len(cap))), made(cap), None)[0]


def damped(game: Game, damping: float = 0.5) -> Equilibrium:
    """The equilibrium by g <- (1 - eta) g + eta g(S(g)), from 0, until no step exceeds 1e-9 of the cap.

    Raises ``NoConvergence`` where S moves volumes so strongly that the iteration does not settle, and
    ``WeightsNotPositive``.
    """
    incentives = incentives_of(game)
    cap = game.organisations.synthetic_volume_cap
    volume = np.zeros(len(game))
    for iteration in range(1, _MOST_STEPS + 1):
        answer = best_volumes(incentives, np.array([effective_volume(incentives, volume)]))
        step = damping * (answer - volume)
        volume = volume + step
        if (np.abs(step) <= 1e-9 * cap).all():
            return Equilibrium(volume, effective_volume(incentives, volume), iteration)
    raise NoConvergence(f"damped iteration has not settled after {_MOST_STEPS} steps")


def effective_volume(incentives: Incentives, synthetic_volume: FloatColumn) -> float:
    """S of these volumes."""
    size = incentives.organisations.data_size
    return float(size.sum() + incentives.curve.worth(size, synthetic_volume).sum())


def _bisected(
    incentives: Incentives,
    made: Callable[[FloatColumn], FloatColumn],
    least: FloatColumn,
    most: FloatColumn,
    start: float | None,
) -> tuple[FloatColumn, int]:
    """Volumes at the root of ``made(g(S)) = S`` between ``least`` and ``most``, and the evaluations it took."""
    iterations = 0

    def look(total: FloatColumn) -> _Side:
        nonlocal iterations
        iterations += 1
        volume = best_volumes(incentives, total)
        return _Side(total, volume, made(volume))

    low, high = (look(least), look(most)) if start is None else _around(np.clip(start, least, most), least, most, look)
    allowed = high.effective_volume - low.effective_volume  # one bisection step to spare
    while (high.effective_volume - low.effective_volume > _CLOSE * high.effective_volume).any():
        middle = look(_next_point(low, high, most - least, allowed))
        allowed = 0.5 * allowed
        gap = middle.made - middle.effective_volume
        met = np.abs(gap) <= _MET * middle.effective_volume
        low, high = _chosen(met | (gap > 0.0), middle, low), _chosen(met | (gap < 0.0), middle, high)
    # Along the line from high to low, where what volumes make meets S: a secant step, or the point within a jump.
    gap = low.made - high.made + high.effective_volume - low.effective_volume
    spare = np.maximum(high.effective_volume - high.made, 0.0)
    share = np.clip(np.divide(spare, gap, out=np.zeros_like(gap), where=gap > 0.0), 0.0, 1.0)
    volume = high.synthetic_volume + share * (low.synthetic_volume - high.synthetic_volume)
    return np.minimum(volume, low.synthetic_volume), iterations


def _next_point(low: _Side, high: _Side, span: FloatColumn, allowed: FloatColumn) -> FloatColumn:
    """Where to look between ``low`` and ``high``: at the secant's root, a little towards the middle.

    The point is as near to the middle as it takes for the next bracket to be at most ``allowed`` wide, so that steps
    keep pace with plain bisection whatever the function. Interpolate, truncate, project: Oliveira and Takahashi 2020,
    "An enhancement of the bisection method average performance preserving minmax optimality", ACM Transactions on
    Mathematical Software 47(1).
    """
    left, right = low.effective_volume, high.effective_volume
    width, centre = right - left, 0.5 * (left + right)
    at_left, at_right = low.made - left, high.made - right
    drop = at_left - at_right
    secant = left + width * np.divide(at_left, drop, out=np.full_like(drop, 0.5), where=drop > 0.0)
    nudge = _NUDGE * width * np.divide(width, span, out=np.zeros_like(width), where=span > 0.0)
    away = centre - secant
    point = np.where(nudge <= np.abs(away), secant + np.sign(away) * nudge, centre)
    reach = np.maximum(allowed - 0.5 * width, 0.0)
    return np.asarray(np.clip(point, centre - reach, centre + reach))


def _around(
    start: FloatColumn, least: FloatColumn, most: FloatColumn, look: Callable[[FloatColumn], _Side]
) -> tuple[_Side, _Side]:
    """Both sides of the root near ``start`` of one shared S, found by looking farther and farther away."""
    here, reach = look(start), _FIRST_REACH
    upwards = bool((here.made >= here.effective_volume).all())
    while True:
        there = look(np.clip(start * (1.0 + reach if upwards else 1.0 - reach), least, most))
        passed = bool((there.made >= there.effective_volume).all()) != upwards
        if passed or (there.effective_volume == (most if upwards else least)).all():
            return (here, there) if upwards else (there, here)
        here, reach = there, reach * _WIDER


def _chosen(where: BoolColumn, one: _Side, other: _Side) -> _Side:
    """Side by side; a single shared S decides about all volumes."""
    return _Side(*(np.where(where, first, second) for first, second in zip(one, other, strict=True)))
