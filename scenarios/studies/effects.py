"""What each factor does to a measure: means by level, shares of the variance, and phase diagrams of two factors."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from scenarios.studies.differences import CONFIDENCE, RESAMPLES, bootstrap_mean
from scenarios.studies.results import StudyResults

BINS = 6
"""Bins of a range in tables and phase diagrams of drawn points, if these have more than twice as many values."""


def main_effects(study: StudyResults, measure: str, *, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Of each level of each field: ``runs``, the ``mean``, its interval (``low``, ``high``) and the ``effect``.

    The effect is the mean less that of all runs. Replications of one seed share their luck, so the interval is a
    bootstrap over seeds where a study is paired. Ranges of drawn points are cut into ``BINS`` parts, see ``levels``.
    """
    frame = study.measures.dropna(subset=[measure])
    rows = []
    for field in study.fields:
        column = levels(study, frame, field)
        for level in _order(column):
            group = frame[column == level]
            values = group[measure]
            if values.empty:
                continue
            clustered = study.study.pairing == "paired" and group["replication"].nunique() > 1
            units = values.groupby(group["replication"]).mean() if clustered else values
            found = bootstrap_mean(units, confidence=confidence, resamples=RESAMPLES, seed=study.study.seed)
            rows.append({
                "field": field, "level": level, "runs": len(group), "mean": float(values.mean()), "low": found.low,
                "high": found.high, "effect": float(values.mean() - frame[measure].mean()),
            })  # fmt: skip
    return pd.DataFrame(rows)


def variance_shares(study: StudyResults, measure: str) -> pd.DataFrame:
    """Shares of the variance of a measure by ``source``: fields, pairs of fields, seeds and the rest.

    The analysis of variance of a complete grid in which every combination was played equally often: sums of squares of
    means, less those of what they contain. Empty for other designs, and while runs are missing. Seeds are a source of
    their own in a paired study.
    """
    frame = study.measures.dropna(subset=[measure])
    fields = study.fields
    is_whole = len(frame) == len(study.listing.runs)
    if study.places is not None or not fields or not is_whole or not _is_balanced(frame, fields):
        return pd.DataFrame()
    values = frame[measure]
    total = float(((values - values.mean()) ** 2).sum())
    if total == 0:
        return pd.DataFrame()
    shares: dict[str, float] = {}
    for field in fields:
        shares[field] = _between(frame, [field], measure) / total
    for pair in itertools.combinations(fields, 2):
        shares[" x ".join(pair)] = _between(frame, list(pair), measure) / total - sum(shares[field] for field in pair)
    if study.study.pairing == "paired" and frame["replication"].nunique() > 1:
        shares["seed"] = _between(frame, ["replication"], measure) / total
    shares["rest"] = 1.0 - sum(shares.values())
    return pd.DataFrame({"source": list(shares), "share": list(shares.values())})


def phase_diagram(study: StudyResults, measure: str, x: str, y: str) -> pd.DataFrame:
    """Means of a measure over two fields: one row per level of ``y``, one column per level of ``x``; NaN where no run
    is. Ranges of drawn points are cut into ``BINS`` parts, see ``levels``."""
    frame = study.measures.dropna(subset=[measure])
    across, up = levels(study, frame, x), levels(study, frame, y)
    table = frame[measure].groupby([up.rename(y), across.rename(x)], sort=True, observed=False).mean().unstack()
    return table.reindex(index=_order(up), columns=_order(across))


def levels(study: StudyResults, frame: pd.DataFrame, field: str) -> pd.Series[Any]:
    """The level of each row: its value, or a bin where drawn points have very many values.

    Bins are equally wide, or have equal ratios where the range is logarithmic.
    """
    values = frame[field]
    if study.places is None or values.dtype.kind not in "if" or values.nunique() <= 2 * BINS:
        return values
    low, high = float(values.min()), float(values.max())
    written = study.study.factors.get(field)
    is_log = isinstance(written, dict) and written.get("scale") == "log"
    edges = (np.geomspace if is_log else np.linspace)(low, high, BINS + 1).tolist()
    edges[0], edges[-1] = low, high  # ratios are rounded, and nobody may fall out
    binned: pd.Series[Any] = pd.cut(values, edges, labels=_names_of_bins(edges), include_lowest=True)
    return binned


def _names_of_bins(edges: Sequence[float]) -> list[str]:
    """``low to high`` of each bin, with as many digits as it takes to tell the edges apart."""
    texts: list[str] = []
    for digits in range(2, 18):
        texts = [f"{edge:.{digits}g}" for edge in edges]
        if len(set(texts)) == len(edges):
            break
    return [f"{low} to {high}" for low, high in itertools.pairwise(texts)]


def _order(column: pd.Series[Any]) -> list[Any]:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return list(column.cat.categories)
    found = list(column.unique())
    return sorted(found) if column.dtype.kind in "ifb" else found


def _between(frame: pd.DataFrame, keys: list[str], measure: str) -> float:
    means = frame.groupby(keys, sort=False)[measure].transform("mean")
    return float(((means - frame[measure].mean()) ** 2).sum())


def _is_balanced(frame: pd.DataFrame, fields: list[str]) -> bool:
    counts = frame.groupby(fields, sort=False).size()
    combinations = 1
    for field in fields:
        combinations *= frame[field].nunique()
    return len(counts) == combinations and counts.nunique() == 1
