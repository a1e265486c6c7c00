"""ComFedSV: Shapley values of all rounds as if everybody had taken part in each, by matrix completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.contribution.across_rounds import ACROSS_ROUNDS, check_owners
from learning.contribution.completion import complete
from learning.contribution.game import Game
from learning.contribution.result import Contribution, mean_and_error
from learning.contribution.sampling import ALL, Draws, Effort
from learning.streams import Streams


@ACROSS_ROUNDS.register("comfedsv")
class ComFedSV:
    """The completed federated Shapley value: missing coalitions of a round are filled in from other rounds.

    Fan, Fang, Zhou, Pei, Friedlander, Liu, Zhang 2022, "Improving fairness for data valuation in horizontal federated
    learning", definition 4 and its Monte Carlo form (section VI). The utility of coalition S in round t is
    worth(S) - worth(nobody). It is known if all of S took part in t; the matrix [rounds, coalitions] is completed at
    low rank. The coalitions are the beginnings of ``orders`` random orders of all owners; an owner's value is the sum
    over rounds of its mean gain along the orders. Unlike in the paper, known utilities are kept as they are and only
    the missing ones come from the completion: so if everybody always takes part, this is FedSV on the same orders.
    The standard errors are those of sampling orders; the completion's own error is not in them.

    Args:
        population: N, the number of owners.
        streams: what the orders are drawn from.
        orders: random orders, at least 2.
        rank, ridge: of the completion (see ``complete``).
    """

    def __init__(
        self, population: int, streams: Streams, orders: int = 100, rank: int = 3, ridge: float = 1e-3
    ) -> None:
        if orders < 2:
            raise ValueError(f"orders must be at least 2, got {orders}")
        self._rank, self._ridge = rank, ridge
        drawn = streams.uniform("comfedsv order", np.arange(orders)[:, None], 0, np.arange(population))
        self._orders = np.argsort(drawn, axis=1, kind="stable")
        place = np.argsort(self._orders, axis=1, kind="stable")
        beginnings = place[:, None, :] <= np.arange(population)[None, :, None]
        coalitions, columns = np.unique(beginnings.reshape(-1, population), axis=0, return_inverse=True)
        self._coalitions: BoolColumn = coalitions
        self._columns: IntColumn = columns.reshape(orders, population)
        self._utility: list[FloatColumn] = []
        self._known: list[BoolColumn] = []
        self._evaluations = 0

    def observe(self, game: Game, owners: IntColumn, draws: Draws, effort: Effort = ALL) -> None:
        """Take in one round with its players ``owners`` [K]: evaluates those coalitions that all took part.

        Raises ``ValueError`` for owners that do not fit, and if the evaluations that are needed are not allowed.
        """
        population = self._coalitions.shape[1]
        check_owners(game, owners, population)
        absent = np.ones(population, dtype=np.bool_)
        absent[owners] = False
        known = np.asarray(~self._coalitions[:, absent].any(axis=1))
        members = np.vstack([np.zeros((1, game.players), dtype=np.bool_), self._coalitions[known][:, owners]])
        effort.require(len(members), "comfedsv")
        already = game.evaluations
        worth = game.worth(members)
        utility = np.zeros(len(known))
        utility[known] = worth[1:] - worth[0]
        self._utility.append(utility)
        self._known.append(known)
        self._evaluations += game.evaluations - already

    def result(self) -> Contribution:
        """Values [N] in the units of the games' worth.

        Raises ``ValueError`` if some coalition was never seen: then nothing says what it would be worth, and at least
        one round in which everybody takes part is needed (the paper's assumption 1).
        """
        orders, population = self._orders.shape
        if not self._known or population == 0:
            return Contribution(np.zeros(population), np.zeros(population), self._evaluations)
        known, utility = np.stack(self._known), np.stack(self._utility)
        unseen = int((~known.any(axis=0)).sum())
        if unseen > 0:
            raise ValueError(
                f"{unseen} of {known.shape[1]} coalitions never took part in full; "
                "one round with all owners is needed to complete the values"
            )
        if not known.all():
            completed = complete(utility, known, rank=self._rank, ridge=self._ridge).matrix()
            utility = np.where(known, utility, completed)
        reached = utility.sum(axis=0)[self._columns]
        gains = np.zeros((orders, population))
        np.put_along_axis(gains, self._orders, np.diff(reached, axis=1, prepend=0.0), axis=1)
        return Contribution(*mean_and_error(gains), self._evaluations, orders)

    def state(self) -> dict[str, NDArray[Any]]:
        """Utilities and what is known of them [T, C], and evaluations. The orders come from the streams."""
        shape = (len(self._known), len(self._coalitions))
        return {
            "utility": np.array(self._utility).reshape(shape),
            "known": np.array(self._known, dtype=np.bool_).reshape(shape),
            "evaluations": np.array(self._evaluations),
        }

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take over what ``state`` gave. Raises ``ValueError`` if it belongs to other owners or orders."""
        if state["utility"].shape[1:] != (len(self._coalitions),):
            raise ValueError(f"the state has {state['utility'].shape[1]} coalitions, not {len(self._coalitions)}")
        self._utility, self._known = list(state["utility"].copy()), list(state["known"].copy())
        self._evaluations = int(state["evaluations"])
