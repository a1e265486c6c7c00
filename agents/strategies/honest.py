"""The honest family: it claims the truth and sends what it trained; members differ in how much they give."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from agents.parameters import PROBABILITY, Bounds, check_number
from agents.strategies.base import STRATEGIES, Observation, Strategy, Work
from learning.columns import BoolColumn, FloatColumn


@STRATEGIES.register("honest")
@dataclass(frozen=True, kw_only=True)
class Honest(Strategy):
    """Tells the truth, follows the mechanism's advice and trains on the advised share of its data."""

    name: ClassVar[str] = "honest"
    reference: ClassVar[str] = "McMahan et al. 2017, Communication-efficient learning (FedAvg client), arXiv:1602.05629"


@STRATEGIES.register("altruist")
@dataclass(frozen=True, kw_only=True)
class Altruist(Strategy):
    """Always takes part and trains on all its data, whatever it is paid: an unconditional cooperator."""

    name: ClassVar[str] = "altruist"
    reference: ClassVar[str] = "Andreoni 1990, Impure altruism and donations to public goods, Econ. J. 100: warm glow"

    def takes_part(self, seen: Observation) -> BoolColumn:
        return np.ones(len(seen), dtype=np.bool_)

    def offer(self, seen: Observation) -> FloatColumn:
        return np.ones(len(seen))

    def train(self, seen: Observation) -> Work:
        return replace(super().train(seen), data_share=self.offer(seen))


@STRATEGIES.register("withhold_data")
@dataclass(frozen=True, kw_only=True)
class WithholdData(Strategy):
    """Offers ``offered_share`` (> 0, at most 1) of what is advised, and trains on it: honest but holding back."""

    name: ClassVar[str] = "withhold_data"
    reference: ClassVar[str] = (
        "Ausubel et al. 2014, Demand reduction and inefficiency in multi-unit auctions, RES 81(4)"
    )

    offered_share: float = 0.5

    def __post_init__(self) -> None:
        check_number("offered_share", self.offered_share, Bounds(above=0, at_most=1))

    def offer(self, seen: Observation) -> FloatColumn:
        return np.asarray(self.offered_share * super().offer(seen))

    def train(self, seen: Observation) -> Work:
        return replace(super().train(seen), data_share=self.offer(seen))


@STRATEGIES.register("trembling_hand")
@dataclass(frozen=True, kw_only=True)
class TremblingHand(Strategy):
    """Means to follow the advice, but with probability ``error`` stays away where it should not, or comes with all."""

    name: ClassVar[str] = "trembling_hand"
    stochastic: ClassVar[bool] = True
    reference: ClassVar[str] = "Selten 1975, Reexamination of the perfectness concept, Int. J. Game Theory 4"

    error: float = 0.1

    def __post_init__(self) -> None:
        check_number("error", self.error, PROBABILITY)
        self._declare(stochastic=0.0 < self.error < 1.0)

    def takes_part(self, seen: Observation) -> BoolColumn:
        return seen.advice.participate ^ (seen.draw(f"{self.name}/error") < self.error)

    def offer(self, seen: Observation) -> FloatColumn:
        advised = super().offer(seen)
        return np.where(advised > 0.0, advised, np.where(self.takes_part(seen), 1.0, 0.0))

    def train(self, seen: Observation) -> Work:
        return replace(super().train(seen), data_share=self.offer(seen))
