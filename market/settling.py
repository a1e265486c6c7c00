"""What the mechanisms that pay out of one budget have in common: claim units, shares, the advice, the settlement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.mechanism import Advice, Allocation, Edges, Outcome, Settlement, Terms, Transfers, Types
from market.parties import MODEL_OWNER
from market.quoting import Quote

CLAIMED = "claimed"
"""Figure of the terms: claim units that shared the last round's budget."""


def share_out(budget: float, units: FloatColumn) -> FloatColumn:
    """Divide ``budget`` (money) in proportion to ``units`` (at least 0); nobody gets anything when all are 0."""
    largest = float(units.max(initial=0.0))
    if largest <= 0.0:
        return np.zeros(len(units))
    relative = units / largest  # keeps the sum finite and tiny units alive
    return np.asarray(budget * (relative / relative.sum()))


def budget_share_advice(terms: Terms, own_units: FloatColumn, types: Types) -> Advice:
    """Advice for a budget that is shared in proportion to claim units; all columns have one entry per owner.

    An owner expects ``budget * own / (claimed + own)``, with ``claimed`` the units that shared the last round's
    budget, and takes part with all its data if that covers its cost. While nobody has shared yet it hopes for the
    whole budget. An owner that shared last round is itself among ``claimed``, so it expects a little too little.
    """
    expected = budget_share(terms, own_units)
    return Advice(expected >= types.cost * types.data_size, np.ones(len(types)), expected)


def budget_share(terms: Terms, own_units: FloatColumn) -> FloatColumn:
    """``budget * own / (claimed + own)`` [K]: what these claim units would bring, in money."""
    total = terms.figures[CLAIMED] + own_units
    return np.asarray(terms.budget * np.divide(own_units, total, out=np.zeros(len(total)), where=total > 0.0))


def everybody_is_taken(payment: FloatColumn) -> Quote:
    """A quote of a mechanism that selects all who answer."""
    return Quote(np.ones(len(payment), dtype=np.bool_), payment)


def pay_arrivals(allocation: Allocation, outcome: Outcome, payment: FloatColumn, claimed: float) -> Settlement:
    """Settle one round: the model owner pays ``payment`` (money, aligned with the allocation) for what arrived.

    The model owner uses the model of each arrival, with its weight in the aggregate; each arrival gets the new
    global model, and uses it with weight 1. Raises ``ValueError`` for a payment that is negative or not a number.
    """
    came = arrivals(allocation, outcome)
    owner, amount = allocation.owner[came], payment[came]
    if not (amount >= 0.0).all():
        raise ValueError(f"a payment must be a number of at least 0, got {amount[~(amount >= 0.0)][0]}")
    model_owner: IntColumn = np.full(len(owner), MODEL_OWNER, dtype=np.int64)
    paid = amount > 0.0
    return Settlement(
        transfers=Transfers(model_owner[paid], owner[paid], amount[paid]),
        edges=Edges(
            user=np.concatenate([model_owner, owner]),
            source=np.concatenate([owner, model_owner]),
            weight=np.concatenate([outcome.weight[came], np.ones(len(owner))]),
            payment=np.concatenate([amount, np.zeros(len(owner))]),
        ),
        delivered=came,
        claimed=claimed,
    )


def arrivals(allocation: Allocation, outcome: Outcome) -> BoolColumn:
    """Who was selected and sent an upload that came in time."""
    return np.asarray(allocation.selected & outcome.arrived)


def without(settlement: Settlement, allocation: Allocation, owners: IntColumn) -> Settlement:
    """The settlement after some owners have refused it: none of their edges, transfers and deliveries is left.

    Nothing is put on record about them, nor about who is left without any of the purchases that it would have made.
    """

    def untouched(*ends: IntColumn) -> BoolColumn:
        return np.asarray(~np.isin(np.stack(ends), owners).any(axis=0))

    edges = settlement.edges
    left = edges.take(untouched(edges.user, edges.source))
    stranded = np.isin(allocation.owner, edges.user) & ~np.isin(allocation.owner, left.user)
    void = stranded | ~untouched(allocation.owner)
    further = {kind: moved.take(untouched(moved.payer, moved.payee)) for kind, moved in settlement.further.items()}
    return replace(
        settlement,
        transfers=settlement.transfers.take(untouched(settlement.transfers.payer, settlement.transfers.payee)),
        edges=left,
        delivered=settlement.delivered & untouched(allocation.owner),
        further=further,
        records={name: np.where(void, np.nan, column) for name, column in settlement.records.items()},
    )
