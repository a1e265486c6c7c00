"""Enforcement: what counts as a violation, who is audited and found guilty, and what that costs.

Three pure steps on columns, one entry per owner: ``violations`` (the truth, which nobody in the market sees),
``audit`` (what the regulator finds, rightly or wrongly), ``sanction`` (what follows from the verdicts).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from market.money import floor_micro

_PROBABILITIES = frozenset(
    {
        "audit_rate",
        "detection_rate",
        "false_alarm_rate",
        "slash_share",
        "initial_reputation",
        "reputation_gain",
        "reputation_loss",
        "reputation_decay",
        "expel_below",
    }
)
_ROUNDING = 1e-12  # a claim at the very edge of the tolerance is no lie, however its product was rounded


@dataclass(frozen=True)
class EnforcementPolicy:
    """The rules of enforcement. The defaults audit nobody and take nothing.

    Money: ``deposit`` (locked per owner while it is in the market), ``admission_fee`` (per join), ``audit_cost``
    (per audit, borne by the regulator). Probabilities: ``audit_rate`` (per owner and round), ``detection_rate``
    (an audit finds a violation), ``false_alarm_rate`` (an audit blames an honest round). ``tolerance``: relative
    deviation of a claim from the truth that is not yet a lie. Shares in [0, 1]: ``slash_share`` of the deposit taken
    from who is found guilty; reputation (in [0, 1], from ``initial_reputation``) gains ``reputation_gain`` of the way
    to 1 in a clean round, loses ``reputation_loss`` of itself with a guilty verdict, and drifts back by
    ``reputation_decay`` of the way to its initial value each round. ``probation_rounds`` follow a guilty verdict.
    Expulsion follows one that is the owner's ``expel_after``-th (0: never) or leaves its reputation below
    ``expel_below``.

    Raises ``ValueError`` with one line that names the field.
    """

    deposit: float = 0.0
    admission_fee: float = 0.0
    audit_rate: float = 0.0
    detection_rate: float = 1.0
    false_alarm_rate: float = 0.0
    tolerance: float = 0.05
    slash_share: float = 1.0
    audit_cost: float = 0.0
    initial_reputation: float = 0.5
    reputation_gain: float = 0.05
    reputation_loss: float = 0.5
    reputation_decay: float = 0.0
    probation_rounds: int = 0
    expel_after: int = 0
    expel_below: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _PROBABILITIES:
                if not 0.0 <= value <= 1.0:
                    raise ValueError(f"{field.name}: expected a number between 0 and 1, got {value}")
            elif not (value >= 0 and math.isfinite(value)):
                raise ValueError(f"{field.name}: expected a number of at least 0, got {value}")


@dataclass(frozen=True)
class Verdicts:
    """Who was audited, and who of them was found guilty (``flagged``), rightly or not."""

    audited: BoolColumn
    flagged: BoolColumn


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


class Confusion(NamedTuple):
    """Verdicts against the truth; a violation that nobody audited counts among the false negatives."""

    true_positives: int
    false_positives: int
    false_negatives: int


def violations(
    policy: EnforcementPolicy, claims: Mapping[str, FloatColumn], truth: Mapping[str, FloatColumn], trained: BoolColumn
) -> BoolColumn:
    """Who broke the rules: did not train what it sent, or claimed beyond the tolerance, upwards or downwards.

    A claim is a lie when ``|claim - truth| > tolerance * |truth|``; a claim that is not a number is one too, and of an
    infinite truth every finite claim. Raises ``KeyError`` for a claim whose truth is not given.
    """
    guilty = ~trained
    for name, claim in claims.items():
        true = truth[name]
        allowed = (policy.tolerance + _ROUNDING) * np.abs(true)
        with np.errstate(invalid="ignore"):  # two infinities
            near = np.isfinite(true) & (np.abs(claim - true) <= allowed)
        guilty = guilty | ~((claim == true) | near)
    return guilty


def audit(
    policy: EnforcementPolicy, violation: BoolColumn, audit_draw: FloatColumn, verdict_draw: FloatColumn
) -> Verdicts:
    """Draw audits and their verdicts from two columns of uniform numbers in (0, 1)."""
    audited = audit_draw < policy.audit_rate
    blamed = verdict_draw < np.where(violation, policy.detection_rate, policy.false_alarm_rate)
    return Verdicts(audited, audited & blamed)


def confusion(violation: BoolColumn, verdicts: Verdicts) -> Confusion:
    """Count right, wrong and missing verdicts of a round."""
    return Confusion(
        true_positives=int((verdicts.flagged & violation).sum()),
        false_positives=int((verdicts.flagged & ~violation).sum()),
        false_negatives=int((violation & ~verdicts.flagged).sum()),
    )


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
    slashed = np.minimum(floor_micro(policy.slash_share * deposit_micro), deposit_micro)
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
