"""What a market of CoCoGen+ lays down (the curve, the reading of competition, who decides) and the game of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from learning.columns import FloatColumn
from market.cocogen.claimed import Claimed
from market.cocogen.claimed import organisations as made_of
from market.cocogen.claimed import players as playing
from market.cocogen.competition import CompetitionMatrix
from market.cocogen.game import CompetitionModel, Contribution, Game, Organisations
from market.cocogen.payoffs import payoffs_of_deviations
from market.cocogen.performance import LearningCurve
from market.cocogen.readings import READINGS, Relative
from market.cocogen.volume_rules import VOLUME_RULES
from market.mechanism import LabelMixes

_RANGES = {
    "volume_scale": (0.0, 1e9),
    "volume_exponent": (1e-6, 10.0),
    "emd_penalty": (0.0, 1e9),
    "personal_gain": (0.0, 1e9),
    "synthetic_quality": (1e-6, 1.0),
    "quality_decay": (0.0, 1.0),
    "quadratic_cost": (0.0, 1e9),
    "synthetic_volume_cap": (0.0, 1e12),
    "redistribution_rate": (0.0, 1e9),
    "highest_rate": (0.0, 1e9),
    "rate_precision": (0.0, 1e9),
    "believed_intensity": (0.0, 1e9),
}
"""As for ``datagora solve cocogen``: any unit of money and data, far from where products of them leave the floats."""
_UNPAID = ("vcfl", "wco", "radg", "optimum")
"""Rules that do not look at what is redistributed."""


@dataclass(frozen=True)
class MarketRules:
    """Parameters of the living market; ``market.cocogen.mechanism.CoCoGen`` says what each means."""

    volume_scale: float = 0.847
    volume_exponent: float = 0.209
    emd_penalty: float = 0.063
    personal_gain: float = 0.05
    synthetic_quality: float = 0.8
    quality_decay: float = 0.0
    accuracy_limit: float = 1.0
    quadratic_cost: float = 0.0
    synthetic_volume_cap: float = 4000.0
    competition_model: CompetitionModel = "relative"
    contribution: Contribution = "synthetic"
    redistribution_rate: float = 0.0
    synthetic_target: Literal["global", "fill"] = "global"
    rule: str = "equilibrium"
    rate_search: Literal["none", "golden_section"] = "none"
    highest_rate: float = 0.1
    rate_precision: float = 0.01
    rate_looks: int = 4
    rate_from: int = 0
    competition: Literal["known", "learned"] = "known"
    believed_intensity: float = 0.0
    pays_for: Literal["measured", "curve"] = "measured"

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name}: expected a number from {low:g} to {high:g}, got {value}")
        if not 0.0 < self.accuracy_limit <= 1.0:
            raise ValueError(f"accuracy_limit: expected a number above 0 up to 1, got {self.accuracy_limit}")
        if self.rate_looks < 2 or self.rate_looks % 2:
            raise ValueError(f"rate_looks: expected an even number of at least 2, got {self.rate_looks}")
        if self.rule not in VOLUME_RULES:
            raise ValueError(f"rule: expected one of {', '.join(VOLUME_RULES)}, got {self.rule}")
        self._check_used()

    def _check_used(self) -> None:
        """Raise ``ValueError`` for parameters that are given but would have no effect."""
        searching = ("highest_rate", "rate_precision", "rate_looks", "rate_from")
        idle = dict.fromkeys(searching, "without rate_search") if self.rate_search == "none" else {}
        if self.competition == "known":
            idle["believed_intensity"] = "where competition is known"
        if self.rate_search != "none" and self.rate_from == 0:
            idle["redistribution_rate"] = "where the rate is sought from the first round on (rate_from)"
        if self.rule in _UNPAID:
            idle["rate_search"] = f"under the rule {self.rule}, which does not look at the rate"
        for field in fields(self):
            if field.name in idle and getattr(self, field.name) != field.default:
                raise ValueError(f"{field.name}: has no effect {idle[field.name]}")

    @property
    def curve(self) -> LearningCurve:
        """What training together achieves."""
        return LearningCurve(
            volume_scale=self.volume_scale,
            volume_exponent=self.volume_exponent,
            emd_penalty=self.emd_penalty,
            synthetic_quality=self.synthetic_quality,
            quality_decay=self.quality_decay,
            personal_gain=self.personal_gain,
        )

    # The game

    def players(
        self, said: Claimed, labels: LabelMixes | None, competition: CompetitionMatrix, rate: float
    ) -> Game | None:
        """The game of owners who are as ``said``, with the intensities among them; None where nobody has data."""

        def game_of(said: Claimed) -> Game:
            own = self.organisations(said, labels)
            return Game(own, competition, self.curve, self.competition_model, rate, self.contribution)

        return playing(said, game_of)

    def organisations(self, said: Claimed, labels: LabelMixes | None) -> Organisations:
        """The organisations behind claims, whose EMD falls as the synthetic labels are chosen."""
        used = labels if self.synthetic_target == "fill" else None
        return made_of(said, used, self.quadratic_cost, self.synthetic_volume_cap)

    def lost(
        self,
        said: Claimed,
        labels: LabelMixes | None,
        volume: FloatColumn,
        performance: FloatColumn,
        competition: CompetitionMatrix,
    ) -> FloatColumn:
        """L [N] of owners that are as ``said``, money.

        Under ``relative`` from the performances that were; what a volume adds under ``damage`` is by the curve.
        """
        profit = said.profitability
        if isinstance(READINGS[self.competition_model], Relative):
            return np.asarray(competition @ (profit * performance) - (competition @ profit) * performance)
        game = self.players(said, labels, competition, 0.0)
        if game is None:
            return np.zeros(len(profit))
        return payoffs_of_deviations(game, volume, volume).competition_loss
