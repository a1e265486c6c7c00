"""Data quality of owners: what they say it is, what training shows, and on which scale it enters the contest.

Columns have one entry per owner, [N]. Each scale keeps the order of the raw values.
"""

from __future__ import annotations

import numpy as np

from learning.columns import FloatColumn

AUTHORS_FLOOR = 0.9


def self_report(noise_power: FloatColumn, understated: float | FloatColumn = 0.0) -> FloatColumn:
    """Raw quality that owners report: 1 minus the mean square of the noise in their images (pixels in [0, 1]).

    A misreport understates the noise by that share; a negative share overstates it (the paper's -60 % to +60 %).
    """
    return np.asarray(1.0 - noise_power * (1.0 - np.asarray(understated)))


def floored(raw: FloatColumn, floor: float = AUTHORS_FLOOR) -> FloatColumn:
    """The authors' scale: the lowest value becomes ``floor``, the highest 1; all 1 if they are equal.

    Whoever is caught with worthless data still has quality ``floor``.
    """
    if not 0.0 <= floor <= 1.0:
        raise ValueError(f"floor: expected a number from 0 to 1, got {floor}")
    if len(raw) == 0:
        return raw.copy()
    spread = float(raw.max() - raw.min())
    if not spread > 0.0:
        return np.ones(len(raw))
    return np.asarray(floor + (1.0 - floor) * ((raw - raw.min()) / spread))


def unfloored(raw: FloatColumn) -> FloatColumn:
    """Quality relative to the best owner: 1 for the highest value, 0 for whoever brought nothing or did harm.

    All 0 if nobody brought anything.
    """
    brought = np.maximum(raw, 0.0)
    best = float(brought.max(initial=0.0))
    return brought / best if best > 0.0 else np.zeros(len(raw))
