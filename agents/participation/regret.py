"""A hazard of leaving that grows with cumulated regret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agents.parameters import NOT_NEGATIVE, PROBABILITY, check_number
from agents.participation.base import PARTICIPATION, Participation, Stay
from agents.participation.causes import ExitCause
from learning.columns import BoolColumn, FloatColumn, IntColumn


@PARTICIPATION.register("regret_hazard")
@dataclass(frozen=True, kw_only=True)
class RegretHazard(Participation):
    """Joins as ``strict``; leaves with hazard ``rate`` (per money) times the cumulated regret of the stay.

    P(leave this round) = 1 - exp(-rate * regret), once patience is over: a discrete-time hazard model (Cox 1972,
    Regression models and life-tables, section 6) with regret for its covariate. Regret of earlier rounds counts
    ``keep`` in [0, 1] times as much with each round.
    """

    name: ClassVar[str] = "regret_hazard"
    patience: int = 1
    rate: float = 0.5
    keep: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("rate", self.rate, NOT_NEGATIVE)
        check_number("keep", self.keep, PROBABILITY)

    def regrets(self, old: FloatColumn, realised: FloatColumn, outside_option: FloatColumn) -> FloatColumn:
        return super().regrets(self.keep * old, realised, outside_option)

    def exits(self, stay: Stay, draw: FloatColumn) -> BoolColumn:
        return np.asarray(stay.impatient & (draw < -np.expm1(-self.rate * stay.regret)))

    def causes(self, stay: Stay) -> IntColumn:
        return np.full(len(stay.believed), ExitCause.REGRET, dtype=np.int64)
