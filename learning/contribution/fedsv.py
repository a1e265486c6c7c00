"""FedSV: Shapley values of the rounds, added up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.columns import IntColumn
from learning.contribution.across_rounds import ACROSS_ROUNDS, check_owners
from learning.contribution.game import Game
from learning.contribution.method import Method
from learning.contribution.result import Contribution
from learning.contribution.round_shapley import Shapley
from learning.contribution.sampling import ALL, Draws, Effort


@ACROSS_ROUNDS.register("fedsv")
class FedSV:
    """The federated Shapley value: who takes part in a round gets its value there, who does not gets nothing.

    Wang, Rausch, Zhang, Jia, Song 2020, "A principled approach to data valuation for federated learning",
    definition 1. The values sum to the gains of all rounds (up to a method's tolerance). Two owners with equal data
    are valued alike only if they take part alike; ``ComFedSV`` mends that.

    Args:
        population: N, the number of owners.
        method: values one round; the Shapley value by default.
    """

    def __init__(self, population: int, method: Method | None = None) -> None:
        self._method: Method = Shapley() if method is None else method
        self._values, self._variance = np.zeros(population), np.zeros(population)
        self._evaluations = self._samples = 0

    def observe(self, game: Game, owners: IntColumn, draws: Draws, effort: Effort = ALL) -> None:
        """Take in one round with its players ``owners`` [K]. Raises ``ValueError`` for owners that do not fit."""
        check_owners(game, owners, len(self._values))
        self.add(owners, self._method.measure(game, draws, effort))

    def add(self, owners: IntColumn, found: Contribution) -> None:
        """Take in what a round's contributions were found to be; rounds are sampled independently of each other."""
        self._values[owners] += found.values
        self._variance[owners] += found.standard_error**2
        self._evaluations += found.evaluations
        self._samples += found.samples

    def result(self) -> Contribution:
        """Values [N] in the units of the games' worth, with the standard errors of their sums."""
        return Contribution(self._values.copy(), np.sqrt(self._variance), self._evaluations, self._samples)

    def state(self) -> dict[str, NDArray[Any]]:
        """Sums of the values and their variances [N], evaluations and samples."""
        return {
            "values": self._values.copy(),
            "variance": self._variance.copy(),
            "evaluations": np.array(self._evaluations),
            "samples": np.array(self._samples),
        }

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over what ``state`` gave. Raises ``ValueError`` if it belongs to another number of owners."""
        if state["values"].shape != self._values.shape:
            raise ValueError(f"the state has {len(state['values'])} owners, not {len(self._values)}")
        self._values, self._variance = state["values"].copy(), state["variance"].copy()
        self._evaluations, self._samples = int(state["evaluations"]), int(state["samples"])
