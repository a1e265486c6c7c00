"""The model owner's reward: the best one, knowing how the data owners' contest will answer it.

The payoff is ``A ln(1 + Q) - reward`` with total effort Q. Without caps ``Q = kappa * reward`` and the best reward is
``max(0, A - 1 / kappa)``. With caps the answer bends and the payoff can have several peaks.

Seen from the total effort Q that it buys, the reward is ``Q / t(Q)``, where t solves
``sum of clip(1 - cost t, 0, largest / Q) = 1``. As Q grows t falls, so an owner goes from idle to free to capped and
never back: each changes twice at most. Between two changes, with k owners free, C the sum of their costs and B the
effort of the capped ones, the reward is ``C Q^2 / ((k - 1) Q + B)``: convex in Q, so the payoff is concave there. It
may have a peak in many of these pieces, for the marginal reward falls where an idle owner starts.

The global maximum is found by halving: an interval of Q is dropped when a bound shows that its inside does not beat
the best Q seen, or that the payoff is monotone there, and solved when no owner changes inside. Only owners that change
inside an interval are looked at again, so the work is near O(N) for each peak in doubt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from learning.columns import BoolColumn, FloatColumn
from market.qd_rdfl.contest import contribution_rate, equilibrium_effort

_NOISE = 1e-14  # of the revenue scale: differences of payoffs below this are float arithmetic


def best_reward(scale: float, rate: float) -> float:
    """The reward that maximizes ``scale * ln(1 + rate * reward) - reward``: 0 unless ``scale * rate`` is above 1."""
    return scale - 1.0 / rate if scale * rate > 1.0 else 0.0


def capped_reward(scale: float, cost: FloatColumn, largest: FloatColumn) -> float:
    """The best reward where owner n's effort is at most ``largest[n]``: the global maximum, the smallest of several.

    ``scale``: money; columns as in ``contest``. The result is 0 where no reward pays.
    """
    able = np.isfinite(cost) & (largest > 0.0)
    cost, largest = cost[able], largest[able]
    rate = contribution_rate(cost)
    reward = best_reward(scale, rate)
    if reward == 0.0 or bool((equilibrium_effort(reward, cost) <= largest).all()):
        return reward  # caps only make effort dearer
    best, best_value = _Point(0.0, rate), 0.0
    waiting = [_whole(scale, cost, largest, rate)]
    noise = _NOISE * scale
    while waiting:
        interval = waiting.pop()
        for point in (interval.high, *interval.peak(scale)):
            if point.payoff(scale) > best_value:
                best, best_value = point, point.payoff(scale)
        if len(interval.cost) and interval.may_hide_a_peak(scale, max(noise, best_value - noise)):
            waiting += sorted(interval.halves(), key=lambda half: half.ceiling(scale))
    return best.total / best.rate


class _Point(NamedTuple):
    """A total effort Q and the effort per unit of reward, t, at which it is bought."""

    total: float
    rate: float

    def payoff(self, scale: float) -> float:
        reward = self.total / self.rate if self.rate > 0.0 else math.inf  # beyond the floats
        return scale * math.log1p(self.total) - reward


@dataclass(frozen=True)
class _Interval:
    """Total efforts from ``low`` to ``high``, the sums over owners free or capped throughout, and those who change.

    ``free`` and ``steepness`` are the number of the free and the sum of their costs, ``fixed`` is the effort of the
    capped; ``cost`` and ``largest`` are the columns of those who change inside.
    """

    low: _Point
    high: _Point
    free: int
    steepness: float
    fixed: float
    cost: FloatColumn
    largest: FloatColumn

    def ceiling(self, scale: float) -> float:
        """A payoff that no Q inside exceeds: that of buying it at the rate of the low end, the best one inside."""
        rate = self.low.rate
        return _Point(min(max(scale * rate - 1.0, self.low.total), self.high.total), rate).payoff(scale)

    def may_hide_a_peak(self, scale: float, beaten: float) -> bool:
        """Whether a payoff above ``beaten`` may be found inside, and neither of the ends is the best."""
        if self.ceiling(scale) < beaten or not self.low.total < self._middle() < self.high.total:
            return False
        # The marginal reward at (Q, t) is 1 / t + B / (Q C t^2).
        low, high = self.low, self.high
        steepest = self.steepness + float(self.cost.sum())
        least = (1.0 + self.fixed / high.total / steepest / low.rate) / low.rate
        most = math.inf
        if low.total > 0.0 and self.steepness > 0.0 and high.rate > 0.0:
            fixed = self.fixed + float(self.largest.sum())
            most = (1.0 + fixed / low.total / self.steepness / high.rate) / high.rate
        return scale / (1.0 + high.total) < most and scale / (1.0 + low.total) > least

    def halves(self) -> tuple[_Interval, _Interval]:
        total = self._middle()
        middle = _Point(total, self._rate_at(total))
        return self._part(self.low, middle), self._part(middle, self.high)

    def peak(self, scale: float) -> tuple[_Point, ...]:
        """The best point inside, where nobody changes inside and it is not an end."""
        if len(self.cost) or not self.steepness > 0.0 or not (self.free > 1 or self.fixed > 0.0):
            return ()
        low, high = self.low.total, self.high.total
        while low < (total := 0.5 * (low + high)) < high:
            bought = (self.free - 1) * total + self.fixed
            marginal = self.steepness * total / bought * (1.0 + self.fixed / bought)
            low, high = (total, high) if scale / (1.0 + total) > marginal else (low, total)
        if not total > 0.0:
            return ()
        return (_Point(total, (self.free - 1 + self.fixed / total) / self.steepness),)

    def _middle(self) -> float:
        return 0.5 * (self.low.total + self.high.total)

    def _part(self, low: _Point, high: _Point) -> _Interval:
        free_at_low, capped_at_low = _states(low, self.cost, self.largest)
        free_at_high, capped_at_high = _states(high, self.cost, self.largest)
        free, idle = free_at_low & free_at_high, ~free_at_high & ~capped_at_high
        changing = ~free & ~capped_at_low & ~idle
        return _Interval(
            low,
            high,
            self.free + int(np.count_nonzero(free)),
            self.steepness + float(self.cost[free].sum()),
            self.fixed + float(self.largest[capped_at_low].sum()),
            self.cost[changing],
            self.largest[changing],
        )

    def _rate_at(self, total: float) -> float:
        """The t of a Q inside: steps as in the contest, exact once the sets of free and capped owners stay."""
        low, high = self.high.rate, self.low.rate
        rate = high
        while True:
            free, capped = _states(_Point(total, rate), self.cost, self.largest)
            count = self.free + int(np.count_nonzero(free)) - 1 + (self.fixed + self.largest[capped].sum()) / total
            steepness = self.steepness + float(self.cost[free].sum())
            if count >= steepness * rate:
                low = rate
            if count <= steepness * rate:
                high = rate
            step = count / steepness if steepness > 0.0 else -1.0
            if step == rate or not low < high:
                return rate
            if not low < step < high:
                step = 0.5 * (low + high)
                if not low < step < high:
                    return low
            rate = step


def _states(point: _Point, cost: FloatColumn, largest: FloatColumn) -> tuple[BoolColumn, BoolColumn]:
    """Who is free and who is capped at a point; the others are idle."""
    with np.errstate(over="ignore"):  # a cost that leaves the doubles keeps its owner idle
        effort = 1.0 - cost * point.rate
    active = effort > 0.0
    effort = np.where(active, effort, 0.0) * point.total
    capped = (effort >= largest) & active
    return active & ~capped, capped


def _whole(scale: float, cost: FloatColumn, largest: FloatColumn, rate: float) -> _Interval:
    """From no effort up to where everybody is capped, or to where no payoff is above 0 even without caps."""
    start, total = _Point(0.0, rate), float(largest.sum())
    enough = scale * rate
    while _Point(enough, rate).payoff(scale) > 0.0:
        enough *= 2.0
    if enough < total:
        boundless = _Interval(start, _Point(math.inf, 0.0), 0, 0.0, 0.0, cost, largest)
        return boundless._part(start, _Point(enough, boundless._rate_at(enough)))
    everything = _Point(total, float(((1.0 - largest / total) / cost).min()))
    return _Interval(start, everything, 0, 0.0, 0.0, cost, largest)
