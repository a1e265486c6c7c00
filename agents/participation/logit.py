"""Logit participation: utility gaps decide with noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import expit

from agents.parameters import POSITIVE, check_number
from agents.participation.base import PARTICIPATION, Participation, Stay
from learning.columns import BoolColumn, FloatColumn


@PARTICIPATION.register("logit")
@dataclass(frozen=True, kw_only=True)
class Logit(Participation):
    """Joins and leaves with logit probabilities of the utility gap; ``temperature`` (> 0, money) is the noise.

    P(in) = 1 / (1 + exp(-(utility - outside option) / temperature)) (McFadden 1974, Conditional logit analysis of
    qualitative choice behavior). Leaving is considered only after ``patience`` disappointing rounds.
    """

    name: ClassVar[str] = "logit"
    temperature: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("temperature", self.temperature, POSITIVE)

    def joins(self, expected_utility: FloatColumn, outside_option: FloatColumn, draw: FloatColumn) -> BoolColumn:
        return draw < expit((expected_utility - outside_option) / self.temperature)

    def exits(self, stay: Stay, draw: FloatColumn) -> BoolColumn:
        gap = stay.outside_option - stay.believed
        return np.asarray(stay.impatient & (draw < expit(gap / self.temperature)))
