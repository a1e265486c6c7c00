"""The model owner: buys training, earns from the model."""

from __future__ import annotations

from math import isnan

import mesa

from agents.numbered import NumberedAgent
from agents.parameters import NOT_NEGATIVE, check_number
from agents.participation import skill
from market.money import MICRO


class ModelOwner(NumberedAgent):
    """Offers a constant budget while its purse lasts; its model earns in proportion to its skill.

    ``budget``: money offered per round; ``value``: revenue per round, in money, of a perfect model.
    """

    def __init__(self, model: mesa.Model, budget: float, value: float) -> None:
        check_number("budget", budget, NOT_NEGATIVE)
        check_number("value", value, NOT_NEGATIVE)
        super().__init__(model)
        self.budget = float(budget)
        self.value = float(value)

    def announce_budget(self, wallet_micro: int) -> float:
        """Money that it can offer this round, given its wallet in micro-units."""
        return min(self.budget, max(0, wallet_micro) / MICRO)

    def revenue(self, accuracy: float, chance: float) -> float:
        """Money that a model of this accuracy earns in one round; nothing while the accuracy is unknown (NaN)."""
        return 0.0 if isnan(accuracy) else self.value * float(skill(accuracy, chance))
