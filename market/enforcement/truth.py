"""The truth about a round, which nobody in the market sees, and verdicts against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from learning.columns import BoolColumn, FloatColumn

if TYPE_CHECKING:
    from market.enforcement.auditing import Verdicts
    from market.enforcement.policy import EnforcementPolicy

_ROUNDING = 1e-12  # a claim at the very edge of the tolerance is no lie, however its product was rounded


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


def confusion(violation: BoolColumn, verdicts: Verdicts) -> Confusion:
    """Count right, wrong and missing verdicts of a round."""
    return Confusion(
        true_positives=int((verdicts.flagged & violation).sum()),
        false_positives=int((verdicts.flagged & ~violation).sum()),
        false_negatives=int((violation & ~verdicts.flagged).sum()),
    )
