"""What the regulator has of a round: public columns, and what training shows of every upload."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from learning.columns import BoolColumn, FloatColumn
from learning.inspection_names import ALIGNMENT, DUPLICATES, HELD_OUT_GAIN, LOSS_DROP, SIGNALS, SIMILARITY, UPDATE_NORM
from market.mechanism import CONTRIBUTION, MEASURED_QUALITY

__all__ = [
    "ALIGNMENT",
    "DUPLICATES",
    "HELD_OUT_GAIN",
    "LOSS_DROP",
    "MEASUREMENTS",
    "SIGNALS",
    "SIMILARITY",
    "UPDATE_NORM",
    "Evidence",
    "deviation",
    "rank_gap",
]

MEASUREMENTS = (HELD_OUT_GAIN, LOSS_DROP, UPDATE_NORM, CONTRIBUTION, MEASURED_QUALITY)
"""What claims and contributions can be held against; the last two only if the mechanism has them measured."""


@dataclass(frozen=True)
class Evidence:
    """Columns of the owners of a round, before anybody is audited.

    ``reputation`` in [0, 1]; ``claimed``: samples claimed and offered, times the quality claimed; ``measured``: what
    was measured of each upload by name (``SIGNALS`` and ``MEASUREMENTS``), NaN where nothing was.
    """

    reputation: FloatColumn
    claimed: FloatColumn
    measured: Mapping[str, FloatColumn] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.reputation)

    def of(self, some: BoolColumn) -> Evidence:
        """What there is about some of the owners."""
        measured = {name: column[some] for name, column in self.measured.items()}
        return Evidence(self.reputation[some], self.claimed[some], measured)

    def seen(self, names: Collection[str]) -> BoolColumn:
        """Of which owners anything of this was measured."""
        found = np.zeros(len(self), dtype=np.bool_)
        for name in names:
            found |= ~np.isnan(self.measured[name])
        return found


def deviation(values: FloatColumn) -> FloatColumn:
    """Robust z-scores: (x - median) / (1.4826 MAD), with 1.2533 times the mean deviation where the MAD is 0.

    Iglewicz and Hoaglin 1993, How to detect and handle outliers. Not a number for what is none; the median and the
    scale are those of the finite values, and infinite ones are infinitely far. 0 where nobody differs.
    """
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return np.where(np.isinf(values), values, np.where(np.isnan(values), np.nan, 0.0))
    away = np.abs(finite - np.median(finite))
    scale = 1.4826 * np.median(away)
    if scale == 0.0:
        scale = 1.2533 * away.mean()
    gap = values - np.median(finite)
    if scale > 0.0:
        return np.asarray(gap / scale)
    return np.where(np.isnan(gap) | (gap == 0.0), gap, np.copysign(np.inf, gap))


def rank_gap(claimed: FloatColumn, measured: FloatColumn) -> FloatColumn:
    """How much higher an owner stands by its claim than by what was measured, in [-1, 1]; NaN where nothing was.

    The difference of the two mid-ranks among the measured owners, as shares of the highest rank: free of units.
    """
    from scipy.stats import rankdata

    gap = np.full(len(claimed), np.nan)
    known = ~np.isnan(measured)
    if known.sum() > 1:
        ranks = [rankdata(column[known]) for column in (claimed, measured)]
        gap[known] = (ranks[0] - ranks[1]) / (known.sum() - 1)
    elif known.any():
        gap[known] = 0.0
    return gap
