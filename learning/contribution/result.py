"""What a contribution method finds out, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from learning.columns import FloatColumn

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Contribution:
    """Values [K] in the units of the game's worth, their standard errors [K], and how they came about.

    Attributes:
        values: one per player.
        standard_error: of sampling; 0 when exact, infinite as long as it cannot be told.
        evaluations: coalitions evaluated, those of the result that was continued included.
        samples: independent samples behind the values; 0 when exact.
        ended: why it ended there: "complete", "precise" (the interval is narrow enough), "converged" (the method's
            own rule), "skipped" (the round changed too little) or "budget spent".
        degrees: degrees of freedom [K] of the standard errors where they are not samples - 1, else None.
        state: arrays from which the same method can go on, for a checkpoint; empty when exact.
    """

    values: FloatColumn
    standard_error: FloatColumn
    evaluations: int
    samples: int = 0
    ended: str = "complete"
    state: Arrays = field(default_factory=dict)
    degrees: FloatColumn | None = None

    def half_width(self, level: float = 0.95) -> FloatColumn:
        """Half the width [K] of the confidence interval of each value, by Student's t."""
        degrees = self.samples - 1 if self.degrees is None else self.degrees
        return half_width(self.standard_error, degrees, level)

    def interval(self, level: float = 0.95) -> tuple[FloatColumn, FloatColumn]:
        """Lower and upper end [K] of the confidence interval of each value. It covers sampling, not truncation."""
        half = self.half_width(level)
        return self.values - half, self.values + half


def half_width(standard_error: FloatColumn, degrees: int | FloatColumn, level: float) -> FloatColumn:
    """Half widths [K] of confidence intervals whose standard errors have so many degrees of freedom.

    A mean of n numbers has n - 1; below 1 nothing is known unless there is no error.
    Raises ``ValueError`` unless ``level`` is between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"a confidence level is between 0 and 1, got {level}")
    known = np.asarray(degrees) >= 1
    factor = np.where(known, stdtrit(np.where(known, degrees, 1), (1 + level) / 2), math.inf)
    exact = standard_error == 0
    return np.where(exact, 0.0, factor * np.where(exact, 1.0, standard_error))


def exactly(values: FloatColumn, evaluations: int) -> Contribution:
    """A result without sampling error."""
    return Contribution(values, np.zeros(len(values)), evaluations)


def mean_and_error(rows: FloatColumn) -> tuple[FloatColumn, FloatColumn]:
    """Mean [K] of independent rows [R, K] and its standard error [K] (infinite below two rows)."""
    if len(rows) == 0:
        return np.zeros(rows.shape[1]), np.full(rows.shape[1], math.inf)
    if len(rows) == 1:
        return rows[0].copy(), np.full(rows.shape[1], math.inf)
    return rows.mean(axis=0), rows.std(axis=0, ddof=1) / math.sqrt(len(rows))
