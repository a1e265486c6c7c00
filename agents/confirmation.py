"""Confirmation: whether owners pay their bill and get what they bought, or quit, where a mechanism lets them choose.

Utilities are money in this round, as an owner expects them from its own true type and what it is told of the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from agents.parameters import PROBABILITY, check_number, make
from learning.columns import BoolColumn, FloatColumn
from learning.registry import Registry


class Confirmation:
    """A rule that says who quits when the bill comes; holds parameters only."""

    name: ClassVar[str]

    def quits(self, utility: FloatColumn, outside_option: FloatColumn, draw: FloatColumn) -> BoolColumn:
        """Who leaves instead of paying, given the round's utility and a uniform draw each."""
        raise NotImplementedError


CONFIRMATION: Registry[type[Confirmation]] = Registry("confirmation rule")


@CONFIRMATION.register("always")
@dataclass(frozen=True, kw_only=True)
class Always(Confirmation):
    """Everybody pays."""

    name: ClassVar[str] = "always"

    def quits(self, utility: FloatColumn, outside_option: FloatColumn, draw: FloatColumn) -> BoolColumn:
        return np.zeros(len(utility), dtype=np.bool_)


@CONFIRMATION.register("strict")
@dataclass(frozen=True, kw_only=True)
class StrictConfirmation(Confirmation):
    """Quits as soon as a round is worth less than the outside option (IR-strict, Zhang et al. 2025)."""

    name: ClassVar[str] = "strict"

    def quits(self, utility: FloatColumn, outside_option: FloatColumn, draw: FloatColumn) -> BoolColumn:
        return utility < outside_option - _ROUNDING


@CONFIRMATION.register("probabilistic")
@dataclass(frozen=True, kw_only=True)
class ProbabilisticConfirmation(Confirmation):
    """Quits such a round with this ``probability`` only (IR-prob, Zhang et al. 2025)."""

    name: ClassVar[str] = "probabilistic"
    probability: float = 0.5

    def __post_init__(self) -> None:
        check_number("probability", self.probability, PROBABILITY)

    def quits(self, utility: FloatColumn, outside_option: FloatColumn, draw: FloatColumn) -> BoolColumn:
        return (utility < outside_option - _ROUNDING) & (draw < self.probability)


_ROUNDING = 1e-9
"""Money; a loss below it is put down to float arithmetic."""


def make_confirmation(name: str, params: Mapping[str, Any]) -> Confirmation:
    """The registered rule ``name`` with these parameters; errors as in ``agents.parameters.make``."""
    return make(CONFIRMATION, name, params)
