"""Strategies about synthetic data: less of it than was agreed, and rivals that talk up their needs together.

What redistribution counts is what was agreed, for synthetic samples never leave their owner. So whoever makes fewer
saves their cost and is paid for them all the same, until an audit finds out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from agents.parameters import FACTOR, Bounds, check_number
from agents.strategies.base import STRATEGIES, Observation, Strategy, Work
from learning.columns import FloatColumn
from market.mechanism import EMD

_FARTHEST = 2.0
_TRADE = "Yuan et al. 2023, TradeFL: a trust trading mechanism for cross-silo federated learning, ICDCS"


@dataclass(frozen=True, kw_only=True)
class Shirker(Strategy):
    """Makes ``made_share`` in [0, 1) of the synthetic samples that it is asked for; all else is honest."""

    family: ClassVar[str] = "free_rider"
    reference: ClassVar[str] = _TRADE

    made_share: float = 0.5

    def __post_init__(self) -> None:
        check_number("made_share", self.made_share, Bounds(at_least=0, below=1))

    def train(self, seen: Observation) -> Work:
        return replace(super().train(seen), volume_share=np.full(len(seen), float(self.made_share)))


@STRATEGIES.register("under_generate")
@dataclass(frozen=True, kw_only=True)
class UnderGenerate(Shirker):
    """Makes ``made_share`` (0 to below 1) of the synthetic samples that it is asked for; all else is honest."""

    name: ClassVar[str] = "under_generate"


@STRATEGIES.register("generate_nothing")
@dataclass(frozen=True, kw_only=True)
class GenerateNothing(Shirker):
    """Makes ``made_share`` of the synthetic samples that it is asked for, none by default; all else is honest."""

    name: ClassVar[str] = "generate_nothing"

    made_share: float = 0.0


@STRATEGIES.register("generation_ring")
@dataclass(frozen=True, kw_only=True)
class GenerationRing(Shirker):
    """Members claim ``factor`` times their label distance together, and make ``made_share`` of what that asks them for.

    A larger distance asks for more synthetic data, and so for more redistribution from those outside the ring.
    """

    name: ClassVar[str] = "generation_ring"
    lies_about: ClassVar[frozenset[str]] = frozenset({EMD})

    factor: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("factor", self.factor, FACTOR)
        lies = frozenset({EMD}) if self.factor != 1.0 else frozenset[str]()
        self._declare(lies_about=lies, stochastic=False)

    def report(self, seen: Observation) -> Mapping[str, FloatColumn]:
        truth = super().report(seen)
        return {**truth, EMD: np.minimum(truth[EMD] * self.factor, _FARTHEST)}
