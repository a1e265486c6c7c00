"""When a market changed its ways: change points of a course over the rounds (a collapse, a take-over, a recovery)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import ruptures

from learning.columns import FloatColumn

REGIMES = ("first_round", "last_round", "mean", "sd")
LEAST_ROUNDS = 3
"""Fewest rounds that count as a regime."""
LEAST_SHARE = 0.02
"""Least share of the squared deviation from the mean that a change of regime explains."""
NORMAL_MEDIAN = 0.6745
"""Median of the absolute value of a standard normal number."""


def regimes(rounds: pd.DataFrame, column: str = "active", penalty: float = 3.0) -> pd.DataFrame:
    """Stretches of rounds between which the mean of a column of the rounds table changed; columns ``REGIMES``.

    The optimal split by PELT (Killick, Fearnhead, Eckley 2012, JASA 107; ruptures: Truong, Oudre, Vayatis 2020), where
    one more change must explain at least ``penalty`` * log(rounds) * noise variance of the squared error, and
    ``LEAST_SHARE`` of all of it (else a smooth decline would be cut into stairs). The noise is the median step between
    neighbouring rounds, which changes hardly move. Rounds without a value (NaN) are left out. ValueError for a
    penalty that is not positive.
    """
    if not penalty > 0:
        raise ValueError(f"the penalty must be above 0, not {penalty}")
    known = rounds[["round", column]].dropna()
    values = known[column].to_numpy(dtype=np.float64)
    ends = _last_of_regimes(values, penalty)
    starts = [0, *ends][: len(ends)]
    rows = [
        (int(known["round"].iloc[low]), int(known["round"].iloc[high - 1]), float(values[low:high].mean()),
         float(values[low:high].std()))
        for low, high in zip(starts, ends, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(REGIMES))


def _last_of_regimes(values: FloatColumn, penalty: float) -> list[int]:
    """Index after the last value of each regime, in order."""
    count = len(values)
    if count == 0:
        return []
    if count < 2 * LEAST_ROUNDS or np.ptp(values) == 0.0:
        return [count]
    step = float(np.median(np.abs(np.diff(values)))) / NORMAL_MEDIAN
    error = float(((values - values.mean()) ** 2).sum())
    least = max(penalty * np.log(count) * step**2 / 2, LEAST_SHARE * error)
    search = ruptures.Pelt(model="l2", min_size=LEAST_ROUNDS, jump=1).fit(values)
    return [int(end) for end in search.predict(pen=least)]
