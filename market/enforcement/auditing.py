"""Who is audited, and what an audit finds.

A policy shares out ``audit_rate`` times the owners of a round as expected audits: chances in [0, 1], one per owner.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.registry import Registry
from market.enforcement.bounds import check_amount, check_one_of, check_share
from market.enforcement.evidence import HELD_OUT_GAIN, MEASUREMENTS, Evidence, deviation, rank_gap

if TYPE_CHECKING:
    from market.enforcement.policy import EnforcementPolicy


@dataclass(frozen=True)
class Verdicts:
    """Who was audited, and who of them was found guilty (``flagged``), rightly or not.

    ``chance``: the probability of each audit; ``found_by``: the detectors that flagged the owner, as a sum of powers
    of two by their place in the policy's list (0: none). Both are empty where nobody told them.
    """

    audited: BoolColumn
    flagged: BoolColumn
    chance: FloatColumn = field(default_factory=lambda: np.zeros(0))
    found_by: IntColumn = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def only(self, done: BoolColumn) -> Verdicts:
        """The verdicts where no more than these audits take place."""
        return Verdicts(self.audited & done, self.flagged & done, self.chance, np.where(done, self.found_by, 0))


class AuditPolicy:
    """Shares out the audits of a round. ``needs``: names in ``Evidence.measured`` that it reads."""

    name: ClassVar[str]

    @property
    def needs(self) -> frozenset[str]:
        """What has to be measured for it."""
        return frozenset()

    def chances(self, rate: float, evidence: Evidence) -> FloatColumn:
        """The probability of an audit for each owner; their mean is ``rate``, as far as certainty allows."""
        raise NotImplementedError


AUDIT_POLICIES: Registry[type[AuditPolicy]] = Registry("audit policy")


def share_out(weights: FloatColumn, total: float) -> FloatColumn:
    """Probabilities in proportion to ``weights`` (>= 0), cut at 1, that sum to ``total`` if so many have a weight.

    What one cannot take is shared among the others: p = min(1, c w) with the c that gives the sum.
    """
    chance = np.zeros(len(weights))
    weights = weights / max(float(weights.max(initial=0.0)), 1e-300)  # so that tiny ones divide without overflow
    open_ = weights > 0
    while open_.any():
        left = total - float(chance[~open_].sum())
        scale = max(left, 0.0) / weights[open_].sum()
        chance[open_] = np.minimum(1.0, scale * weights[open_])
        full = open_ & (scale * weights > 1.0)
        if not full.any():
            break
        open_ = open_ & ~full
    return chance


@AUDIT_POLICIES.register("random")
@dataclass(frozen=True)
class RandomAudits(AuditPolicy):
    """Everybody with the same probability, ``audit_rate``."""

    name: ClassVar[str] = "random"

    def chances(self, rate: float, evidence: Evidence) -> FloatColumn:
        return np.full(len(evidence), rate)


@dataclass(frozen=True)
class RiskBased(AuditPolicy):
    """Aims the share ``focus`` in [0, 1] of the audits by a risk, the rest at random, so that nobody is ever safe."""

    focus: float = 0.8

    def __post_init__(self) -> None:
        check_share("focus", self.focus)

    def risk(self, evidence: Evidence) -> FloatColumn:
        """How suspicious each owner is before an audit, at least 0, in no unit."""
        raise NotImplementedError

    def chances(self, rate: float, evidence: Evidence) -> FloatColumn:
        count = len(evidence)
        if count == 0:
            return np.zeros(0)
        risk = np.nan_to_num(self.risk(evidence), nan=0.0, posinf=1e6)
        if not risk.any():
            return np.full(count, rate)
        return share_out((1.0 - self.focus) / count + self.focus * risk / risk.sum(), rate * count)


@AUDIT_POLICIES.register("reputation")
@dataclass(frozen=True)
class ByReputation(RiskBased):
    """By standing: risk is (1 - reputation) to the power ``power``."""

    name: ClassVar[str] = "reputation"
    power: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_amount("power", self.power)

    def risk(self, evidence: Evidence) -> FloatColumn:
        return np.asarray((1.0 - evidence.reputation) ** self.power)


@dataclass(frozen=True)
class Measured(RiskBased):
    """By what was measured of each upload: ``measurement`` names it."""

    measurement: str = HELD_OUT_GAIN

    def __post_init__(self) -> None:
        super().__post_init__()
        check_one_of("measurement", self.measurement, MEASUREMENTS)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({self.measurement})


@AUDIT_POLICIES.register("contribution_anomaly")
@dataclass(frozen=True)
class ByAnomaly(Measured):
    """By contribution: risk is how many robust standard deviations a measurement lies below the cohort's median."""

    name: ClassVar[str] = "contribution_anomaly"

    def risk(self, evidence: Evidence) -> FloatColumn:
        return np.maximum(0.0, -deviation(evidence.measured[self.measurement]))


@AUDIT_POLICIES.register("report_gap")
@dataclass(frozen=True)
class ByReportGap(Measured):
    """By the gap from report to measurement: risk is how much higher an owner ranks by claims than by the latter."""

    name: ClassVar[str] = "report_gap"

    def risk(self, evidence: Evidence) -> FloatColumn:
        return np.maximum(0.0, rank_gap(evidence.claimed, evidence.measured[self.measurement]))


def audit(
    policy: EnforcementPolicy,
    violation: BoolColumn,
    audit_draw: FloatColumn,
    verdict_draw: FloatColumn,
    evidence: Evidence | None = None,
) -> Verdicts:
    """Draw audits and their verdicts from two columns of uniform numbers in (0, 1).

    Without detectors an audit errs at the policy's rates. With them it looks at ``evidence`` and finds guilty whom
    at least ``votes`` of them flag; the truth is of no influence then. ``evidence`` may be left out where nothing
    reads it.
    """
    if evidence is None:
        evidence = Evidence(np.ones(len(violation)), np.zeros(len(violation)))
    chance = _chances(policy, evidence)
    audited = audit_draw < chance
    if not policy.detectors:
        blamed = verdict_draw < np.where(violation, policy.detection_rate, policy.false_alarm_rate)
        return Verdicts(audited, audited & blamed, chance, np.zeros(len(violation), dtype=np.int64))
    found = np.stack([detector.flags(evidence) for detector in policy.detectors])
    found_by = (found * (1 << np.arange(len(found), dtype=np.int64))[:, None]).sum(axis=0)
    blamed = found.sum(axis=0) >= policy.votes
    return Verdicts(audited, audited & blamed, chance, np.where(audited, found_by, 0))


def _chances(policy: EnforcementPolicy, evidence: Evidence) -> FloatColumn:
    """The probability of an audit for each owner.

    Detectors judge only uploads of which something was measured. Their owners take the audits of the others, too, as
    far as certainty allows: where they were drawn by lot, everybody was as likely to be audited before the lot.
    """
    rate, chance = policy.audit_rate, np.zeros(len(evidence))
    seen = evidence.seen(policy.read) if policy.detectors else np.ones(len(evidence), dtype=np.bool_)
    if seen.all():
        return policy.audit_policy.chances(rate, evidence)
    if seen.any():
        chance[seen] = policy.audit_policy.chances(min(1.0, rate * len(seen) / int(seen.sum())), evidence.of(seen))
    return chance
