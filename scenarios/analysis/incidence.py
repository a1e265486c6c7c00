"""Why owners go: cumulative incidence by cause of exit (competing risks), with late entry."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import ndtri

from learning.columns import FloatColumn
from scenarios.analysis.risk_sets import ended_at, ever_at_risk, risk_sets
from scenarios.analysis.spells import CENSORED, grouped

INCIDENCE = ("group", "cause", "time", "incidence", "lower", "upper")


def cumulative_incidence(spells: pd.DataFrame, by: str | None = None, level: float = 0.95) -> pd.DataFrame:
    """Share that has gone for each cause by each time, of each group in the column ``by``; columns ``INCIDENCE``.

    Aalen and Johansen 1978, Scand. J. Statist. 5: F_k(t) = sum over exits t_i <= t of S(t_i-) d_ki / n_i. Over all
    causes it adds up to 1 - Kaplan-Meier. Ties are counted as they are (lifelines would spread them by chance). Bounds
    are pointwise with confidence ``level``, by the variance of Marubini and Valsecchi 1995, eq. 10.11, cut to [0, 1].
    """
    tables = [
        _incidence(name, rows, cause, level)
        for name, rows in grouped(ever_at_risk(spells), by)
        for cause in sorted(set(rows["cause"]) - {CENSORED})
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(INCIDENCE))


def _incidence(name: str, spells: pd.DataFrame, cause: str, level: float) -> pd.DataFrame:
    sets = risk_sets(spells)
    time, at_risk, ended = sets.time, sets.at_risk, sets.ended
    of_cause = ended_at(spells.loc[spells["cause"] == cause, "exit"].to_numpy(dtype=np.float64), time)
    before = np.append(1.0, sets.survival[:-1])
    incidence = np.cumsum(before * of_cause / at_risk)
    error = ndtri(0.5 + level / 2) * np.sqrt(_variance(incidence, before, ended, of_cause, at_risk))
    return pd.DataFrame({
        "group": name,
        "cause": cause,
        "time": np.append(0.0, time),
        "incidence": np.append(0.0, incidence),
        "lower": np.append(0.0, np.maximum(incidence - error, 0.0)),
        "upper": np.append(0.0, np.minimum(incidence + error, 1.0)),
    })  # fmt: skip


def _variance(
    incidence: FloatColumn, before: FloatColumn, ended: FloatColumn, of_cause: FloatColumn, at_risk: FloatColumn
) -> FloatColumn:
    """Variance at every time, in one pass: sums over the past of (F(t) - F_i)^2 a_i, b_i and -2 (F(t) - F_i) c_i."""
    left = at_risk - ended
    spread = np.divide(ended, at_risk * left, out=np.zeros_like(before), where=left > 0)
    own = before**2 * of_cause * (at_risk - of_cause) / at_risk**3
    both = before * of_cause / at_risk**2
    total, first, second = (np.cumsum(spread * incidence**power) for power in (0, 1, 2))
    crossed = incidence * np.cumsum(both) - np.cumsum(both * incidence)
    variance = incidence**2 * total - 2 * incidence * first + second + np.cumsum(own) - 2 * crossed
    return np.maximum(variance, 0.0)
