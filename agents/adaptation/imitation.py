"""Imitation: an owner looks at one other owner, and may take over its strategy.

Three ways to decide, which differ in what they need to know. Of the owners that look, each meets one other by lot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from agents.adaptation.base import ADAPTATION, Adaptation, Change, Experience, Knows
from agents.adaptation.company import Among, Shown
from agents.adaptation.payoff_range import PayoffRange
from agents.parameters import NOT_NEGATIVE, PROBABILITY, check_number
from learning.columns import FloatColumn, IntColumn


@dataclass(frozen=True, kw_only=True)
class Imitating(Adaptation):
    """Looks with probability ``rate`` in a round at one owner ``among`` its open neighbours or everybody."""

    knows: ClassVar[frozenset[Knows]] = frozenset({Knows.SHOWN})

    rate: float = 0.1
    among: Among = "neighbours"

    def __post_init__(self) -> None:
        check_number("rate", self.rate, PROBABILITY)

    def adapt(self, seen: Experience) -> Change:
        strategy = seen.own.strategy.astype(np.int64)
        looking = np.flatnonzero(seen.draw("look") < self.rate)
        met = seen.company(self.among).meet(looking)
        chance, memory = self.chance(seen, looking, met)
        takes = met.there & (seen.draw("switch")[looking] < chance)
        strategy[looking[takes]] = met.strategy[takes]
        return Change(strategy, memory)

    def chance(self, seen: Experience, looking: IntColumn, met: Shown) -> tuple[FloatColumn, dict[str, NDArray[Any]]]:
        """Probability that each looking owner takes over what it met, and what all owners keep in mind."""
        raise NotImplementedError


@ADAPTATION.register("imitation")
@dataclass(frozen=True, kw_only=True)
class Imitation(Imitating):
    """Imitates better-paid neighbours by the Fermi pairwise comparison.

    With probability ``rate`` an owner compares its payoff with its neighbour's and takes over the neighbour's strategy
    with probability 1 / (1 + exp(-``selection`` * (neighbour's payoff - own))) (Traulsen, Nowak, Pacheco 2006,
    Stochastic dynamics of invasion and fixation, Phys. Rev. E 74, 011909, eq. 1). ``selection`` (>= 0, per unit of
    money) is the intensity of selection: the larger, the more surely the better-paid strategy wins. At equal payoffs,
    and at selection 0, the probability is one half: strategies then drift at random, they do not stand still.
    """

    name: ClassVar[str] = "imitation"
    reference: ClassVar[str] = "Traulsen, Nowak, Pacheco 2006, Phys. Rev. E 74, 011909"

    selection: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("selection", self.selection, NOT_NEGATIVE)

    def chance(self, seen: Experience, looking: IntColumn, met: Shown) -> tuple[FloatColumn, dict[str, NDArray[Any]]]:
        return expit(self.selection * (met.payoff - seen.own.believed_utility[looking])), {}


@ADAPTATION.register("proportional_imitation")
@dataclass(frozen=True, kw_only=True)
class ProportionalImitation(PayoffRange, Imitating):
    """Imitates only who is better paid, with a probability proportional to how much better.

    The probability is max(0, other's payoff - own) / (``best`` - ``worst``) (Schlag 1998, Why imitate, and if so, how?,
    J. Econ. Theory 78, 130-156): the best rule of its kind for who knows no more. In large populations that mix, the
    shares follow the replicator dynamics, rate / (best - worst) * share * (payoff - mean payoff) in a round.
    """

    name: ClassVar[str] = "proportional_imitation"
    reference: ClassVar[str] = "Schlag 1998, J. Econ. Theory 78, 130-156"

    def __post_init__(self) -> None:
        Imitating.__post_init__(self)
        PayoffRange.__post_init__(self)

    def chance(self, seen: Experience, looking: IntColumn, met: Shown) -> tuple[FloatColumn, dict[str, NDArray[Any]]]:
        span = self.span(seen)
        gap = np.maximum(met.payoff - seen.own.believed_utility[looking], 0.0)
        return np.minimum(span.in_units(gap, looking), 1.0), span.memory


@ADAPTATION.register("replicator")
@dataclass(frozen=True, kw_only=True)
class Replicator(PayoffRange, Imitating):
    """Takes over whatever strategy it meets, the more readily the worse it fares itself: the replicator dynamics.

    The probability is (``best`` - own payoff) / (``best`` - ``worst``): imitation driven by dissatisfaction (Sandholm
    2010, Population Games and Evolutionary Dynamics, section 5.4; Weibull 1995, section 4.4). It looks at the strategy
    of the other owner only, not at what this one earns. The expected change of a strategy's share in a population that
    mixes is that of the discrete replicator map, rate / (best - worst) * share * (payoff - mean payoff).
    """

    name: ClassVar[str] = "replicator"
    reference: ClassVar[str] = "Taylor, Jonker 1978, Math. Biosci. 40, 145-156; Sandholm 2010, section 5.4"

    def __post_init__(self) -> None:
        Imitating.__post_init__(self)
        PayoffRange.__post_init__(self)

    def chance(self, seen: Experience, looking: IntColumn, met: Shown) -> tuple[FloatColumn, dict[str, NDArray[Any]]]:
        span = self.span(seen)
        return 1.0 - span.scaled(seen.own.believed_utility)[looking], span.memory
