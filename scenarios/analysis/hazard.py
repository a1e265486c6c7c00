"""What makes owners go: churn per window of tenure, and a Cox model whose covariates change from round to round."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from lifelines import CoxTimeVaryingFitter
from lifelines.exceptions import ConvergenceError
from scipy.stats import chi2

from scenarios.analysis.spells import CENSORED, grouped
from scenarios.results import Run

CHURN = ("group", "from", "to", "exposure", "ended", "hazard", "lower", "upper")
EFFECTS = ("covariate", "sd", "hazard_ratio", "lower", "upper", "p_value")


def churn_hazard(spells: pd.DataFrame, width: float = 5.0, by: str | None = None, level: float = 0.95) -> pd.DataFrame:
    """Exits per owner and window in bands of time ``width`` windows wide, of each group in ``by``; columns ``CHURN``.

    The occurrence-exposure rate: exits in the band over the owner-windows lived in it, with the exact Poisson interval
    (Garwood 1936). On the clock of the tenure it tells whether newcomers or old hands go.
    """
    if not width > 0:
        raise ValueError(f"the width of a band must be above 0 windows, not {width}")
    edges = np.arange(0.0, float(spells["exit"].max()) + width, width) if len(spells) else np.zeros(1)
    tail, rows = (1.0 - level) / 2, []
    for name, group in grouped(spells, by):
        entry, exit, gone = group["entry"].to_numpy(), group["exit"].to_numpy(), (group["cause"] != CENSORED).to_numpy()
        for low, high in pairwise(edges):
            exposure = float(np.maximum(np.minimum(exit, high) - np.maximum(entry, low), 0.0).sum())
            if exposure == 0.0:
                continue
            ended = int((gone & ((exit > low) | (exit == 0.0) & (low == 0.0)) & (exit <= high)).sum())
            least = chi2.ppf(tail, 2 * ended) / 2 if ended else 0.0
            most = chi2.ppf(1.0 - tail, 2 * ended + 2) / 2
            bounds = (ended / exposure, float(least) / exposure, float(most) / exposure)
            rows.append((name, low, high, exposure, ended, *bounds))
    return pd.DataFrame(rows, columns=list(CHURN))


def exit_intervals(run: Run, covariates: Sequence[str]) -> pd.DataFrame:
    """The owners table as intervals for ``cox_exit``: id, start, stop (rounds of tenure), ended, and the covariates.

    One row per recorded round of a stay. A covariate counts with its value after the settlement of the round from the
    end of that round to the end of the next: what an owner has seen before it decides to go. Rows with a covariate
    that does not exist (NaN) are left out. ValueError unless the run recorded all owners in all rounds.
    """
    recording = run.scenario.get("recording", {})
    if recording.get("owners_every", 1) != 1 or recording.get("owners_sample") is not None:
        raise ValueError("covariates over time need a run that records all owners in all rounds")
    episodes = run.episodes
    owners = run.owners[run.owners["moment"] == "round"]
    stays = pd.DataFrame({
        "owner": episodes["owner"],
        "stay": episodes["stay"],
        "joined": episodes["joined_round"],
        "left": episodes["left_round"],
        "gone": (episodes["exit_kind"].astype(str) != CENSORED).to_numpy(),
    })  # fmt: skip
    rows = owners[["owner", "stay", "round", *covariates]].merge(stays, on=["owner", "stay"])
    rows = rows[(rows["round"] >= rows["joined"]) & (rows["round"] < rows["left"])]
    # The last recorded round of a stay ends with it: leaving takes a while, in which further rounds may close.
    last = rows.groupby(["owner", "stay"])["round"].transform("max") == rows["round"]
    start = (rows["round"] - rows["joined"]).to_numpy(dtype=np.float64)
    intervals = pd.DataFrame({
        "id": pd.factorize(pd.MultiIndex.from_frame(rows[["owner", "stay"]]))[0],
        "start": start,
        "stop": start + 1.0,
        "ended": (rows["gone"] & last).to_numpy(),
    })  # fmt: skip
    for name in covariates:
        intervals[name] = rows[name].to_numpy(dtype=np.float64)
    return intervals.dropna().reset_index(drop=True)


def cox_exit(intervals: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Cox model of leaving with covariates that change over time (Cox 1972; Andersen and Gill 1982); ``EFFECTS``.

    ``intervals`` as of ``exit_intervals``. A hazard ratio tells by what one standard deviation ``sd`` of the covariate
    multiplies the risk of leaving. ValueError (one line) where nobody left, a covariate never differs, or no best fit
    exists.
    """
    covariates = [name for name in intervals.columns if name not in ("id", "start", "stop", "ended")]
    if not intervals["ended"].any():
        raise ValueError("nobody left: there is no hazard to explain")
    still = [name for name in covariates if intervals[name].nunique() < 2]
    if still:
        raise ValueError(f"'{still[0]}' never differs: it explains nothing")
    sd = intervals[covariates].std(ddof=0)
    scaled = intervals.assign(**{name: intervals[name] / sd[name] for name in covariates})
    try:
        fitted = CoxTimeVaryingFitter(alpha=1.0 - level).fit(
            scaled, id_col="id", event_col="ended", start_col="start", stop_col="stop"
        )
    except (ConvergenceError, Warning) as problem:
        raise ValueError(f"no best fit was found: {str(problem).splitlines()[0]}") from None
    summary = fitted.summary
    lower, upper = (name for name in summary.columns if name.startswith(("exp(coef) lower", "exp(coef) upper")))
    return pd.DataFrame({
        "covariate": covariates,
        "sd": sd.to_numpy(),
        "hazard_ratio": summary["exp(coef)"].to_numpy(),
        "lower": summary[lower].to_numpy(),
        "upper": summary[upper].to_numpy(),
        "p_value": summary["p"].to_numpy(),
    })  # fmt: skip
