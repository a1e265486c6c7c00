"""The misreporting family: one claim is inflated or deflated, everything else is honest, training included.

There is a strategy for each claim, by a constant factor, and one for each way in which a lie changes with time, luck,
the truth itself or the crowd; these take the name of the claim for a parameter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, log
from typing import ClassVar

import numpy as np

from agents.parameters import FACTOR, POSITIVE, Bounds, check_number, check_whole
from agents.strategies.base import STRATEGIES, Observation, Strategy, Work
from learning.columns import BoolColumn, FloatColumn
from learning.registry import UnknownName
from market.mechanism import (
    CLAIMS,
    COST,
    DATA_SIZE,
    EMD,
    GAIN_SCALE,
    GENERATION_COST,
    PRIVACY_BUDGET,
    PROFITABILITY,
    QUALITY,
    SHARING_COST,
    VALUATION,
)

CEILINGS = {QUALITY: 1.0, EMD: 2.0}
"""Largest values of the claims that have one."""


def check_claim(claim: object, known: Sequence[str] = CLAIMS) -> None:
    """Raise a one-line ValueError unless ``claim`` is the name of one of these claims."""
    if claim not in known:
        raise ValueError(UnknownName("claim", str(claim), list(known)).line)


def multiplied(truth: Mapping[str, FloatColumn], claim: str, factors: FloatColumn | float) -> dict[str, FloatColumn]:
    """Claims that are true but for one, which is the truth times ``factors``, at most its ceiling."""
    return {**truth, claim: np.minimum(truth[claim] * factors, CEILINGS.get(claim, inf))}


@dataclass(frozen=True, kw_only=True)
class Misreport(Strategy):
    """Multiplies one claim by ``factor`` (> 0; above 1 inflates, below 1 deflates) and trains honestly.

    ``spread`` in [0, 1) makes it erratic: each owner's factor of each round is uniform between
    ``factor * (1 - spread)`` and ``factor * (1 + spread)``.
    """

    family: ClassVar[str] = "misreporter"
    reference: ClassVar[str] = "Myerson 1981, Optimal auction design, Math. Oper. Res. 6(1): untruthful direct reports"
    claim: ClassVar[str]

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
        return multiplied(super().report(seen), self.claim, self.factors(seen))


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


@STRATEGIES.register("misreport_emd")
@dataclass(frozen=True, kw_only=True)
class MisreportEmd(Misreport):
    """Claims a label mix ``factor`` times as far from everybody's as it is, at most 2; trains honestly."""

    name: ClassVar[str] = "misreport_emd"
    lies_about: ClassVar[frozenset[str]] = frozenset({EMD})
    claim: ClassVar[str] = EMD


@STRATEGIES.register("misreport_generation_cost")
@dataclass(frozen=True, kw_only=True)
class MisreportGenerationCost(Misreport):
    """Claims that a synthetic sample costs it ``factor`` times what it does; generates and trains as it is asked."""

    name: ClassVar[str] = "misreport_generation_cost"
    lies_about: ClassVar[frozenset[str]] = frozenset({GENERATION_COST})
    claim: ClassVar[str] = GENERATION_COST


@STRATEGIES.register("misreport_competition")
@dataclass(frozen=True, kw_only=True)
class MisreportCompetition(Misreport):
    """Claims that a perfect model earns it ``factor`` times what it does among its rivals; trains honestly."""

    name: ClassVar[str] = "misreport_competition"
    lies_about: ClassVar[frozenset[str]] = frozenset({PROFITABILITY})
    claim: ClassVar[str] = PROFITABILITY


@dataclass(frozen=True, kw_only=True)
class ChangingMisreport(Strategy):
    """Multiplies the claim named ``claim`` by a factor that is not always the same, and trains honestly."""

    family: ClassVar[str] = "misreporter"
    lies_about: ClassVar[frozenset[str]] = frozenset({DATA_SIZE})

    claim: str = DATA_SIZE

    def __post_init__(self) -> None:
        check_claim(self.claim)
        self._declare(lies_about=frozenset({self.claim}))

    def factors(self, seen: Observation) -> FloatColumn:
        """This round's factor, one per owner."""
        raise NotImplementedError

    def report(self, seen: Observation) -> Mapping[str, FloatColumn]:
        return multiplied(super().report(seen), self.claim, self.factors(seen))


@STRATEGIES.register("misreport_gradual")
@dataclass(frozen=True, kw_only=True)
class MisreportGradual(ChangingMisreport):
    """Moves its claim bit by bit, from the truth to ``factor`` times it in ``rounds`` rounds: the boiling frog."""

    name: ClassVar[str] = "misreport_gradual"
    reference: ClassVar[str] = "Rubinstein et al. 2009, ANTIDOTE, IMC: boiling-frog poisoning of a detector"

    factor: float = 2.0
    rounds: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("factor", self.factor, FACTOR)
        check_whole("rounds", self.rounds, Bounds(at_least=1))
        if self.factor == 1.0:
            self._declare(lies_about=frozenset())

    def factors(self, seen: Observation) -> FloatColumn:
        return np.asarray(self.factor ** np.minimum(seen.own.rounds_taken / self.rounds, 1.0))


