"""Word of mouth: what others in the market say counts beside one's own experience."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agents.parameters import PROBABILITY, Bounds, check_number, check_whole
from agents.participation.base import PARTICIPATION, Participation, Stay
from agents.participation.causes import ExitCause
from learning.columns import FloatColumn, IntColumn


@PARTICIPATION.register("word_of_mouth")
@dataclass(frozen=True, kw_only=True)
class WordOfMouth(Participation):
    """As ``strict``, on a mean of the own belief and, with weight ``weight`` in [0, 1], of what others believe.

    In the market it hears those that share with it in the collaboration graph; before it joins, ``contacts`` members
    by lot, or nobody while there are none. DeGroot 1974, Reaching a consensus, with one step a round.
    """

    name: ClassVar[str] = "word_of_mouth"
    listens: ClassVar[bool] = True
    weight: float = 0.5
    contacts: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("weight", self.weight, PROBABILITY)
        check_whole("contacts", self.contacts, Bounds(at_least=1, at_most=1000))

    def hears(self, own: FloatColumn, heard: FloatColumn) -> FloatColumn:
        return np.where(np.isnan(heard), own, (1.0 - self.weight) * own + self.weight * heard)

    def causes(self, stay: Stay) -> IntColumn:
        content = stay.believed >= stay.outside_option
        return np.where(content, ExitCause.WORD_OF_MOUTH, ExitCause.DISAPPOINTED).astype(np.int64)
