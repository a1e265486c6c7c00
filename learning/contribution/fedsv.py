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
        self._values, self._variance, self._spread = np.zeros((3, population))
        self._evaluations = self._samples = 0

    def observe(self, game: Game, owners: IntColumn, draws: Draws, effort: Effort = ALL) -> None:
        """Take in one round with its players ``owners`` [K]. Raises ``ValueError`` for owners that do not fit."""
        check_owners(game, owners, len(self._values))
        self.add(owners, self._method.measure(game, draws, effort))

    def add(self, owners: IntColumn, found: Contribution) -> None:
        """Take in what a round's contributions were found to be; rounds are sampled independently of each other."""
        self._values[owners] += found.values
        variance = found.standard_error**2
        self._variance[owners] += variance
        # An infinite error, or one sample, has no degrees of freedom: the sum has none then either.
        known = (found.samples > 1) & np.isfinite(variance)
        self._spread[owners] += np.where(
            variance == 0, 0.0, np.where(known, variance**2 / max(1, found.samples - 1), np.inf)
        )
        self._evaluations += found.evaluations
        self._samples += found.samples

    def result(self) -> Contribution:
        """Values [N] in the units of the games' worth, with the standard errors of their sums.

        Degrees of freedom are Welch and Satterthwaite's (1946): of the rounds that an owner was in.
        """
        degrees = np.full(len(self._values), np.inf)
        some = self._spread > 0
        degrees[some] = np.where(np.isfinite(self._spread[some]), self._variance[some] ** 2 / self._spread[some], 0.0)
        return Contribution(
            self._values.copy(), np.sqrt(self._variance), self._evaluations, self._samples, degrees=degrees
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """Sums of the values, their variances and the spread of these [N], evaluations and samples."""
        return {
            "values": self._values.copy(),
            "variance": self._variance.copy(),
            "spread": self._spread.copy(),
            "evaluations": np.array(self._evaluations),
            "samples": np.array(self._samples),
        }

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over what ``state`` gave. Raises ``ValueError`` if it belongs to another number of owners."""
        if state["values"].shape != self._values.shape:
            raise ValueError(f"the state has {len(state['values'])} owners, not {len(self._values)}")
        self._values, self._variance = state["values"].copy(), state["variance"].copy()
        self._spread = state["spread"].copy()
        self._evaluations, self._samples = int(state["evaluations"]), int(state["samples"])
