"""What verdicts cost: slashed deposits, standing, probation, expulsion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.enforcement.auditing import Verdicts
from market.enforcement.policy import EnforcementPolicy


@dataclass(frozen=True)
class Sanctions:
    """What a round of verdicts leaves: ``slashed`` in micro-units, new standing, and who has to go.

    ``probation_until`` is the first round without probation.
    """

    slashed_micro: IntColumn
    reputation: FloatColumn
    strikes: IntColumn
    probation_until: IntColumn
    expelled: BoolColumn


def drift(policy: EnforcementPolicy, reputation: FloatColumn) -> FloatColumn:
    """One round's decay of reputation towards its initial value; for owners that did not take part, all of it."""
    return np.asarray(reputation + policy.reputation_decay * (policy.initial_reputation - reputation))


def sanction(
    policy: EnforcementPolicy,
    verdicts: Verdicts,
    deposit_micro: IntColumn,
    reputation: FloatColumn,
    strikes: IntColumn,
    probation_until: IntColumn,
    round: int,
) -> Sanctions:
    """What the verdicts of ``round`` cost the owners that took part in it. Nobody pays more than its deposit.

    Reputation r first drifts, then a clean round makes it ``r + gain * (1 - r)`` and a guilty verdict
    ``r * (1 - loss)``. Probation covers the next ``probation_rounds`` rounds and never ends earlier than it already
    would. Only a guilty verdict expels.
    """
    flagged = verdicts.flagged
    fine = policy.slashing.fine(policy.slash_share, deposit_micro, strikes)
    slashed = np.minimum(fine, deposit_micro)
    drifted = drift(policy, reputation)
    clean = drifted + policy.reputation_gain * (1.0 - drifted)
    standing = np.clip(np.where(flagged, drifted * (1.0 - policy.reputation_loss), clean), 0.0, 1.0)
    struck = strikes + flagged
    out = standing < policy.expel_below
    if policy.expel_after > 0:
        out = out | (struck >= policy.expel_after)
    served = probation_until
    if policy.probation_rounds > 0:
        served = np.where(flagged, np.maximum(probation_until, round + 1 + policy.probation_rounds), probation_until)
    return Sanctions(
        slashed_micro=np.where(flagged, slashed, 0),
        reputation=standing,
        strikes=struck,
        probation_until=served,
        expelled=flagged & out,
    )
