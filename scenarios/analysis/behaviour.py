"""Who co-operates, who cheats, and how soon and how surely audits find out."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from scenarios.analysis.spells import CENSORED, window_ticks
from scenarios.results import Run

DETECTED = "detected"
RATES = ("rate", "of", "count", "share", "lower", "upper")


def cooperation(rounds: pd.DataFrame) -> pd.DataFrame:
    """Per round, in truth: share of uploads that were trained, of those that were forged, of reports that lied.

    Columns round, cooperation, free_riding, lying; NaN in rounds without an upload (or report).
    """
    uploads, reports = (rounds[name].where(rounds[name] > 0).astype("float64") for name in ("arrived", "participants"))
    return pd.DataFrame({
        "round": rounds["round"],
        "cooperation": 1.0 - rounds["free_riding"] / uploads,
        "free_riding": rounds["free_riding"] / uploads,
        "lying": rounds["lying"] / reports,
    })  # fmt: skip


def audit_rates(rounds: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """What audits really were: true and false positive rate and precision, measured; columns ``RATES``.

    Over all audits of the run, with the exact interval of Clopper and Pearson 1934 at confidence ``level``. A rate of
    nothing (no violator audited, say) is NaN.
    """
    total = rounds[["audited", "flagged", "true_positives", "false_positives", "false_negatives"]].sum()
    hits, alarms = int(total["true_positives"]), int(total["false_positives"])
    violators = hits + int(total["false_negatives"])
    clean = int(total["audited"]) - violators
    rates = [
        ("true positive rate", "audited violators", hits, violators),
        ("false positive rate", "audited owners without a violation", alarms, clean),
        ("precision", "owners found guilty", hits, hits + alarms),
    ]
    rows = []
    for name, of, found, count in rates:
        bounds = (np.nan, np.nan, np.nan)
        if count:
            interval = binomtest(found, count).proportion_ci(level)
            bounds = (found / count, float(interval.low), float(interval.high))
        rows.append((name, of, count, *bounds))
    return pd.DataFrame(rows, columns=list(RATES))


def detection_spells(run: Run) -> pd.DataFrame:
    """Time from an identity's first violation to its first rightful verdict, in windows: spells as ``SPELL``.

    ``cause`` is *detected*, the kind of exit by which it got away, or *censored*: ready for ``cumulative_incidence``.
    From the owners table, so of the recorded owners and rounds; ``strategy`` is the one of the first violation.
    """
    owners = run.owners[run.owners["moment"] == "round"]
    violations = owners[owners["violation"]]
    first = violations.groupby("owner").first()
    guilty = violations[violations["flagged"]].groupby("owner")["round"].min()
    closed = run.rounds.set_index("round")["closed_tick"] / window_ticks(run)
    last = run.episodes.sort_values("left_tick", kind="stable").groupby("owner").last()
    entry = first["round"].map(closed)
    found = guilty.reindex(first.index).map(closed)
    left = last["left_tick"].reindex(first.index) / window_ticks(run)
    cause = last["exit_kind"].reindex(first.index).astype(str)
    return pd.DataFrame({
        "owner": first.index,
        "person": first["person"].to_numpy(),
        "stay": first["stay"].to_numpy(),
        "strategy": first["strategy"].astype(str).to_numpy(),
        "entry": 0.0,
        "exit": found.fillna(left.clip(lower=entry)).to_numpy(dtype=np.float64) - entry.to_numpy(dtype=np.float64),
        "cause": np.where(found.notna(), DETECTED, cause.fillna(CENSORED)),
    })  # fmt: skip
