"""The misreporting family: one claim is inflated or deflated, everything else is honest, training included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np

from agents.parameters import FACTOR, Bounds, check_number
from agents.strategies.base import STRATEGIES, Observation, Strategy
from learning.columns import FloatColumn
from market.mechanism import (
    COST,
    DATA_SIZE,
    EMD,
    GAIN_SCALE,
    GENERATION_COST,
    PRIVACY_BUDGET,
    QUALITY,
    SHARING_COST,
    VALUATION,
)


@dataclass(frozen=True, kw_only=True)
class Misreport(Strategy):
    """Multiplies one claim by ``factor`` (> 0; above 1 inflates, below 1 deflates) and trains honestly.

    ``spread`` in [0, 1) makes it erratic: each owner's factor of each round is uniform between
    ``factor * (1 - spread)`` and ``factor * (1 + spread)``.
    """

    family: ClassVar[str] = "misreporter"
    reference: ClassVar[str] = "Myerson 1981, Optimal auction design, Math. Oper. Res. 6(1): untruthful direct reports"
    claim: ClassVar[str]
    ceiling: ClassVar[float] = inf
    """Largest value that the claim can take."""

    factor: float = 2.0
    spread: float = 0.0

    def __post_init__(self) -> None:
        check_number("factor", self.factor, FACTOR)
        check_number("spread", self.spread, Bounds(at_least=0, below=1))
        lies = self.factor != 1.0 or self.spread > 0.0
        self._declare(lies_about=frozenset({self.claim}) if lies else frozenset(), stochastic=self.spread > 0.0)

    def factors(self, seen: Observation) -> FloatColumn:
        """This round's factor, one per owner."""
        if not self.stochastic:
            return np.full(len(seen), float(self.factor))
        return self.factor * (1.0 + self.spread * (2.0 * seen.draw(f"{self.name}/factor") - 1.0))

    def report(self, seen: Observation) -> Mapping[str, FloatColumn]:
        truth = super().report(seen)
        return {**truth, self.claim: np.minimum(truth[self.claim] * self.factors(seen), self.ceiling)}


@STRATEGIES.register("misreport_size")
@dataclass(frozen=True, kw_only=True)
class MisreportSize(Misreport):
    """Claims to hold ``factor`` times the samples it holds; trains honestly on what there is."""

    name: ClassVar[str] = "misreport_size"
    lies_about: ClassVar[frozenset[str]] = frozenset({DATA_SIZE})
    claim: ClassVar[str] = DATA_SIZE


@STRATEGIES.register("misreport_quality")
@dataclass(frozen=True, kw_only=True)
class MisreportQuality(Misreport):
    """Claims ``factor`` times its true data quality, at most 1; trains honestly."""

    name: ClassVar[str] = "misreport_quality"
    lies_about: ClassVar[frozenset[str]] = frozenset({QUALITY})
    claim: ClassVar[str] = QUALITY
    ceiling: ClassVar[float] = 1.0


@STRATEGIES.register("misreport_cost")
@dataclass(frozen=True, kw_only=True)
class MisreportCost(Misreport):
    """Claims ``factor`` times its true cost per trained sample; trains honestly."""

    name: ClassVar[str] = "misreport_cost"
    lies_about: ClassVar[frozenset[str]] = frozenset({COST})
    claim: ClassVar[str] = COST


@STRATEGIES.register("misreport_sharing_cost")
@dataclass(frozen=True, kw_only=True)
class MisreportSharingCost(Misreport):
    """Claims to lose ``factor`` times what it loses when another owner imports its model; trains honestly."""

    name: ClassVar[str] = "misreport_sharing_cost"
    reference: ClassVar[str] = "Zhang et al. 2025, Nature Communications 16:7923, theorem 2: over- and understated cost"
    lies_about: ClassVar[frozenset[str]] = frozenset({SHARING_COST})
    claim: ClassVar[str] = SHARING_COST


@STRATEGIES.register("misreport_gain_scale")
@dataclass(frozen=True, kw_only=True)
class MisreportGainScale(Misreport):
    """Claims to value others' data at ``factor`` times its true gain scale; trains honestly."""

    name: ClassVar[str] = "misreport_gain_scale"
    reference: ClassVar[str] = "Zhang et al. 2025, Nature Communications 16:7923, equation 4: the reported K"
    lies_about: ClassVar[frozenset[str]] = frozenset({GAIN_SCALE})
    claim: ClassVar[str] = GAIN_SCALE


@STRATEGIES.register("misreport_valuation")
@dataclass(frozen=True, kw_only=True)
class MisreportValuation(Misreport):
    """Claims ``factor`` times its true valuation of privacy; trains honestly, with the noise of what it sold."""

    name: ClassVar[str] = "misreport_valuation"
    reference: ClassVar[str] = "Privacy Auction Game and MFG-RegretNet, arXiv 2603.28329, RQ6: misreports"
    lies_about: ClassVar[frozenset[str]] = frozenset({VALUATION})
    claim: ClassVar[str] = VALUATION


@STRATEGIES.register("misreport_privacy_budget")
@dataclass(frozen=True, kw_only=True)
class MisreportPrivacyBudget(Misreport):
    """Claims to sell at most ``factor`` times the epsilon that it sells at most; never really loses more than it has.

    Who is bought more of than it has sends an update with more noise than it is paid for.
    """

    name: ClassVar[str] = "misreport_privacy_budget"
    reference: ClassVar[str] = "Privacy Auction Game and MFG-RegretNet, arXiv 2603.28329, equation 10: reported epsilon"
    lies_about: ClassVar[frozenset[str]] = frozenset({PRIVACY_BUDGET})
    claim: ClassVar[str] = PRIVACY_BUDGET


@STRATEGIES.register("collusion_ring")
@dataclass(frozen=True, kw_only=True)
class CollusionRing(MisreportValuation):
    """Claims ``factor`` times its true valuation together with all that follow it, to drive up the price of epsilon.

    Members do not share what they gain: compare the sum of their utilities with that of the same people bidding
    honestly, and with that of one who lies alone (``misreport_valuation``).
    """

    name: ClassVar[str] = "collusion_ring"
    reference: ClassVar[str] = "McAfee, McMillan 1992, Bidding rings, Am. Econ. Rev. 82(3): no side payments"

    factor: float = 1.5


@STRATEGIES.register("misreport_emd")
@dataclass(frozen=True, kw_only=True)
class MisreportEmd(Misreport):
    """Claims a label mix ``factor`` times as far from everybody's as it is, at most 2; trains honestly."""

    name: ClassVar[str] = "misreport_emd"
    lies_about: ClassVar[frozenset[str]] = frozenset({EMD})
    claim: ClassVar[str] = EMD
    ceiling: ClassVar[float] = 2.0


@STRATEGIES.register("misreport_generation_cost")
@dataclass(frozen=True, kw_only=True)
class MisreportGenerationCost(Misreport):
    """Claims that a synthetic sample costs it ``factor`` times what it does; generates and trains as it is asked."""

    name: ClassVar[str] = "misreport_generation_cost"
    lies_about: ClassVar[frozenset[str]] = frozenset({GENERATION_COST})
    claim: ClassVar[str] = GENERATION_COST