@STRATEGIES.register("misreport_random")
@dataclass(frozen=True, kw_only=True)
class MisreportRandom(ChangingMisreport):
    """Claims anything between 1 / ``most`` and ``most`` times the truth, drawn anew each round: zero intelligence."""

    name: ClassVar[str] = "misreport_random"
    stochastic: ClassVar[bool] = True
    reference: ClassVar[str] = "Gode, Sunder 1993, Allocative efficiency with zero-intelligence traders, JPE 101(1)"

    most: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("most", self.most, Bounds(above=1, at_most=1e6))

    def factors(self, seen: Observation) -> FloatColumn:
        return np.exp(log(self.most) * (2.0 * seen.draw(f"{self.name}/factor") - 1.0))


@STRATEGIES.register("misreport_up_down")
@dataclass(frozen=True, kw_only=True)
class MisreportUpDown(ChangingMisreport):
    """Claims ``factor`` times the truth for ``rounds`` rounds, 1 / ``factor`` of it for as many, and so on.

    Over a cycle the lie averages out (in logarithms), so that a check of long-run means finds nothing.
    """

    name: ClassVar[str] = "misreport_up_down"
    calendar: ClassVar[bool] = True
    reference: ClassVar[str] = "Srivatsa, Xiong, Liu 2005, TrustGuard, WWW: strategic oscillation"

    factor: float = 2.0
    rounds: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("factor", self.factor, FACTOR)
        check_whole("rounds", self.rounds, Bounds(at_least=1))
        if self.factor == 1.0:
            self._declare(lies_about=frozenset(), calendar=False)

    def factors(self, seen: Observation) -> FloatColumn:
        up = (seen.board.round // self.rounds) % 2 == 0
        return np.full(len(seen), self.factor if up else 1.0 / self.factor)


@STRATEGIES.register("misreport_threshold")
@dataclass(frozen=True, kw_only=True)
class MisreportThreshold(ChangingMisreport):
    """Claims exactly ``level``, in the unit of the claim, if the truth is below it, else the truth: bunching."""

    name: ClassVar[str] = "misreport_threshold"
    lies_about: ClassVar[frozenset[str]] = frozenset({QUALITY})
    reference: ClassVar[str] = "Saez 2010, Do taxpayers bunch at kink points?, Am. Econ. J. Econ. Policy 2(3)"

    claim: str = QUALITY
    level: float = 0.8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("level", self.level, Bounds(at_least=0, at_most=CEILINGS.get(self.claim, 1e12)))

    def report(self, seen: Observation) -> Mapping[str, FloatColumn]:
        truth = Strategy.report(self, seen)
        return {**truth, self.claim: np.maximum(truth[self.claim], self.level)}


@STRATEGIES.register("bid_shading")
@dataclass(frozen=True, kw_only=True)
class BidShading(ChangingMisreport):
    """Bids its cost plus a share 1 / n of what it lacks to ``highest`` among n bidders, as in a first-price auction.

    That is the equilibrium of a reverse first-price auction whose n bidders (those of the last round) have costs that
    are uniform up to ``highest``. ``claim`` is what is bid: cost, sharing cost, generation cost or valuation.
    """

    name: ClassVar[str] = "bid_shading"
    lies_about: ClassVar[frozenset[str]] = frozenset({COST})
    reference: ClassVar[str] = (
        "Vickrey 1961, Counterspeculation, auctions, and competitive sealed tenders, J. Finance 16"
    )

    claim: str = COST
    highest: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_claim(self.claim, (COST, SHARING_COST, GENERATION_COST, VALUATION))
        check_number("highest", self.highest, POSITIVE)

    def report(self, seen: Observation) -> Mapping[str, FloatColumn]:
        truth = Strategy.report(self, seen)
        bid = truth[self.claim]
        margin = np.maximum(self.highest - bid, 0.0) / max(seen.board.participants, 1)
        return {**truth, self.claim: bid + margin}


@STRATEGIES.register("overconfident")
@dataclass(frozen=True, kw_only=True)
class Overconfident(Misreport):
    """Believes and claims that its data are ``factor`` times as good as they are, and enters whatever the advice."""

    name: ClassVar[str] = "overconfident"
    reference: ClassVar[str] = "Camerer, Lovallo 1999, Overconfidence and excess entry, Am. Econ. Rev. 89(1)"
    lies_about: ClassVar[frozenset[str]] = frozenset({QUALITY})
    claim: ClassVar[str] = QUALITY

    factor: float = 1.3

    def takes_part(self, seen: Observation) -> BoolColumn:
        return np.ones(len(seen), dtype=np.bool_)

    def offer(self, seen: Observation) -> FloatColumn:
        advised = super().offer(seen)
        return np.where(advised > 0.0, advised, 1.0)

    def train(self, seen: Observation) -> Work:
        return replace(super().train(seen), data_share=self.offer(seen))
