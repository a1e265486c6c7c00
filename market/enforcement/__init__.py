"""Enforcement: what counts as a violation, who is audited and found guilty, and what that costs.

Pure steps on columns, one entry per owner: ``violations`` (the truth, which nobody in the market sees), ``audit`` (what
the regulator finds, rightly or wrongly), ``appeals`` (a second look), ``sanction`` (what follows from the verdicts).
What can be chosen is a registry each: audit policies, detectors, slashing, deposits, bans, appeals.
"""

from __future__ import annotations

from market.enforcement.auditing import AUDIT_POLICIES, Verdicts, audit
from market.enforcement.evidence import Evidence
from market.enforcement.policy import EnforcementPolicy
from market.enforcement.sanctions import Sanctions, drift, sanction
from market.enforcement.truth import Confusion, confusion, violations

__all__ = [
    "AUDIT_POLICIES",
    "Confusion",
    "EnforcementPolicy",
    "Evidence",
    "Sanctions",
    "Verdicts",
    "audit",
    "confusion",
    "drift",
    "sanction",
    "violations",
]
