"""Participation: joining by expected utility, believing, and leaving by realised utility.

Utilities and outside options are money per round. A rule holds parameters only: counts and beliefs are population
columns, uniform draws come from the caller's streams.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from agents.parameters import NOT_NEGATIVE, POSITIVE, PROBABILITY, Bounds, check_number, check_whole, make
from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.registry import Registry
from market.mechanism import Advice, Board

PRIOR_SKILL = 0.5
"""What an owner expects of a model whose accuracy was never published."""


def skill(accuracy: ArrayLike, chance: float) -> FloatColumn:
    """How far ``accuracy`` is from guessing (0) to perfect (1): max(0, (accuracy - chance) / (1 - chance)).

    ``chance`` in [0, 1) is the accuracy of guessing. NaN stays NaN.
    """
    return np.maximum(0.0, (np.asarray(accuracy, dtype=np.float64) - chance) / (1.0 - chance))


def expected_utility(
    board: Board, advice_for_claims: Advice, own_cost: FloatColumn, model_value: FloatColumn, violates: BoolColumn
) -> FloatColumn:
    """What owners expect of a round, in money, from the public board and what they know of themselves.

    Expected payment for what they will claim - cost of what they will really train (``own_cost``, money) + worth of
    the model at its published skill - expected loss of the deposit for those that violate the rules (``violates``).
    """
    published = PRIOR_SKILL if np.isnan(board.accuracy) else skill(board.accuracy, board.chance)
    expected_loss = board.audit_rate * board.detection_rate * board.fine
    return advice_for_claims.expected_payment - own_cost + model_value * published - violates * expected_loss


@dataclass(frozen=True, kw_only=True)
class Participation:
    """What every rule shares.

    ``patience``: disappointing rounds in a row before leaving (at least 1); ``memory``: weight in (0, 1] of the newest
    utility in the belief; ``return_delay``: mean seconds before one that left or declined reconsiders (0: never);
    ``whitewash``: probability that an expelled person comes back under a new identity after that delay.
    """

    name: ClassVar[str]
    patience: int = 3
    memory: float = 0.5
    return_delay: float = 0.0
    whitewash: float = 0.0

    def __post_init__(self) -> None:
        check_whole("patience", self.patience, Bounds(at_least=1))
        check_number("memory", self.memory, Bounds(above=0, at_most=1))
        check_number("return_delay", self.return_delay, NOT_NEGATIVE)
        check_number("whitewash", self.whitewash, PROBABILITY)

    def joins(self, expected_utility: FloatColumn, outside_option: FloatColumn, draw: FloatColumn) -> BoolColumn:
        """Who enters, given expected utility and a uniform draw each."""
        raise NotImplementedError

    def exits(
        self, disappointed: IntColumn, believed: FloatColumn, outside_option: FloatColumn, draw: FloatColumn
    ) -> BoolColumn:
        """Who leaves, given the count of disappointing rounds in a row, the belief and a uniform draw each."""
        raise NotImplementedError

    def believe(self, old: FloatColumn, realised: FloatColumn, observations: IntColumn) -> FloatColumn:
        """Exponential smoothing of realised utility; the first observation replaces what was believed before.

        ``observations`` counts the one made now: it is 1 at first.
        """
        smoothed = (1.0 - self.memory) * old + self.memory * realised
        return np.where(observations <= 1, realised, smoothed)

    def disappointed(self, count: IntColumn, believed: FloatColumn, outside_option: FloatColumn) -> IntColumn:
        """Disappointing rounds in a row: one more where the belief is below the outside option, else none."""
        return np.where(believed < outside_option, count + 1, 0)


PARTICIPATION: Registry[type[Participation]] = Registry("participation rule")


@PARTICIPATION.register("strict")
@dataclass(frozen=True, kw_only=True)
class Strict(Participation):
    """Joins when the expected utility beats the outside option; leaves when patience is over."""

    name: ClassVar[str] = "strict"

    def joins(self, expected_utility: FloatColumn, outside_option: FloatColumn, draw: FloatColumn) -> BoolColumn:
        return expected_utility > outside_option

    def exits(
        self, disappointed: IntColumn, believed: FloatColumn, outside_option: FloatColumn, draw: FloatColumn
    ) -> BoolColumn:
        return disappointed >= self.patience


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

    def exits(
        self, disappointed: IntColumn, believed: FloatColumn, outside_option: FloatColumn, draw: FloatColumn
    ) -> BoolColumn:
        return (disappointed >= self.patience) & (draw < expit((outside_option - believed) / self.temperature))


def make_participation(name: str, params: Mapping[str, Any]) -> Participation:
    """The registered rule ``name`` with these parameters; errors as in ``agents.parameters.make``."""
    return make(PARTICIPATION, name, params)
