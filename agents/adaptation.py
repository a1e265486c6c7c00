"""Adaptation: how owners change their strategy over time. A rule combines with any strategy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit

from agents.parameters import NOT_NEGATIVE, PROBABILITY, check_number, make
from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.registry import Registry


class Adaptation:
    """A rule that gives each owner its next strategy; holds parameters only."""

    name: ClassVar[str]

    def looks(self, draw: FloatColumn) -> BoolColumn:
        """Who looks at a neighbour this round, by a uniform draw each."""
        raise NotImplementedError

    def adapt(
        self,
        strategy: IntColumn,
        payoff: FloatColumn,
        neighbour_strategy: IntColumn,
        neighbour_payoff: FloatColumn,
        draw: FloatColumn,
    ) -> IntColumn:
        """Index of the next strategy of each owner that looks at a neighbour.

        Payoffs are believed utilities (money per round); the draws are uniform in (0, 1), other ones than for looking.
        """
        raise NotImplementedError


ADAPTATION: Registry[type[Adaptation]] = Registry("adaptation rule")


@ADAPTATION.register("none")
@dataclass(frozen=True, kw_only=True)
class NoAdaptation(Adaptation):
    """Everybody keeps its strategy for ever."""

    name: ClassVar[str] = "none"

    def looks(self, draw: FloatColumn) -> BoolColumn:
        return np.zeros(len(draw), dtype=np.bool_)

    def adapt(
        self,
        strategy: IntColumn,
        payoff: FloatColumn,
        neighbour_strategy: IntColumn,
        neighbour_payoff: FloatColumn,
        draw: FloatColumn,
    ) -> IntColumn:
        return np.array(strategy, dtype=np.int64)


@ADAPTATION.register("imitation")
@dataclass(frozen=True, kw_only=True)
class Imitation(Adaptation):
    """Imitates better-paid neighbours by the Fermi pairwise comparison.

    With probability ``rate`` an owner compares its payoff with its neighbour's and takes over the neighbour's strategy
    with probability 1 / (1 + exp(-``selection`` * (neighbour's payoff - own))) (Traulsen, Nowak, Pacheco 2006,
    Stochastic dynamics of invasion and fixation, Phys. Rev. E 74, 011909, eq. 1). ``selection`` (>= 0, per unit of
    money) is the intensity of selection: the larger, the more surely the better-paid strategy wins. At equal payoffs,
    and at selection 0, the probability is one half: strategies then drift at random, they do not stand still.
    """

    name: ClassVar[str] = "imitation"
    rate: float = 0.1
    selection: float = 1.0

    def __post_init__(self) -> None:
        check_number("rate", self.rate, PROBABILITY)
        check_number("selection", self.selection, NOT_NEGATIVE)

    def looks(self, draw: FloatColumn) -> BoolColumn:
        return draw < self.rate

    def adapt(
        self,
        strategy: IntColumn,
        payoff: FloatColumn,
        neighbour_strategy: IntColumn,
        neighbour_payoff: FloatColumn,
        draw: FloatColumn,
    ) -> IntColumn:
        switches = draw < expit(self.selection * (neighbour_payoff - payoff))
        return np.where(switches, neighbour_strategy, strategy).astype(np.int64)


def make_adaptation(name: str, params: Mapping[str, Any]) -> Adaptation:
    """The registered rule ``name`` with these parameters; errors as in ``agents.parameters.make``."""
    return make(ADAPTATION, name, params)
