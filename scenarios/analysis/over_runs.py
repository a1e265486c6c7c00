"""How long owners stay over several runs: bounds that know that owners of one run meet the same market."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from learning.columns import FloatColumn
from learning.streams import Streams
from scenarios.analysis.risk_sets import risk_sets
from scenarios.analysis.spells import grouped
from scenarios.analysis.survival import kaplan_meier

RESAMPLES = 2000
TIMES_AT_ONCE = 256
"""Times at which all resampled curves are held in memory together."""


def kaplan_meier_over_runs(
    spells: pd.DataFrame,
    by: str | None = None,
    level: float = 0.95,
    *,
    runs: str = "run",
    resamples: int = RESAMPLES,
    seed: int = 1,
) -> pd.DataFrame:
    """As ``kaplan_meier``, with bounds by a bootstrap of whole runs, told apart by the column ``runs``.

    What is drawn again is the run with all of its owners (Field and Welsh 2007, Bootstrapping clustered data, JRSS B
    69(3)), for percentile intervals that are expanded as Student's t demands of so few runs (Hesterberg 2015, What
    teachers should know about the bootstrap, Am. Stat. 69(4)). Bounds are NaN in a group of fewer than two runs. The
    same ``seed`` gives the same bounds; ``half_life`` of these curves has bounds of the same kind.
    """
    curves = kaplan_meier(spells, by, level)
    for place, (name, rows) in enumerate(grouped(spells, by)):
        of_group = (curves["group"] == name).to_numpy()
        lower, upper = _bounds(rows, curves.loc[of_group, "time"].to_numpy(), level, runs, resamples, seed, place)
        curves.loc[of_group, "lower"], curves.loc[of_group, "upper"] = lower, upper
    return curves


def _bounds(
    spells: pd.DataFrame, times: FloatColumn, level: float, runs: str, resamples: int, seed: int, place: int
) -> tuple[FloatColumn, FloatColumn]:
    """Pointwise bounds of the survival at these times."""
    at_risk, ended, when = _by_run(spells, runs)
    count = len(at_risk)
    if count < 2:
        return np.full(len(times), np.nan), np.full(len(times), np.nan)
    drawn = Streams(seed).integers("analysis/bootstrap", np.arange(resamples * count), count, place)
    weights = np.zeros((resamples, count))
    np.add.at(weights, (np.repeat(np.arange(resamples), count), drawn), 1.0)
    tail = float(stats.norm.cdf(-math.sqrt(count / (count - 1)) * stats.t.ppf(0.5 + level / 2, count - 1)))
    low, high, reached = [np.ones(1)], [np.ones(1)], np.ones((resamples, 1))
    for begin in range(0, len(when), TIMES_AT_ONCE):
        some = slice(begin, begin + TIMES_AT_ONCE)
        curves = _survival(weights @ at_risk[:, some], weights @ ended[:, some], reached)
        reached = curves[:, -1:]
        # Order statistics, as nothing lies between two curves that are steps.
        low.append(np.quantile(curves, tail, axis=0, method="lower"))
        high.append(np.quantile(curves, 1.0 - tail, axis=0, method="higher"))
    before = np.searchsorted(when, times, side="right")
    return np.concatenate(low)[before], np.concatenate(high)[before]


def _by_run(spells: pd.DataFrame, runs: str) -> tuple[NDArray[np.float64], NDArray[np.float64], FloatColumn]:
    """At risk and ended [R, T] in each run, at the times [T] at which anybody in any run left."""
    when = risk_sets(spells).time
    parts = [risk_sets(rows, when) for _, rows in spells.groupby(runs, sort=True)]
    return np.stack([part.at_risk for part in parts]), np.stack([part.ended for part in parts]), when


def _survival(
    at_risk: NDArray[np.float64], ended: NDArray[np.float64], reached: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Product-limit estimates [B, T], on from those ``reached`` [B, 1]; where nobody is at risk nothing happens."""
    share = np.divide(ended, at_risk, out=np.zeros_like(ended), where=at_risk > 0)
    return np.asarray(np.cumprod(np.hstack([reached, 1.0 - share]), axis=1)[:, 1:])
