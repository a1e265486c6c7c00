"""Claims and debts that cancel, turned into payments from those who owe to those who are owed."""

from __future__ import annotations

import numpy as np

from learning.columns import FloatColumn, IntColumn
from market.mechanism import Transfers


def netted(owner: IntColumn, due: FloatColumn) -> Transfers:
    """Fewer than N direct payments by which each owner gets ``due`` [N] (money; negative: pays it), sum 0.

    Debts and claims are laid out end to end, in the order of the owners, and wherever the two overlap one pays the
    other. Every payment has both ends, so however amounts are rounded, no money appears or vanishes.
    """
    order = np.argsort(owner, kind="stable")
    owner, due = owner[order], due[order]
    debtors, creditors = np.flatnonzero(due < 0.0), np.flatnonzero(due > 0.0)
    if len(debtors) == 0 or len(creditors) == 0:
        return Transfers.none()
    owed, claimed = np.cumsum(-due[debtors]), np.cumsum(due[creditors])
    claimed *= owed[-1] / claimed[-1]  # both ends meet but for rounding
    claimed[-1] = owed[-1]
    ends = np.unique(np.concatenate([owed, claimed]))
    amount = np.diff(ends, prepend=0.0)
    middle = ends - 0.5 * amount
    payer = np.minimum(np.searchsorted(owed, middle), len(debtors) - 1)
    payee = np.minimum(np.searchsorted(claimed, middle), len(creditors) - 1)
    moved = amount > 0.0
    return Transfers(owner[debtors[payer]][moved], owner[creditors[payee]][moved], amount[moved])
