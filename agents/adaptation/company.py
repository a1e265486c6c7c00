"""Whom owners meet when they adapt, and what these show: their strategy and their believed utility, nothing else.

Two companies: ``Neighbours``, along open edges of the collaboration graph, and ``Everybody`` in the market, each with
the same chance (the well-mixed population of evolutionary game theory).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.graph import NOBODY, CollaborationGraph

Among = Literal["neighbours", "everybody"]
LogFitness = Callable[[FloatColumn], FloatColumn]
"""From believed utilities (money) to the logarithm of the weight with which their owners are met."""
Draws = Callable[[IntColumn], FloatColumn]
"""One uniform number for each of some of the deciding owners."""


@dataclass(frozen=True)
class Shown:
    """What was met, one entry per owner that looks; nothing where nobody was ``there``."""

    there: BoolColumn
    strategy: IntColumn
    payoff: FloatColumn


class Company(Protocol):
    """Whom the deciding owners may meet. ``rows`` are places among these."""

    def meet(self, rows: IntColumn, log_fitness: LogFitness | None = None) -> Shown:
        """One other owner for each: by lot, or with chances proportional to their fitness."""

    def taker(self, rows: IntColumn) -> IntColumn:
        """The place of one other owner for each, by lot, to whom it passes its strategy on; -1 where nobody decides."""


class Everybody:
    """All owners in the market. ``place`` says which of them the deciding owners are."""

    def __init__(self, strategy: IntColumn, payoff: FloatColumn, place: IntColumn, draw: Draws) -> None:
        self._strategy, self._payoff, self._place, self._draw = strategy, payoff, place, draw

    def meet(self, rows: IntColumn, log_fitness: LogFitness | None = None) -> Shown:
        here = self._place[rows]
        if log_fitness is None:
            chosen = _another(len(self._strategy), here, self._draw(rows))
        else:
            chosen = _fit_other(log_fitness(self._payoff), here, self._draw(rows))
        return _show(chosen, self._strategy, self._payoff)

    def taker(self, rows: IntColumn) -> IntColumn:
        deciding = np.full(len(self._strategy) + 1, NOBODY, dtype=np.int64)  # the last entry is for NOBODY
        deciding[self._place] = np.arange(len(self._place))
        return deciding[_another(len(self._strategy), self._place[rows], self._draw(rows))]


class Neighbours:
    """Those to whom owners have an open edge in the graph. ``owners`` decide, in ascending order.

    ``strategy`` and ``payoff`` are columns of all owners that ever were.
    """

    def __init__(
        self, graph: CollaborationGraph, owners: IntColumn, strategy: IntColumn, payoff: FloatColumn, draw: Draws
    ) -> None:
        self._graph, self._owners = graph, owners
        self._strategy, self._payoff, self._draw = strategy, payoff, draw

    def meet(self, rows: IntColumn, log_fitness: LogFitness | None = None) -> Shown:
        if log_fitness is None:
            return _show(self._one(rows), self._strategy, self._payoff)
        count, peers = self._graph.open_peers(self._owners[rows])
        chosen = _fit_of_each(count, log_fitness(self._payoff[peers]), self._draw(rows))
        met = np.full(len(rows), NOBODY, dtype=np.int64)
        met[count > 0] = peers[chosen[count > 0]]
        return _show(met, self._strategy, self._payoff)

    def taker(self, rows: IntColumn) -> IntColumn:
        met = self._one(rows)
        place = np.searchsorted(self._owners, met)
        place = np.minimum(place, len(self._owners) - 1)
        return np.where((met != NOBODY) & (self._owners[place] == met), place, NOBODY)

    def _one(self, rows: IntColumn) -> IntColumn:
        return self._graph.open_neighbour(self._owners[rows], self._draw(rows))


def _show(chosen: IntColumn, strategy: IntColumn, payoff: FloatColumn) -> Shown:
    there = chosen != NOBODY
    known = np.where(there, chosen, 0)
    return Shown(there, strategy[known].astype(np.int64), payoff[known])


def _another(count: int, here: IntColumn, draw: FloatColumn) -> IntColumn:
    """One of the ``count`` - 1 others, by lot; NOBODY where there is none."""
    if count < 2:
        return np.full(len(here), NOBODY, dtype=np.int64)
    chosen = (draw * (count - 1)).astype(np.int64)
    return np.asarray(chosen + (chosen >= here))


def _fit_other(log_weight: FloatColumn, here: IntColumn, draw: FloatColumn) -> IntColumn:
    """One of the others, with chances proportional to the weights; NOBODY where there is none."""
    chosen = np.full(len(here), NOBODY, dtype=np.int64)
    if len(log_weight) < 2:
        return chosen
    # Weights are relative to the largest one. For its holder, that of the others counts, or all theirs might vanish.
    top = int(np.argmax(log_weight))
    weight = np.exp(log_weight - log_weight[top])
    edges = np.cumsum(weight)
    before, own = edges[here] - weight[here], weight[here]
    point = draw * (edges[-1] - own)
    point += np.where(point >= before, own, 0.0)
    chosen = np.minimum(np.searchsorted(edges, point, side="right"), len(weight) - 1)
    chosen = np.where(chosen == here, _another(len(weight), here, draw), chosen)  # by rounding only
    at_top = np.flatnonzero(here == top)
    others = np.delete(log_weight, top)
    found = np.cumsum(np.exp(others - others.max()))
    picked = np.minimum(np.searchsorted(found, draw[at_top] * found[-1], side="right"), len(others) - 1)
    chosen[at_top] = picked + (picked >= top)
    return chosen


def _fit_of_each(count: IntColumn, log_weight: FloatColumn, draw: FloatColumn) -> IntColumn:
    """Of lists laid end to end, ``count`` entries each: the place of one entry of each, by weight (any if empty)."""
    chosen = np.zeros(len(count), dtype=np.int64)
    filled = np.flatnonzero(count)
    if len(filled) == 0:
        return chosen
    first = (np.cumsum(count) - count)[filled]
    most = np.maximum.reduceat(log_weight, first)
    edges = np.cumsum(np.exp(log_weight - np.repeat(most, count[filled])))
    before = np.where(first > 0, edges[first - 1], 0.0)
    last = first + count[filled] - 1
    point = before + draw[filled] * (edges[last] - before)
    chosen[filled] = np.clip(np.searchsorted(edges, point, side="right"), first, last)
    return chosen


def choose(chances: FloatColumn, draw: FloatColumn) -> IntColumn:
    """One column of each row of ``chances`` [n, k] (not negative, their sum above 0), by a uniform draw per row."""
    edges = np.cumsum(chances, axis=1)
    below = (draw[:, None] * edges[:, -1:] >= edges).sum(axis=1)
    return np.asarray(np.minimum(below, chances.shape[1] - 1), dtype=np.int64)
