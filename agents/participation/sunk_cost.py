"""The sunk-cost effect: who has put much in leaves late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agents.parameters import NOT_NEGATIVE, PROBABILITY, check_number
from agents.participation.base import PARTICIPATION, Participation, Stay
from learning.columns import BoolColumn, FloatColumn


@PARTICIPATION.register("sunk_cost")
@dataclass(frozen=True, kw_only=True)
class SunkCost(Participation):
    """As ``strict``, but leaving has to beat the outside option less ``weight`` times what was put into the stay.

    The fallacy of Arkes and Blumer 1985, The psychology of sunk cost. Put in are the admission fee and the cost of
    training and generating data; what was put in earlier counts ``keep`` in [0, 1] times as much with each round.
    """

    name: ClassVar[str] = "sunk_cost"
    weight: float = 0.1
    keep: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("weight", self.weight, NOT_NEGATIVE)
        check_number("keep", self.keep, PROBABILITY)

    def invests(self, old: FloatColumn, spent: FloatColumn) -> FloatColumn:
        return super().invests(self.keep * old, spent)

    def unhappy(self, stay: Stay) -> BoolColumn:
        return np.asarray(stay.believed < stay.outside_option - self.weight * stay.invested)
