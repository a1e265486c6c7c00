"""How long owners stay: Kaplan-Meier curves with late entry, half-lives, and whether two groups differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from lifelines.statistics import multivariate_logrank_test
from scipy.special import ndtri

from scenarios.analysis.risk_sets import risk_sets
from scenarios.analysis.spells import CENSORED, grouped

CURVE = ("group", "time", "at_risk", "ended", "survival", "lower", "upper")


def kaplan_meier(spells: pd.DataFrame, by: str | None = None, level: float = 0.95) -> pd.DataFrame:
    """Share that is still there at each time, of each group in the column ``by``; columns ``CURVE``.

    ``spells`` as of ``tenure_spells`` or ``market_spells``: who enters late counts as at risk only from its entry. Time
    is in windows, ``ended`` counts the exits at that time, ``lower`` and ``upper`` bound the survival pointwise with
    confidence ``level`` (exponential Greenwood, Kalbfleisch and Prentice 1980). Kaplan and Meier 1958, JASA 53.
    With late entry the first owners are few: when all of them have gone the curve is 0 for good, whoever comes after
    (lifelines refuses such spells; where it takes them, this is its estimate). The last row of a group is at the time
    at which it was last seen, also if nobody left then.
    """
    curves = [_curve(name, rows, level) for name, rows in grouped(spells, by) if len(rows)]
    return pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=list(CURVE))


def _curve(name: str, spells: pd.DataFrame, level: float) -> pd.DataFrame:
    sets = risk_sets(spells)
    survival = sets.survival
    left = sets.at_risk - sets.ended
    # Where the last at risk has gone (left = 0) the estimate is 0 and so are its bounds.
    spread = np.cumsum(np.divide(sets.ended, sets.at_risk * left, out=np.zeros_like(left), where=left > 0))
    inside = (survival > 0) & (survival < 1)
    logs = np.log(np.where(inside, survival, 0.5))
    reach = np.exp(ndtri(0.5 + level / 2) * np.sqrt(spread) / -logs)
    lower, upper = (np.where(inside, np.exp(logs * power), survival) for power in (reach, 1.0 / reach))
    first = spells.loc[spells["entry"] == spells["entry"].min()]
    curve = pd.DataFrame({
        "group": name,
        "time": np.append(0.0, sets.time),
        "at_risk": np.append(float(len(first)), sets.at_risk).astype(np.int64),
        "ended": np.append(0.0, sets.ended).astype(np.int64),
        "survival": np.append(1.0, survival),
        "lower": np.append(1.0, lower),
        "upper": np.append(1.0, upper),
    })  # fmt: skip
    last = float(spells["exit"].max())
    if last > curve["time"].iloc[-1]:
        curve.loc[len(curve)] = curve.iloc[-1]
        curve.loc[len(curve) - 1, ["time", "at_risk", "ended"]] = [last, int((spells["exit"] == last).sum()), 0]
    return curve


def half_life(curves: pd.DataFrame) -> pd.DataFrame:
    """Windows until half of a group has gone, by its curve of ``kaplan_meier``: group, half_life, lower, upper.

    Infinite where the curve (or its bound) never falls to one half within the run, NaN where there is no bound.
    """
    rows = [
        {"group": name, "half_life": _falls_to_half(rows, "survival"), "lower": _falls_to_half(rows, "lower"),
         "upper": _falls_to_half(rows, "upper")}
        for name, rows in curves.groupby("group", sort=False)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["group", "half_life", "lower", "upper"])


def _falls_to_half(curve: pd.DataFrame, column: str) -> float:
    if curve[column].isna().any():
        return float("nan")
    fallen = curve.loc[curve[column] <= 0.5, "time"]
    return float(fallen.iloc[0]) if len(fallen) else float("inf")


def mean_tenure(curves: pd.DataFrame, horizon: float) -> pd.DataFrame:
    """Mean windows stayed within ``horizon`` windows (the area under the curve, Irwin 1949): group, mean_tenure."""
    if not horizon > 0:
        raise ValueError(f"the horizon must be above 0 windows, not {horizon}")
    areas = []
    for name, rows in curves.groupby("group", sort=False):
        inside = rows[rows["time"] < horizon]
        steps = np.diff(np.append(inside["time"].to_numpy(), horizon))
        areas.append({"group": name, "mean_tenure": float(steps @ inside["survival"].to_numpy())})
    return pd.DataFrame(areas, columns=["group", "mean_tenure"])


@dataclass(frozen=True)
class LogRank:
    """Test of the hypothesis that all groups stay equally long."""

    statistic: float
    p_value: float
    groups: int


def log_rank(spells: pd.DataFrame, by: str) -> LogRank:
    """Log-rank test (Mantel 1966) between the groups in the column ``by``; spells on the clock of the tenure only.

    ValueError with late entry, which the test does not know, or with fewer than two groups.
    """
    if spells["entry"].any():
        raise ValueError("the log-rank test knows no late entry: give it tenure_spells")
    groups = spells[by].nunique()
    if groups < 2:
        raise ValueError(f"the log-rank test compares groups, and '{by}' has {groups}")
    result = multivariate_logrank_test(
        spells["exit"].to_numpy(dtype=np.float64), spells[by].astype(str), (spells["cause"] != CENSORED).to_numpy()
    )
    return LogRank(float(result.test_statistic), float(result.p_value), groups)
