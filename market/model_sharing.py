"""Personal models shared for nothing: what the peers of iPFL do, seen with its accounts.

Methods of personalised federated learning let owners use each other's models by rules of their own, and nobody pays.
The market only keeps the books: an owner gains from the data behind the models that it used and loses its sharing cost
each time that its own is used (Zhang et al. 2025, equation 3 without payments).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from learning.columns import BoolColumn, FloatColumn
from market.ipfl.clearing import costs_of_sharing
from market.ipfl.gain import collaboration_gain
from market.mechanism import (
    COLLABORATION,
    DATA_SIZE,
    GAIN_SCALE,
    MECHANISMS,
    SHARING_COST,
    Advice,
    Allocation,
    Board,
    Edges,
    Guarantee,
    Outcome,
    PaperUtility,
    Reports,
    Settlement,
    Sharing,
    Terms,
    Transfers,
    Types,
)

SURPLUS = "surplus"
"""What an owner hopes to have of sharing in a round, in money, while nothing is known."""
HOPE = 1.0


def value_sharing(allocation: Allocation, edges: Edges, types: Types, behind: FloatColumn) -> Sharing:
    """Gains and losses of the owners (aligned with the allocation) from these edges among them.

    The gain is G_i of equation 4 with the owner's own data and the samples ``behind`` the models that it used, the
    loss is c_i for each use of its own model.
    """
    place = {int(owner): row for row, owner in enumerate(allocation.owner)}
    user = np.array([place[owner] for owner in edges.user.tolist()], dtype=np.int64)
    source = np.array([place[owner] for owner in edges.source.tolist()], dtype=np.int64)
    count = len(allocation)
    used = np.bincount(user, weights=behind[source], minlength=count).astype(np.float64)
    held = np.maximum(types.data_size, 1.0)  # who holds nothing has a model of one sample's worth
    gain = collaboration_gain(types.column(GAIN_SCALE), held, used)
    return Sharing(
        gain, costs_of_sharing(types.column(SHARING_COST), np.bincount(source, minlength=count).astype(np.float64))
    )


def equation_3(allocation: Allocation, settlement: Settlement, types: Types) -> PaperUtility:
    """U_i = G_i - c_i * (times sold) - p_i on true types, equation 3; every model counts with its owner's true data.

    p_i are all transfers between owners that the settlement makes.
    """
    worth = value_sharing(allocation, settlement.edges, types, types.data_size)
    return PaperUtility(0.0, worth.gain - worth.cost - net_payments(allocation, settlement))


def net_payments(allocation: Allocation, settlement: Settlement) -> FloatColumn:
    """What each owner pays to other owners less what it gets from them, in money; aligned with the allocation."""
    most = int(allocation.owner.max(initial=-1)) + 1
    net = np.zeros(most)
    for transfers in settlement.further.values():
        np.add.at(net, transfers.payer, transfers.amount)
        np.subtract.at(net, transfers.payee, transfers.amount)
    return net[allocation.owner]


class SharingAccounts:
    """The accounts of every market for personal models: what sharing is worth, and equation 3."""

    def sharing(self, allocation: Allocation, edges: Edges, types: Types, behind: FloatColumn) -> Sharing:
        return value_sharing(allocation, edges, types, behind)

    def paper_utility(
        self,
        terms: Terms,
        allocation: Allocation,
        outcome: Outcome,
        settlement: Settlement,
        types: Types,
        trained: BoolColumn,
    ) -> PaperUtility:
        return equation_3(allocation, settlement, types)


@MECHANISMS.register("model_sharing")
@dataclass(frozen=True)
class ModelSharing(SharingAccounts):
    """Owners share personal models for nothing, as the learning method says who uses whose."""

    name: ClassVar[str] = "model_sharing"
    needs: ClassVar[tuple[str, ...]] = (DATA_SIZE,)
    measures: ClassVar[tuple[str, ...]] = (COLLABORATION,)
    watches_members: ClassVar[bool] = False
    guarantees: ClassVar[tuple[Guarantee, ...]] = (Guarantee("budget_feasibility"),)
    reference: ClassVar[str] = "the peers in Zhang et al. 2025, Nature Communications 16:7923, figure 2"

    def announce(self, board: Board) -> Terms:
        return Terms(board.round, board.budget, figures={SURPLUS: HOPE})

    def recommend(self, terms: Terms, types: Types) -> Advice:
        return join_with_everything(np.full(len(types), terms.figures[SURPLUS]))

    def plan(self, terms: Terms, reports: Reports) -> Allocation:
        return everybody(reports)

    def settle(self, terms: Terms, allocation: Allocation, outcome: Outcome) -> Settlement:
        pattern = (outcome.measured[COLLABORATION] > 0) & ~np.eye(len(allocation), dtype=np.bool_)
        came = allocation.selected & outcome.arrived
        user, source = np.nonzero(pattern & came[:, None] & came)
        edges = Edges(
            allocation.owner[user],
            allocation.owner[source],
            outcome.measured[COLLABORATION][user, source],
            np.zeros(len(user)),
        )
        return Settlement(Transfers.none(), edges, came, 0.0)


def everybody(reports: Reports) -> Allocation:
    """All that report train their own models, on the data that they offer; nothing is promised."""
    count = len(reports)
    return Allocation(
        reports.owner, np.ones(count, dtype=np.bool_), reports.data_share, np.zeros(count), dict(reports.claims)
    )


def join_with_everything(expected: FloatColumn) -> Advice:
    """Take part with all data: a model of one's own is trained anyway."""
    count = len(expected)
    return Advice(np.ones(count, dtype=np.bool_), np.ones(count), expected)
