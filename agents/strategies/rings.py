"""The colluding family: rings of bidders and traders, and the sabotage of competitors.

Members of a ring know each other by playing the same strategy; nobody looks into another's books. Members do not share
what they gain: compare the sum of their utilities with that of the same people when all are honest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agents.parameters import FACTOR, NOT_NEGATIVE, Bounds, check_number, check_whole
from agents.strategies.attacks import AttackSignFlip
from agents.strategies.base import STRATEGIES, Observation, Strategy
from agents.strategies.misreport import MisreportValuation, check_claim
from agents.strategies.switching import Switching
from learning.columns import BoolColumn, FloatColumn
from market.mechanism import COST, GAIN_SCALE, SHARING_COST, VALUATION


@STRATEGIES.register("collusion_ring")
@dataclass(frozen=True, kw_only=True)
class CollusionRing(MisreportValuation):
    """Claims ``factor`` times its true valuation together with all that follow it, to drive up the price of epsilon.

    Members do not share what they gain: compare the sum of their utilities with that of the same people bidding
    honestly, and with that of one who lies alone (``misreport_valuation``).
    """

    name: ClassVar[str] = "collusion_ring"
    family: ClassVar[str] = "colluder"
    reference: ClassVar[str] = "McAfee, McMillan 1992, Bidding rings, Am. Econ. Rev. 82(3): no side payments"

    factor: float = 1.5


@STRATEGIES.register("bid_rotation")
@dataclass(frozen=True, kw_only=True)
class BidRotation(Strategy):
    """One in ``size`` members of a ring bids the truth in a round, by turns; the others bid ``factor`` times theirs.

    ``claim`` is what is bid: cost, or the valuation of privacy. Turns go by the number of the person.
    """

    name: ClassVar[str] = "bid_rotation"
    family: ClassVar[str] = "colluder"
    lies_about: ClassVar[frozenset[str]] = frozenset({COST})
    calendar: ClassVar[bool] = True
    reference: ClassVar[str] = "Comanor, Schankerman 1976, Identical bids and cartel behavior, Bell J. Econ. 7(1)"

    claim: str = COST
    factor: float = 3.0
    size: int = 4

    def __post_init__(self) -> None:
        check_claim(self.claim, (COST, VALUATION))
        check_number("factor", self.factor, FACTOR)
        check_whole("size", self.size, Bounds(at_least=2))
        lies = self.factor != 1.0
        self._declare(lies_about=frozenset({self.claim} if lies else ()), calendar=lies)

    def report(self, seen: Observation) -> Mapping[str, FloatColumn]:
        truth = super().report(seen)
        my_turn = seen.own.person % self.size == seen.board.round % self.size
        return {**truth, self.claim: truth[self.claim] * np.where(my_turn, 1.0, self.factor)}


@STRATEGIES.register("wash_trader")
@dataclass(frozen=True, kw_only=True)
class WashTrader(Strategy):
    """Buyer and seller of one ring: claims ``factor`` times its gain scale and 1 / ``factor`` of its sharing cost.

    Members look like keen buyers and cheap sellers, so that models and money go round among them, and with them what a
    mechanism adds to trades. It trains honestly.
    """

    name: ClassVar[str] = "wash_trader"
    family: ClassVar[str] = "colluder"
    lies_about: ClassVar[frozenset[str]] = frozenset({GAIN_SCALE, SHARING_COST})
    reference: ClassVar[str] = "Cong, Li, Tang, Yang 2023, Crypto wash trading, Management Science 69(11)"

    factor: float = 3.0

    def __post_init__(self) -> None:
        check_number("factor", self.factor, FACTOR)
        self._declare(lies_about=type(self).lies_about if self.factor != 1.0 else frozenset())

    def report(self, seen: Observation) -> Mapping[str, FloatColumn]:
        truth = super().report(seen)
        return {
            **truth,
            GAIN_SCALE: truth[GAIN_SCALE] * self.factor,
            SHARING_COST: truth[SHARING_COST] / self.factor,
        }


RINGS = (CollusionRing.name, BidRotation.name, WashTrader.name, "generation_ring")
"""The strategies that act in a ring; what their members do together is what detectors of groups look for."""


@STRATEGIES.register("sabotage_rivals")
@dataclass(frozen=True, kw_only=True)
class SabotageRivals(Switching):
    """Turns its update round where rivals press it by more than ``threshold`` times its own profitability.

    A worse model for all costs it less than it costs its rivals together; where competition is weak it is honest.
    """

    name: ClassVar[str] = "sabotage_rivals"
    family: ClassVar[str] = "colluder"
    trains: ClassVar[bool] = False
    conditional: ClassVar[bool] = True
    reference: ClassVar[str] = "Salop, Scheffman 1983, Raising rivals' costs, Am. Econ. Rev. 73(2)"

    threshold: float = 0.5

    def __post_init__(self) -> None:
        check_number("threshold", self.threshold, NOT_NEGATIVE)

    @property
    def other(self) -> Strategy:
        return _SPOILING

    def deviates(self, seen: Observation) -> BoolColumn:
        return np.asarray(seen.own.competition_pressure > self.threshold * seen.own.profitability)


_SPOILING = AttackSignFlip()
